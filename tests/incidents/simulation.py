"""A topic, its log, and a group that reads it, second by second."""

import bisect

EPOCH = 1780000000
CHECK_S = 5  # how often the hidden state is looked at for the truth


class Simulation:
    """A topic, its log, and one group that reads it. A family sets what deviates from the ordinary."""

    def __init__(self, rng, family):
        self.rng, self.family = rng, family
        self.length = rng.randrange(6000, 12000)
        self.partitions = rng.choice([1, 2, 3, 4, 6, 8])
        self.members = rng.randint(1, self.partitions)
        self.rate = rng.choice([0.06, 0.5, 1.4, 11, 40, 300, 10000])  # messages a second, of the topic
        self.shares = [1 / self.partitions] * self.partitions
        self.headroom = rng.uniform(1.5, 4)  # the group's capacity, in multiples of the rate
        self.commit_s = rng.choice([1, 1, 5, 5, 30])
        self.cycle_s = None  # works only once in so long
        self.delay_s = 0  # leaves alone what is younger
        self.marked = False  # the topic is written by transactions, each of which ends with a marker
        self.may_take_s = None  # max.poll.interval.ms, where the members' is told
        self.hidden = set()  # partitions that aren't there yet
        self.turn_s = None  # reads its partitions in turn, each for so long
        self.retention_s = rng.choice([24, 72, 168]) * 3600
        self.retained = None  # messages a partition, where the log is kept by size
        self.compacted_after_s = None  # min.compaction.lag.ms, where the cleaner compacts
        self.segment_s = 600
        self.write = lambda t: 1.0  # factor of the rate
        self.speed = lambda t: 1.0  # factor of the capacity,
        self.speeds = lambda t, p: self.speed(t)  # and of that for one partition
        self.events = []  # (second, function of the simulation)
        # --- how it is recorded ---
        self.begins_s, self.interval_s = 0, 15
        self.poll_gaps = []
        self.missed = 0.0  # share of the polls
        self.missing = []  # fields that are never given
        self.sometimes_missing = []  # fields that one poll in ten lacks
        self.clock_s = 0.0  # by how much the broker's clock is ahead
        self.age_s = 3 * 3600  # of the log, when the recording begins
        # --- the state ---
        self.live = self.members  # who really lives
        self.seen = self.members  # whom the coordinator counts
        self.generation = rng.randrange(3, 40)
        self.paused_until = -1  # a rebalance is under way
        self.blocked = set()  # partitions that nobody gets ahead on
        self.beyond_since = None  # the topic was made again, and the bookmark was left where it stood
        self.rebalances, self.resets_forward, self.resets_back = [], [], []
        self.skipped = self.rewound = self.lost = 0

    # --- what happens to it ---

    def at(self, second, what):
        self.events.append((int(second), what))

    def rebalance(self, seen=None, pause_s=None):
        if seen is not None:
            self.seen = self.live = seen
        self.generation += 1
        self.rebalances.append(self.t)
        self.paused_until = self.t + (self.rng.randint(2, 8) if pause_s is None else pause_s)

    def leave(self):
        self.rebalance(0)

    def come_back(self):
        self.rebalance(self.members)

    def crash(self):
        """Everybody is gone, and the coordinator learns of it by the session timeout."""
        self.live = 0
        self.at(self.t + 45, Simulation.leave)

    def make_again(self):
        """The topic is deleted and made again, and the bookmark stays where it stood."""
        self.beyond_since = self.t
        self.ends = [[0] * len(ends) for ends in self.ends]
        self.start = [0] * self.partitions

    def restore(self, back_s):
        """The broker is restored from a backup: what was written since then is gone."""
        self.beyond_since = self.t
        for ends in self.ends:
            left = ends[max(0, len(ends) - 1 - back_s)]
            ends[:] = [min(end, left) for end in ends]

    def reset(self, shift):
        """Moves the bookmark of an empty group."""
        for p in range(self.partitions):
            target = min(self.last(p, -1), max(self.start[p], shift(self, p)))
            moved = target - self.read[p]
            if moved >= 50:
                self.skipped += moved
                self.resets_forward.append(self.t)
            elif moved < 0:
                self.rewound -= moved
                self.resets_back.append(self.t)
            self.read[p] = self.committed[p] = target

    # --- second by second ---

    def _poisson(self, mean):
        if mean > 30:
            return max(0, round(self.rng.gauss(mean, mean**0.5)))
        count, product, limit = 0, self.rng.random(), 2.718281828459045 ** -mean
        while product > limit:
            count += 1
            product *= self.rng.random()
        return count

    def last(self, p, t):
        """The end before second t, without a trailing marker: a reader gets no further."""
        end = self.ends[p][t]
        return end - 1 if self.marked and end > self.ends[p][0] else end

    def unread(self, p, offset):
        """Messages from that offset on, which may be before what is still there."""
        return max(0, self.last(p, -1) - max(offset, self.start[p]))

    def written_at(self, p, offset):
        """The second in which the message was written, before the recording's beginning too."""
        base = self.ends[p][0]
        if offset < base:
            return -(base - offset) / max(1e-6, self.rate * self.shares[p])
        return bisect.bisect_right(self.ends[p], offset)

    def run(self):
        past = [self.retained or max(60, int(self.age_s * self.rate * share)) for share in self.shares]
        base = [self.rng.randrange(10**6) for _ in past]
        self.ends = [[base[p] + past[p]] for p in range(self.partitions)]  # ends[p][t]: before second t
        self.start = list(base)
        self.read = [ends[0] for ends in self.ends]
        self.committed = list(self.read)
        self.begin()
        self.polls, self.truth = [], []
        next_poll = self.rng.random() * 15
        for self.t in range(self.length):
            for second, what in [event for event in self.events if event[0] == self.t]:
                what(self)
            self._write()
            self._read()
            if self.t % 60 == 0:
                self._retain()
            if self.t >= next_poll:
                next_poll += self.interval_s + self.rng.uniform(-0.8, 0.8)
                away = any(begin <= self.t < end for begin, end in self.poll_gaps)
                if self.t >= self.begins_s and not away and self.rng.random() >= self.missed:
                    self.polls.append(self._observe())
            if self.t % CHECK_S == 0:
                self.truth.append(self._look())

    def begin(self):
        """For families whose group doesn't begin at the end."""

    def _write(self):
        for p in range(self.partitions):
            if p in self.hidden:
                self.ends[p].append(self.ends[p][-1])
                continue
            written = self._poisson(self.rate * self.shares[p] * self.write(self.t))
            self.ends[p].append(self.ends[p][-1] + written + (self.marked and written > 0))

    def _read(self):
        if self.live == 0 or self.t < self.paused_until:
            return
        working = self.cycle_s is None or self.t % self.cycle_s < max(20, self.cycle_s // 10)
        turn = None if self.turn_s is None else self.t // self.turn_s % self.partitions
        for p in range(self.partitions):
            if p in self.blocked or not working or turn not in (None, p):
                continue
            self.read[p] = max(self.read[p], self.start[p])
            # What a second leaves over is kept as a chance, so that slow readers are no saw.
            mean = self.rate * self.shares_of_capacity[p] * self.headroom * self.speeds(self.t, p)
            able = mean * (10 if self.cycle_s else self.partitions if self.turn_s else 1)
            able = int(able) + (self.rng.random() < able % 1)
            end = self.last(p, max(0, self.t + 1 - self.delay_s))
            self.read[p] = max(self.read[p], min(end, self.read[p] + able))
        done = self.cycle_s is None or self.t % self.cycle_s == max(20, self.cycle_s // 10) - 1
        if done and self.t % self.commit_s == 0 or done and self.cycle_s:
            self.committed = [self.committed[p] if p in self.blocked else self.read[p] for p in range(self.partitions)]

    @property
    def shares_of_capacity(self):
        return [1 / self.partitions] * self.partitions

    def _retain(self):
        """Whole segments go when their last message is too old."""
        edge = self.t - self.retention_s
        edge -= edge % self.segment_s
        for p in range(self.partitions):
            base = self.ends[p][0]
            if self.compacted_after_s is not None:
                start = base - 10
            elif self.retained is not None:
                start = self.ends[p][-1] - self.retained
                start -= start % max(1, self.retained // 20)
            elif edge >= 0:
                start = self.ends[p][min(edge, len(self.ends[p]) - 1)]
            else:
                start = base + int(edge * max(1e-6, self.rate * self.shares[p]))
            if start > self.start[p] and start > 0:
                self.lost += max(0, start - max(self.read[p], self.start[p]))
                self.start[p] = start

    # --- what is seen ---

    def _observe(self):
        now = EPOCH + self.t + 0.99
        partitions, offsets = [], []
        for p in range(self.partitions):
            if p in self.hidden:
                continue
            end = self.ends[p][-1]
            partitions.append({"partition": p, "start": self.start[p], "end": end})
            if self.start[p] < end:
                partitions[-1]["start_ts"] = self._stamp(p, self.start[p])
            offsets.append({"topic": "events", "partition": p, "committed": self.committed[p]})
            if self.unread(p, self.committed[p]) > 0:
                offsets[-1]["next_ts"] = self._stamp(p, max(self.committed[p], self.start[p]))
        state = "Empty" if self.seen == 0 else "PreparingRebalance" if self.t < self.paused_until - 1 else "Stable"
        topic = {"topic": "events", "config": self._config(), "partitions": partitions}
        group = {"group": "readers", "state": state, "members": self.seen, "generation": self.generation, "offsets": offsets}
        if self.may_take_s is not None:
            group["rebalance_timeout_ms"] = self.may_take_s * 1000
        lacks = [*self.missing, *(field for field in self.sometimes_missing if self.rng.random() < 0.1)]
        for row in [*partitions, *offsets, group, topic]:
            for field in lacks:
                row.pop(field, None)
        return {
            "line": {"t": now, "cluster": "made", "topics": [topic], "groups": [group]},
            "time_lag": round(max(0, *(self._lag_s(p, self.committed[p]) for p in range(self.partitions))), 1),
        }

    def _stamp(self, p, offset):
        return EPOCH + round(self.written_at(p, offset) + self.clock_s, 1)

    def _config(self):
        if self.compacted_after_s is not None:
            return {"cleanup.policy": "compact", "min.compaction.lag.ms": self.compacted_after_s * 1000}
        if self.retained is not None:
            return {"cleanup.policy": "delete", "retention.ms": -1, "retention.bytes": self.retained * 500}
        return {"cleanup.policy": "delete", "retention.ms": self.retention_s * 1000}

    def _lag_s(self, p, offset):
        return self.t - self.written_at(p, max(offset, self.start[p])) if self.unread(p, offset) > 0 else 0

    def _look(self):
        everywhere = range(self.partitions)
        return {
            "t": self.t,
            "live": self.live,
            "seen": self.seen,
            "lags": [self._lag_s(p, self.read[p]) for p in everywhere],
            "unread": [self.unread(p, self.read[p]) for p in everywhere],
            "read": list(self.read),
            "below": any(self.start[p] > self.read[p] for p in everywhere),
            "uncommitted": sum(self.unread(p, self.committed[p]) for p in everywhere),
            "unsaved": any(self.start[p] > self.committed[p] for p in everywhere),
            "start": list(self.start),
            "end": [self.ends[p][-1] for p in everywhere],
        }
