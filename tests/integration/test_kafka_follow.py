"""Commits and rebalances learnt from __consumer_offsets, on a real broker: what the page says is exact, whatever
stands in that topic."""

import itertools
import json
import signal
import struct
import urllib.error
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, TopicPartition

import exposition
import kafka_wire
from daemon import Daemon, run
from kafka_offsets_topic import FOLLOWED, commit_key, commit_value, offsets_from, partition_of, string, wait_following, write_record
from kafka_schema import coordinator_schemas, record, versions_of
from kafka_traffic import QUIET, commit, members, produce, transaction
from page_watch import PageWatch
from processes import PATIENCE_S, wait_until

_numbers = itertools.count()
# Earlier brokers have the new protocol (KIP-848) only as a preview.
new_protocol = pytest.mark.since(4, 0)


@pytest.fixture
def name():
    """A prefix for the topics and groups of one test."""
    return f"follow{next(_numbers)}-"


def test_commits_are_followed_and_the_source_says_so(kafka, name):
    """A group commits before and after the daemon has begun to follow."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    produce(kafka, topic, {0: 10, 1: 10})
    commit(kafka, group, topic, {0: 4})
    where = {"cluster": "default", "consumergroup": group, "topic": topic}
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        assert offsets_from(daemon)["offsets"] == "topic"
        daemon.page_when(lambda page: page.by("tidemark_source_info", "offsets", "rebalances") == {("topic", "exact"): 1})
        page = daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where, partition="0") == 6)
        assert commits_on(page, where) == {"0": 4}
        commit(kafka, group, topic, {0: 9, 1: 2})
        page = daemon.page_when(lambda page: page.get_int("kafka_consumergroup_lag", **where, partition="1") == 8)
        assert commits_on(page, where) == {"0": 9, "1": 2}
        # Where it is followed; but now and then a group is asked nevertheless.
        wait_until(lambda: b"commit_ts" in daemon.get(f"/api/v1/groups/{group}?cluster=default"), what="the time of a commit")


def test_the_first_poll_asks_and_the_topic_is_read_in_the_background(kafka, name):
    """A page of one poll: the lag is there, and it says that the topic is only being read yet."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    commit(kafka, group, topic, {0: 4})
    code, printed, errors = run("serve", "--kafka", kafka.bootstrap, "--timeout", "60s", "--once")
    assert code == 0, errors
    page = exposition.parse(printed)
    assert page.by("kafka_consumergroup_lag", "consumergroup", "topic", "partition")[group, topic, "0"] == 6
    assert page.by("tidemark_source_info", "offsets", "rebalances") == {("admin", "sampled"): 1}


