"""What outlives the daemon: the past in --state-dir, and the observations of --record."""

import json
import os
import signal

import pytest

import processes
from daemon import Daemon, run
from store import Store

REWOUND = "kafka_consumergroup_rewound_messages_total"
SINCE = "kafka_consumergroup_condition_since_timestamp_seconds"
SLO = "kafka_consumergroup_slo_seconds_total"


@pytest.fixture
def store(tmp_path):
    """A group without members has read 7 of 10 messages."""
    store = Store(tmp_path / "store")
    store.create("orders")
    store.append("orders", 10)
    store.commit("billing", "orders", 7)
    return store


def sums(page, name):
    return sum(float(value) for _, value in page.family(name))


def rewind(daemon, store):
    """The offset is moved back over 4 messages: returns the page that shows it."""
    daemon.page_when(lambda page: page.family(REWOUND))
    store.commit("billing", "orders", 3)
    return daemon.page_when(lambda page: sums(page, REWOUND) == 4)


def conditions(page):
    return {(labels["condition"], value) for labels, value in page.family(SINCE)}


def events(daemon):
    return json.loads(daemon.get("/api/v1/groups/billing"))["events"]


def first_polled(page):
    return page.family(REWOUND)


def wait_for_a_save(state):
    """Until the only file of the folder is another one."""

    def file():
        status = os.stat(state / "default.history")
        return status.st_ino, status.st_mtime_ns

    before = file()
    processes.wait_until(lambda: file() != before, what="a save")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_in_the_middle_of_an_incident_forgets_nothing(store, tmp_path, how):
    """The daemon is killed, or ended, while a group has stopped: the next one goes on with its counters, the time
    since when, and its events, and says nothing new."""
    arguments = ("--logstore", store.folder, "--state-dir", str(tmp_path / "state"), "--rule", "stopped_after=1s")
    first = Daemon(*arguments)
    rewind(first, store)
    before = first.page_when(conditions)
    told = events(first)
    seen = sums(first.page(), SLO)
    if how == signal.SIGKILL:  # on a slow disk not every poll is saved, and what wasn't is lost
        wait_for_a_save(tmp_path / "state")
    first.stop(how)
    with Daemon(*arguments) as second:
        after = second.page_when(first_polled)
        assert sums(after, REWOUND) == 4
        assert conditions(after) == conditions(before)
        assert sums(after, SLO) >= seen
        assert events(second) == told


def test_without_a_state_the_past_is_forgotten(store):
    """The same without the flag: what the test above asserts can fail."""
    first = Daemon("--logstore", store.folder)
    rewind(first, store)
    first.stop(signal.SIGKILL)
    with Daemon("--logstore", store.folder) as second:
        assert sums(second.page_when(first_polled), REWOUND) == 0


def test_a_damaged_state_is_set_aside_with_a_warning(store, tmp_path):
    state = tmp_path / "state"
    arguments = ("--logstore", store.folder, "--state-dir", str(state))
    with Daemon(*arguments) as first:
        rewind(first, store)
    (file,) = state.iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    with Daemon(*arguments) as second:
        assert sums(second.page_when(first_polled), REWOUND) == 0
        assert "checksum" in second.logged() and "level=warn" in second.logged()
    assert file.with_name(file.name + ".damaged").read_bytes() == damaged


def test_a_state_that_is_a_fifo_holds_up_nothing(store, tmp_path):
    """Nobody writes into it: the past begins anew, with a warning, and is kept again."""
    state = tmp_path / "state"
    arguments = ("--logstore", store.folder, "--state-dir", str(state))
    with Daemon(*arguments) as first:
        first.page_when(first_polled)
    (file,) = state.iterdir()
    file.unlink()
    os.mkfifo(file)
    with Daemon(*arguments) as second:
        second.page_when(first_polled)
        assert "no regular file" in second.logged() and "level=warn" in second.logged()
    assert file.is_file()


def test_a_state_folder_that_can_not_be_had_is_refused(store, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, errors = run("serve", "--logstore", store.folder, "--once", "--state-dir", str(tmp_path / "file"))
    assert code != 0 and "--state-dir" in errors and len(errors.splitlines()) == 1


def test_two_daemons_on_one_state_folder_are_refused(store, tmp_path):
    """The second would overwrite what the first keeps; when the first has ended, however it did, there is room."""
    arguments = ("--logstore", store.folder, "--state-dir", str(tmp_path / "state"))
    first = Daemon(*arguments)
    first.page_when(first_polled)
    code, _, errors = run("serve", *arguments, "--once")
    assert code == 2 and "in use by another tidemark" in errors and len(errors.splitlines()) == 1, errors
    first.stop(signal.SIGKILL)
    code, _, errors = run("serve", *arguments, "--once")
    assert code == 0, errors


def test_a_state_folder_that_was_removed_is_made_again(store, tmp_path):
    """And is used by nobody else."""
    state = tmp_path / "state"
    arguments = ("--logstore", store.folder, "--state-dir", str(state))
    with Daemon(*arguments) as first:
        first.page_when(first_polled)
        state.rename(tmp_path / "away")
        processes.wait_until(lambda: list(state.glob("*.history")), what="the past in the new folder")
        code, _, errors = run("serve", *arguments, "--once")
        assert code == 2 and "in use by another tidemark" in errors, errors


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_recording_that_is_moved_away_is_begun_anew(store, tmp_path):
    """As logrotate does it; and once it is removed."""
    recording, rotated = tmp_path / "recording", tmp_path / "recording.1"
    with Daemon("--logstore", store.folder, "--record", str(recording)):
        processes.wait_until(lambda: recording.exists() and lines(recording), what="a first line")
        recording.rename(rotated)
        processes.wait_until(lambda: recording.exists() and lines(recording), what="a line in a new file")
        recording.unlink()
        processes.wait_until(lambda: recording.exists() and lines(recording), what="a line in another new file")
    times = [line["t"] for path in (rotated, recording) for line in lines(path)]
    assert times == sorted(times)


def test_recordings_are_replayed_to_what_was_served(store, tmp_path):
    """A daemon records and is killed in the middle of a line; the next one goes on in the same file, which then
    gives the same counters as the daemon served."""
    recording, second_store = tmp_path / "recording", Store(tmp_path / "other")
    second_store.create("clicks")
    second_store.commit("search", "clicks", 0)
    arguments = ("--logstore", f"here={store.folder}", "--logstore", f"there={second_store.folder}")
    first = Daemon(*arguments, "--record", str(recording))
    rewind(first, store)
    first.stop(signal.SIGKILL)
    recorded = len(lines(recording))
    with recording.open("a") as file:
        file.write('{"cluster":"here","t":17')
    with Daemon(*arguments, "--record", str(recording)) as second:
        second.page_when(lambda _: len(recording.read_text().splitlines()) >= recorded + 4 and '"there"' in recording.read_text())
    assert {line["cluster"] for line in lines(recording)} == {"here", "there"}
    code, output, errors = run("replay", str(recording))
    assert code == 0, errors
    judged = [json.loads(line) for line in output.splitlines()]
    assert [line["rewound"] for line in judged if line["cluster"] == "here"][-1] == 4
    assert {line["group"] for line in judged if line["cluster"] == "there"} == {"search"}
