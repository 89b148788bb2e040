"""What the judgement is served as: JSON of all groups and of one."""

import json
import urllib.error
import urllib.parse

import pytest

import processes
from daemon import Daemon
from store import Store

HOSTILE = 'bill/ing "ä" 100%&\x1b[2J'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """Two stores with a group of the same name, which has read 2 of 5 messages and 4 of 5."""
    near, far = (Store(tmp_path_factory.mktemp(name) / "store") for name in ("near", "far"))
    for store, committed in ((near, 2), (far, 4)):
        store.create("orders")
        store.append("orders", 5)
        store.commit(HOSTILE, "orders", committed)
    with Daemon("--logstore", f"near={near.folder}", "--logstore", f"far={far.folder}") as running:
        processes.wait_until(lambda: len(get(running, "/api/v1/groups")["groups"]) == 2, what="both groups")
        yield running


def get(daemon, path):
    return json.loads(daemon.get(path))


def test_all_groups_are_listed_with_their_numbers(daemon):
    answer = get(daemon, "/api/v1/groups")
    assert [source["cluster"] for source in answer["sources"]] == ["near", "far"]
    assert all(source["up"] for source in answer["sources"])
    assert {(group["cluster"], group["group"], group["lag"]) for group in answer["groups"]} == {
        ("near", HOSTILE, 3),
        ("far", HOSTILE, 1),
    }


@pytest.mark.parametrize("cluster, committed", [("near", 2), ("far", 4)])
def test_a_group_of_a_hostile_name_is_found_in_each_cluster(daemon, cluster, committed):
    path = f"/api/v1/groups/{urllib.parse.quote(HOSTILE, safe='')}?cluster={cluster}"
    group = get(daemon, path)
    assert (group["cluster"], group["group"]) == (cluster, HOSTILE)
    (topic,) = group["topics"]
    (partition,) = topic["partitions"]
    assert (topic["topic"], partition["committed"], partition["end"]) == ("orders", committed, 5)
    assert topic["history"]["committed"][-1] == committed


@pytest.mark.parametrize("path", ["/api/v1/groups/nobody", "/api/v1/groups/", "/api/v1/groups/billing?cluster=nowhere"])
def test_a_group_that_is_not_there_is_said_in_json(daemon, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        daemon.get(path)
    assert refused.value.code == 404
    assert "no such group" in json.loads(refused.value.read())["error"]