def test_what_is_deleted_leaves_the_page(kafka, name):
    """By Kafka's own tool the commits of a group on one topic are deleted, and then the whole group."""
    kept, deleted, group = f"{name}kept", f"{name}deleted", f"{name}billing"
    tool = ["org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "kafka.admin.ConsumerGroupCommand"]
    for topic in (kept, deleted):
        kafka.create_topic(topic, 2)
        produce(kafka, topic, {0: 10, 1: 10})
        commit(kafka, group, topic, {0: 4, 1: 5})

    def shown(page):
        lags = page.by("kafka_consumergroup_lag", "consumergroup", "topic", "partition")
        return {series[1:]: lag for series, lag in lags.items() if series[0] == group}

    of_kept, of_deleted = ({(topic, "0"): 6, (topic, "1"): 5} for topic in (kept, deleted))
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        daemon.page_when(lambda page: shown(page) == {**of_kept, **of_deleted})
        kafka.tool(tool, "--delete-offsets", "--group", group, "--topic", deleted)
        daemon.page_when(lambda page: shown(page) == of_kept)
        kafka.tool(tool, "--delete", "--group", group)
        daemon.page_when(lambda page: all(dict(labels).get("consumergroup") != group for _, labels in page))
        assert offsets_from(daemon)["offsets"] == "topic"


def commits_on(page, where):
    shown = page.by("kafka_consumergroup_current_offset", "consumergroup", "topic", "partition")
    return {series[2]: value for series, value in shown.items() if series[:2] == (where["consumergroup"], where["topic"])}


def page_commits(daemon, where):
    return commits_on(daemon.page(), where)


def rebalances(daemon, group):
    return daemon.page().get_int("kafka_consumergroup_rebalances_total", cluster="default", consumergroup=group)


class Survivor:
    """A member that takes part in every rebalance of its group, and counts them."""

    def __init__(self, kafka, group, topic):
        self.settings = {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "heartbeat.interval.ms": "100",
            **QUIET,
        }
        self.topic = topic
        self.rebalances = 0
        self.consumer = Consumer(self.settings)
        self.consumer.subscribe([topic], on_assign=self._assigned)
        self._wait_for_another(0)

    def _assigned(self, *_):
        self.rebalances += 1

    def _wait_for_another(self, before, *others):
        def done():
            for consumer in (self.consumer, *others):
                consumer.poll(0.02)
            return self.rebalances > before

        wait_until(done, what="a rebalance", pause=0)

    def see_one_come_and_go(self):
        other, before = Consumer(self.settings), self.rebalances
        other.subscribe([self.topic])
        self._wait_for_another(before, other)
        before = self.rebalances
        other.close()
        self._wait_for_another(before)


@contextmanager
def looking_away(daemon):
    """All that happens inside the block happens between two polls, or during one that has begun before."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_rebalances_between_two_polls_are_all_counted(kafka, name):
    """Members come and go while the daemon doesn't look; each rebalance raises the generation by 1."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 4)
    survivor = Survivor(kafka, group, topic)
    try:
        with Daemon("--kafka", kafka.bootstrap) as daemon:
            wait_following(daemon)
            wait_until(lambda: group_values(daemon, group)["members"] == 1, what="the survivor")
            first, before = rebalances(daemon, group), survivor.rebalances
            with looking_away(daemon):
                survivor.see_one_come_and_go()
                survivor.see_one_come_and_go()
            happened = survivor.rebalances - before
            assert happened >= 4
            wait_until(lambda: rebalances(daemon, group) == first + happened, what=f"{first} and {happened} rebalances")
    finally:
        survivor.consumer.close()


def group_values(daemon, group):
    page = daemon.page()
    names = ("members", "static_members", "idle_members", "session_timeout_seconds", "rebalance_timeout_seconds")
    return {what: page.get_int(f"kafka_consumergroup_{what}", cluster="default", consumergroup=group) for what in names}


def test_time_outs_and_members_are_as_the_members_declared_them(kafka, name):
    """Two members, one of them static, on a topic of one partition."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    settings = {"session_timeout_ms": "7000", "max_poll_interval_ms": "90000"}
    expected = {
        "members": 2,
        "static_members": 1,
        "idle_members": 1,
        "session_timeout_seconds": 7,
        "rebalance_timeout_seconds": 90,
    }
    with members(kafka, group, [topic], **settings) as first, Daemon("--kafka", kafka.bootstrap) as daemon:
        other = Consumer({**TIMES, "bootstrap.servers": kafka.bootstrap, "group.id": group, "group.instance.id": "fixed", **QUIET})
        try:
            other.subscribe([topic])
            wait_until(lambda: poll(*first, other) or group_values(daemon, group) == expected, what=f"{expected}", pause=0)
        finally:
            other.close()


def listed(daemon, group):
    """[(client id, host, partitions)] of the group's members, and how many there are; neither before the group was seen."""
    try:
        answer = json.loads(daemon.get(f"/api/v1/groups/{group}?cluster=default"))
    except urllib.error.HTTPError as unknown:
        assert unknown.code == 404
        return [], None
    found = [(member["client_id"], member["host"], member.get("partitions")) for member in answer.get("member_list", [])]
    return sorted(found), answer.get("members")


def way(daemon):
    return offsets_from(daemon).get("offsets")


@pytest.mark.parametrize("offsets", ["admin", "topic"])
def test_members_are_listed_with_what_they_have_to_do(kafka, name, offsets, tmp_path):
    """The names that members give themselves are markup; described or followed, they are the same."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    names = ["<img src=x onerror=alert(1)>", "\"'&{{</td><script>"]
    expected = [(client_id, "/127.0.0.1", 1) for client_id in sorted(names)], 2
    file = tmp_path / "tidemark.json"
    file.write_text(json.dumps({"sources": [{"name": "default", "kafka": kafka.bootstrap, "offsets": offsets}]}))
    with members(kafka, group, [topic], client_id=names[0]) as first, Daemon("--config", file) as daemon:
        other = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, "client.id": names[1], **TIMES, **QUIET})
        try:
            other.subscribe([topic])
            wait_until(lambda: poll(*first, other) or (way(daemon), listed(daemon, group)) == (offsets, expected), what="both", pause=0)
            page = daemon.get(f"/groups/{group}?cluster=default").decode()
        finally:
            other.close()
        assert "&lt;img src=x onerror=alert(1)&gt;</span>" in page and "&quot;&#39;&amp;{{&lt;/td&gt;&lt;script&gt;</span>" in page
        assert "<img" not in page and "<script>" not in page
        wait_until(lambda: poll(*first) or listed(daemon, group) == ([(names[0], "/127.0.0.1", 2)], 1), what="that one has left", pause=0)


TIMES = {"session.timeout.ms": "9000", "max.poll.interval.ms": "60000", "heartbeat.interval.ms": "200"}


def poll(*consumers):
    for consumer in consumers:
        consumer.poll(0.05)


def test_an_empty_group_is_known_with_the_time_since_when(kafka, name):
    """Its last member leaves; the broker notes when, and from then its commits have their time to live."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 3})
    with members(kafka, group, [topic]) as (member,):
        member.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        daemon.page_when(
            lambda page: page.by("kafka_consumergroup_offsets_expire_timestamp_seconds", "consumergroup").get((group,)) is not None
        )


def test_an_open_transaction_of_commits_hides_nothing_of_the_others(kafka, name):
    """A producer has sent a group's offsets in a transaction that it doesn't end; the topic can't be read beyond, and
    a second group commits on the same partition of it."""
    topic = f"{name}orders"
    first = f"{name}a"
    second = next(f"{name}b{i}" for i in itertools.count() if partition_of(kafka, f"{name}b{i}") == partition_of(kafka, first))
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    commit(kafka, first, topic, {0: 1})
    commit(kafka, second, topic, {0: 1})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        committed = lambda page, group: commits_on(page, {"consumergroup": group, "topic": topic}).get("0")  # noqa: E731
        reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": first, **QUIET})
        with transaction(kafka, topic, {0: 1}, f"{name}tx") as producer:
            producer.send_offsets_to_transaction([TopicPartition(topic, 0, 5)], reader.consumer_group_metadata(), PATIENCE_S)
            commit(kafka, second, topic, {0: 7})
            page = daemon.page_when(lambda page: committed(page, second) == 7 and committed(page, first) is not None)
            assert committed(page, first) == 1
        daemon.page_when(lambda page: committed(page, first) == 5)
        reader.close()


def anomalies(daemon, kind):
    return daemon.page().get_int("tidemark_anomalies_total", cluster="default", kind=kind)


def write_until_shown(daemon, write, group, topic, offset):
    """Writes a commit that no coordinator knows of. If it is the group's turn to be asked just when that is read, it is
    found wrong before it was ever shown, and is written again."""
    repaired = anomalies(daemon, "offset_repaired")
    write()

    def is_shown():
        nonlocal repaired
        now = anomalies(daemon, "offset_repaired")
        if now != repaired:
            repaired = now
            write()
        return page_commits(daemon, {"consumergroup": group, "topic": topic}) == {"0": offset}

    wait_until(is_shown, what=f"the commit of {offset}")


def test_records_that_nobody_understands_are_counted_and_asked_about(own_kafka, name):
    """Later versions, damaged values, unknown kinds and no key at all; then one that is right, which the coordinator
    never wrote. When another one of a later version follows, it is asked what the group has committed, long before it
    is the group's turn to be asked anyway."""
    kafka = own_kafka()
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    commit(kafka, group, topic, {0: 4})
    partition = partition_of(kafka, group)
    hostile = [
        (commit_key(group, topic, 0), struct.pack(">h", 99) + bytes(40)),
        (commit_key(group, topic, 0), commit_value(9)[:-5]),
        (struct.pack(">h", 2) + string(group), struct.pack(">h", 3) + b"\xff" * 9),
        (struct.pack(">h", 777) + string(group), b"?"),
        (b"\x00", b""),
        (commit_key(group, topic, 0)[:9], commit_value(9)),
    ]
    # It is the group's turn every 64 polls, so later than anything is waited for here.
    with Daemon("--kafka", kafka.bootstrap, poll_interval="3s") as daemon:

        def known_commits(page):
            return commits_on(page, {"consumergroup": group, "topic": topic})

        def wait_for(offset):
            daemon.page_when(lambda page: known_commits(page) == {"0": offset})

        wait_following(daemon)
        before = anomalies(daemon, "unknown_record")
        for key, value in hostile:
            write_record(kafka, partition, key, value)
        wait_until(lambda: anomalies(daemon, "unknown_record") == before + len(hostile), what="that all are counted")
        assert known_commits(daemon.page_when(known_commits)) == {"0": 4}
        write_until_shown(daemon, lambda: write_record(kafka, partition, commit_key(group, topic, 0), commit_value(8)), group, topic, 8)
        write_record(kafka, partition, *hostile[0])
        wait_for(4)
        commit(kafka, group, topic, {0: 6})
        wait_for(6)


@pytest.mark.since(4, 0)
def test_every_version_of_every_record_is_understood(own_kafka, name):
    """Records of every version, encoded by the broker's own schemas: once with all that may be null, once without. Of
    a group that commits and of its members the page says what they say; what is of share and streams groups and the
    like is known to be of no use."""
    kafka = own_kafka()
    schemas = coordinator_schemas(kafka.kafka)
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 100})
    commit(kafka, group, topic, {0: 1})
    named = {"group": group.encode(), "GroupId": group.encode(), "groupId": group.encode()}
    place = {**named, "topic": topic.encode(), "partition": 0}
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)

        def write(kind, version, key, value, nulls):
            write_record(kafka, partition_of(kafka, group), *record(schemas[kind], version, key, value, nulls))

        def shows(**expected):
            wait_until(lambda: group_values(daemon, group).items() >= expected.items(), what=f"{expected}")

        offset = 1
        for kind, version, nulls in all_versions(schemas, "LegacyOffsetCommit", "OffsetCommit"):
            offset += 1
            write_until_shown(daemon, lambda: write(kind, version, place, {"offset": offset}, nulls), group, topic, offset)
        for kind, version, nulls in all_versions(schemas, "GroupMetadata"):
            offset += 1
            member = {"sessionTimeout": 1000 * offset, "rebalanceTimeout": 2000 * offset, "assignment": b""}
            write(kind, version, place, {"protocolType": b"consumer", "generation": offset, "members": [member]}, nulls)
            shows(session_timeout_seconds=offset, rebalance_timeout_seconds=2 * offset if version >= 1 else None)
        for kind in sorted(set(schemas) - {"LegacyOffsetCommit", "OffsetCommit", "GroupMetadata"}):
            for _, version, nulls in all_versions(schemas, kind):
                write(kind, version, {**place, "MemberId": b"member"}, {"RebalanceTimeoutMs": 3000}, nulls)
        shows(members=1, rebalance_timeout_seconds=3, static_members=0)
        assert anomalies(daemon, "unknown_record") == 0
        write_record(kafka, partition_of(kafka, group), struct.pack(">h", 1 + max(key["apiKey"] for key, _ in schemas.values())), b"?")
        wait_until(lambda: anomalies(daemon, "unknown_record") == 1, what="that a later kind is counted")


def all_versions(schemas, *kinds):
    return [(kind, version, nulls) for kind in kinds for version in versions_of(schemas[kind][1]) for nulls in (False, True)]


@pytest.mark.since(3, 3)
def test_a_cluster_that_lost_everything_is_followed_anew(own_kafka):
    """The broker comes back with an empty disk, where a group of the same name commits less often than before: what
    was read of the topic that is no more is never shown."""
    kafka = own_kafka()
    kafka.create_topic("orders", 2)
    produce(kafka, "orders", {0: 10, 1: 10})
    where = {"cluster": "default", "consumergroup": "billing", "topic": "orders"}
    seen = set()

    class Watch(PageWatch):
        def look(self, page):
            seen.update(page.by("kafka_consumergroup_current_offset", "partition").items())

    with Daemon("--kafka", kafka.bootstrap) as daemon:
        for offset in range(10):
            commit(kafka, "billing", "orders", {0: offset, 1: 8})
        wait_following(daemon)
        daemon.page_when(lambda page: page.get_int("kafka_consumergroup_current_offset", **where, partition="0") == 9)
        kafka.nodes[0].lose_data()
        kafka.start()
        daemon.page_when(lambda page: not page.by("kafka_consumergroup_members", "consumergroup"))
        with Watch(daemon) as watch:
            kafka.create_topic("orders", 2)
            produce(kafka, "orders", {0: 10, 1: 10})
            commit(kafka, "billing", "orders", {0: 3})
            daemon.page_when(lambda page: commits_on(page, where) == {"0": 3})
            wait_following(daemon)
            before = watch.pages
            wait_until(lambda: watch.pages > before + 20, what="pages of what is followed")
            daemon.page_when(lambda page: commits_on(page, where) == {"0": 3})
        assert seen == {(("0",), 3)}, "what was committed to the cluster as it was"


def test_what_the_topic_says_and_the_coordinator_denies_is_found_and_repaired(own_kafka, name):
    """Records that the coordinator never wrote, so that a group's commits are others than what is followed; and of
    another group they say that there are none, so that nothing is known of it."""
    kafka = own_kafka()
    topic, group, erased = f"{name}orders", f"{name}billing", f"{name}erased"
    kafka.create_topic(topic, 2)
    produce(kafka, topic, {0: 10, 1: 10})
    commit(kafka, group, topic, {0: 4})
    commit(kafka, erased, topic, {0: 3})
    with Daemon("--kafka", kafka.bootstrap, poll_interval="100ms") as daemon:
        wait_following(daemon)
        before = anomalies(daemon, "offset_repaired")
        write_record(kafka, partition_of(kafka, group), commit_key(group, topic, 0), commit_value(9))
        write_record(kafka, partition_of(kafka, group), commit_key(group, topic, 1), commit_value(9))
        write_record(kafka, partition_of(kafka, erased), commit_key(erased, topic, 0), None)
        wait_until(lambda: anomalies(daemon, "offset_repaired") == before + 3, what="the repair")

        def wait_for(repaired, offset):
            where = {"consumergroup": repaired, "topic": topic}
            daemon.page_when(lambda page: commits_on(page, where) == {"0": offset})

        wait_for(group, 4)
        wait_for(erased, 3)
        commit(kafka, erased, topic, {0: 7})
        wait_for(erased, 7)


def test_admin_is_kept_where_it_is_configured(kafka, name, tmp_path):
    """`offsets: admin` never reads the topic, and a wrong word is refused with the right ones."""
    file = tmp_path / "tidemark.json"
    source = {"name": "east", "kafka": kafka.bootstrap, "offsets": "admin"}
    file.write_text(json.dumps({"sources": [source]}))
    with Daemon("--config", file) as daemon:
        wait_until(lambda: "configuration" in offsets_from(daemon).get("offsets_because", ""), what="the first poll")
        assert (offsets_from(daemon)["offsets"], offsets_from(daemon)["rebalances"]) == ("admin", "sampled")
    file.write_text(json.dumps({"sources": [{**source, "offsets": "guess"}]}))
    code, _, errors = run("serve", "--config", file, "--once")
    assert code != 0 and "auto, admin or topic" in errors


def test_rebalances_are_sampled_where_the_topic_is_not_read(kafka, name, tmp_path):
    """`offsets: admin`: a member comes and goes, and each time the daemon has seen the group at rest."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 2)
    file = tmp_path / "tidemark.json"
    file.write_text(json.dumps({"sources": [{"name": "default", "kafka": kafka.bootstrap, "offsets": "admin"}]}))
    with members(kafka, group, [topic]) as (first,), Daemon("--config", file) as daemon:

        def at_rest(count):
            values = group_values(daemon, group)
            return (values["members"], values["idle_members"]) == (count, 0)  # unknown while it rebalances

        def wait_for(count, *consumers):
            wait_until(lambda: poll(*consumers) or at_rest(count), what=f"{count} members at rest", pause=0)

        wait_for(1, first)
        before = rebalances(daemon, group)
        other = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, **TIMES, **QUIET})
        try:
            other.subscribe([topic])
            wait_for(2, first, other)
        finally:
            other.close()
        wait_for(1, first)
        assert rebalances(daemon, group) >= before + 2
        assert daemon.page().by("tidemark_source_info", "rebalances") == {("sampled",): 1}


class Lags(PageWatch):
    """Holds each lag of the group that was ever shown."""

    def __init__(self, daemon, group):
        super().__init__(daemon)
        self.group, self.lags = group, set()

    def look(self, page):
        self.lags.add(page.by("kafka_consumergroup_lag", "consumergroup").get((self.group,)))


def test_reloads_change_how_commits_are_learnt(kafka, name, tmp_path):
    """Again and again, also while the topic is read for the first time; the lag never vanishes and is never another."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    commit(kafka, group, topic, {0: 3})
    file = tmp_path / "tidemark.json"
    because = {"admin": "the configuration says so", "topic": FOLLOWED}

    def write(offsets):
        source = {"name": "default", "kafka": kafka.bootstrap, "offsets": offsets, "groups": {"include": [group]}}
        file.write_text(json.dumps({"sources": [source], "timeout": "60s"}))

    write("topic")
    with Daemon("--config", file) as daemon:
        daemon.page_when(lambda page: page.by("kafka_consumergroup_lag", "consumergroup") == {(group,): 7})
        with Lags(daemon, group) as watch:
            for number, offsets in enumerate(["admin", "topic"] * 4, 1):
                write(offsets)
                daemon.process.send_signal(signal.SIGHUP)
                wait_until(lambda number=number: daemon.logged().count("configuration reloaded") == number, what="the reload")
                if number > 4:  # the ones before follow each other without a pause
                    wait_until(lambda because=because[offsets]: offsets_from(daemon)["offsets_because"] == because, what=offsets)
        assert watch.lags == {7}
        commit(kafka, group, topic, {0: 8})
        daemon.page_when(lambda page: page.by("kafka_consumergroup_lag", "consumergroup") == {(group,): 2})


@pytest.mark.once
@new_protocol
def test_new_protocol_groups_are_known_in_full(kafka, name):
    """KIP-848: Kafka's own consumer of the new protocol, a second one after the first, on a topic of one partition."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 1)
    produce(kafka, topic, {0: 10})
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        with kafka.console_consumer(topic, group):
            wait_until(lambda: group_values(daemon, group)["members"] == 1, what="the first member")
            with kafka.console_consumer(topic, group):
                expected = {"members": 2, "static_members": 0, "idle_members": 1, "session_timeout_seconds": None, "rebalance_timeout_seconds": 300}
                wait_until(lambda: group_values(daemon, group) == expected, what=f"{expected}")
                both = [("console-consumer", "/127.0.0.1", assigned) for assigned in (0, 1)], 2
                wait_until(lambda: listed(daemon, group) == both, what=f"{both}")
                wait_until(lambda: page_commits(daemon, {"consumergroup": group, "topic": topic}) == {"0": 10}, what="its commit")
                begun = rebalances(daemon, group)
                assert begun >= 1, "the second member came while the first was there"
        wait_until(lambda: group_values(daemon, group)["members"] == 0, what="that both are gone")
        assert rebalances(daemon, group) >= begun + 2


@new_protocol
def test_rebalances_of_the_new_protocol_between_two_polls_are_all_counted(kafka, name):
    """Members come and go while the daemon doesn't look; the broker tells each the group's epoch,
    which every rebalance raises by 1. One is static, and the timeout is the longest that any declares."""
    topic, group = f"{name}orders", f"{name}billing"
    kafka.create_topic(topic, 4)

    def member(**declared):
        return kafka_wire.Member(kafka.bootstrap, group.encode(), [topic.encode()], **declared)

    survivor = member(instance=b"fixed", rebalance_timeout_ms=90_000)
    survivor.join()
    with Daemon("--kafka", kafka.bootstrap) as daemon:
        wait_following(daemon)
        wait_until(lambda: group_values(daemon, group).items() >= (DECLARED | {"members": 1}).items(), what="the survivor")
        first, begun = rebalances(daemon, group), kafka_wire.group_epoch(kafka.bootstrap, group.encode())
        with looking_away(daemon):
            for _ in range(3):
                other = member()
                other.join()
                other.leave()
            last = member()
            last.join()
        raised = kafka_wire.group_epoch(kafka.bootstrap, group.encode()) - begun
        assert raised >= 7
        wait_until(lambda: rebalances(daemon, group) == first + raised, what=f"{first} and {raised} rebalances")
        wait_until(lambda: group_values(daemon, group).items() >= (DECLARED | {"members": 2}).items(), what="both")
        last.leave()


DECLARED = {"static_members": 1, "session_timeout_seconds": None, "rebalance_timeout_seconds": 90}
