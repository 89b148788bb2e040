#!/usr/bin/env python3
"""Makes further recordings with known truth, of kinds that the shipped ones have and of others.

    generate.py DIR --seed 7 --count 60

writes NAME.jsonl and NAME.truth.json into DIR, as README.md describes them, for score.py. The same seed makes the
same recordings. A simulation goes on second by second; what is true is read off its hidden state (what was really
read, who really lives, what was really deleted) by README.md's rules, never off the observations.
"""

import argparse
import bisect
import json
import random
from pathlib import Path

EPOCH = 1780000000
OBJECTIVE_S = 300
CHECK_S = 5  # how often the hidden state is looked at for the truth


class Simulation:
    """A topic, its log, and one group that reads it. A family sets what deviates from the ordinary."""

    def __init__(self, rng, family):
        self.rng, self.family = rng, family
        self.length = rng.randrange(6000, 12000)
        self.partitions = rng.choice([1, 2, 3, 4, 6, 8])
        self.members = rng.randint(1, self.partitions)
        self.rate = rng.choice([0.06, 0.5, 1.4, 11, 40, 300])  # messages a second, of the topic
        self.shares = [1 / self.partitions] * self.partitions
        self.headroom = rng.uniform(1.5, 4)  # the group's capacity, in multiples of the rate
        self.commit_s = rng.choice([1, 1, 5, 5, 30])
        self.cycle_s = None  # works only once in so long
        self.delay_s = 0  # leaves alone what is younger
        self.missing = []  # what the recording lacks: "next_ts", "start_ts", "generation"
        self.retention_s = rng.choice([24, 72, 168]) * 3600
        self.segment_s = 600
        self.write = lambda t: 1.0  # factor of the rate
        self.speed = lambda t: 1.0  # factor of the capacity
        self.events = []  # (second, function of the simulation)
        self.poll_gaps = []
        self.age_s = 3 * 3600  # of the log, when the recording begins
        # --- the state ---
        self.live = self.members  # who really lives
        self.seen = self.members  # whom the coordinator counts
        self.generation = rng.randrange(3, 40)
        self.paused_until = -1  # a rebalance is under way
        self.blocked = set()  # partitions that nobody gets ahead on
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

    def reset(self, shift):
        """Moves the bookmark of an empty group."""
        for p in range(self.partitions):
            target = min(self.ends[p][-1], max(self.start[p], shift(self, p)))
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

    def written_at(self, p, offset):
        """The second in which the message was written, before the recording's beginning too."""
        base = self.ends[p][0]
        if offset < base:
            return -(base - offset) / max(1e-6, self.rate * self.shares[p])
        return bisect.bisect_right(self.ends[p], offset)

    def run(self):
        past = [max(60, int(self.age_s * self.rate * share)) for share in self.shares]
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
                next_poll += 15 + self.rng.uniform(-0.8, 0.8)
                if not any(begin <= self.t < end for begin, end in self.poll_gaps):
                    self.polls.append(self._observe())
            if self.t % CHECK_S == 0:
                self.truth.append(self._look())

    def begin(self):
        """For families whose group doesn't begin at the end."""

    def _write(self):
        for p in range(self.partitions):
            self.ends[p].append(self.ends[p][-1] + self._poisson(self.rate * self.shares[p] * self.write(self.t)))

    def _read(self):
        if self.live == 0 or self.t < self.paused_until:
            return
        working = self.cycle_s is None or self.t % self.cycle_s < max(20, self.cycle_s // 10)
        for p in range(self.partitions):
            if p in self.blocked or not working:
                continue
            self.read[p] = max(self.read[p], self.start[p])
            # What a second leaves over is kept as a chance, so that slow readers are no saw.
            mean = self.rate * self.shares_of_capacity[p] * self.headroom * self.speed(self.t)
            able = mean * (10 if self.cycle_s else 1)
            able = int(able) + (self.rng.random() < able % 1)
            self.read[p] = max(self.read[p], min(self.ends[p][max(0, self.t + 1 - self.delay_s)], self.read[p] + able))
        done = self.cycle_s is None or self.t % self.cycle_s == max(20, self.cycle_s // 10) - 1
        if done and self.t % self.commit_s == 0 or done and self.cycle_s:
            self.committed = list(self.read)

    @property
    def shares_of_capacity(self):
        return [1 / self.partitions] * self.partitions

    def _retain(self):
        """Whole segments go when their last message is too old."""
        edge = self.t - self.retention_s
        edge -= edge % self.segment_s
        for p in range(self.partitions):
            base = self.ends[p][0]
            if edge >= 0:
                start = self.ends[p][min(edge, len(self.ends[p]) - 1)]
            else:
                start = base + int(edge * max(1e-6, self.rate * self.shares[p]))
            if start > self.start[p]:
                self.lost += max(0, start - max(self.read[p], self.start[p]))
                self.start[p] = start

    # --- what is seen ---

    def _observe(self):
        now = EPOCH + self.t + 0.99
        partitions, offsets = [], []
        for p in range(self.partitions):
            end = self.ends[p][-1]
            partitions.append({"partition": p, "start": self.start[p], "end": end})
            if self.start[p] < end:
                partitions[p]["start_ts"] = EPOCH + round(self.written_at(p, self.start[p]), 1)
            offsets.append({"topic": "events", "partition": p, "committed": self.committed[p]})
            first = max(self.committed[p], self.start[p])
            if first < end:
                offsets[p]["next_ts"] = EPOCH + round(self.written_at(p, first), 1)
        state = "Empty" if self.seen == 0 else "PreparingRebalance" if self.t < self.paused_until - 1 else "Stable"
        config = {"cleanup.policy": "delete", "retention.ms": self.retention_s * 1000}
        group = {"group": "readers", "state": state, "members": self.seen, "generation": self.generation, "offsets": offsets}
        for row in [*partitions, *offsets, group]:
            for key in self.missing:
                row.pop(key, None)
        lags = [
            now - EPOCH - self.written_at(p, max(self.committed[p], self.start[p])) if self.committed[p] < self.ends[p][-1] else 0
            for p in range(self.partitions)
        ]
        return {
            "line": {"t": now, "cluster": "made", "topics": [{"topic": "events", "config": config, "partitions": partitions}], "groups": [group]},
            "time_lag": round(max(0, *lags), 1),
        }

    def _look(self):
        lags = []
        for p in range(self.partitions):
            unread = self.read[p] < self.ends[p][-1]
            lags.append(self.t - self.written_at(p, max(self.read[p], self.start[p])) if unread else 0)
        return {
            "t": self.t,
            "live": self.live,
            "seen": self.seen,
            "lags": lags,
            "unread": [max(0, self.ends[p][-1] - max(self.read[p], self.start[p])) for p in range(self.partitions)],
            "read": list(self.read),
            "below": any(self.start[p] > self.read[p] for p in range(self.partitions)),
        }


# --- what is true ------------------------------------------------------------------------------------------


def stretches(looks, holds, least=0):
    """[begin, end] of the times in which holds(look) is true without a break, and for at least so long."""
    found, begin = [], None
    for look in [*looks, None]:
        if look is not None and holds(look):
            begin = look["t"] if begin is None else begin
            last = look["t"]
        elif begin is not None:
            if last - begin >= least:
                found.append((begin, last))
            begin = None
    return found


class Truth:
    def __init__(self, sim):
        self.sim, self.looks = sim, sim.truth
        self.expect, self.tolerate = [], []
        self.worst = [max(look["lags"]) for look in self.looks]
        self.cycle = sim.cycle_s or 0
        if self.cycle > 60:  # a saw is no growth
            back = int(self.cycle * 1.2) // CHECK_S
            self.steady = [min(self.worst[max(0, i - back) : i + 1]) for i in range(len(self.worst))]
        else:
            self.steady = self.worst
        for rule in (self.stopped, self.stuck, self.losing, self.rebalances, self.falling_behind, self.skewed, self.by_hand):
            rule()

    def due(self, condition, begin, end, deadline, severity="critical", any_of=()):
        gap = sum(min(e, self.sim.length) - b for b, e in self.sim.poll_gaps if b < deadline and e > begin)
        deadline += gap
        self.allow(condition, begin, end + (900 if "spiral" in condition or "storm" in condition else 600))
        if deadline + 30 < end and deadline < self.sim.length - 30:
            self.expect.append(
                {"condition": condition, "severity": severity, "any_of": [condition, *any_of], "from": begin, "to": end, "deadline": deadline}
            )

    def allow(self, condition, begin, end):
        self.tolerate.append({"condition": condition, "from": begin, "to": end})

    def stopped(self):
        for begin, end in stretches(self.looks, lambda look: look["live"] == 0):
            self.allow("offsets_expiring", begin, end + 600)
        gone = stretches(self.looks, lambda look: look["live"] == 0 and sum(look["unread"]) > 0, 150)
        for begin, end in gone:
            self.allow("stopped", begin, end + 600)
            if end - begin >= 300:
                # Until the session timeout the coordinator has them alive.
                self.due("stopped", begin, end, begin + 300 + 45, any_of=("stuck",) if begin < 60 else ())
                self.allow("falling_behind", begin + 60, end + 600)
                self.allow("stuck", begin + 150, begin + 345 + 600)

    def stuck(self):
        worst_habit = self.cycle * 1.5
        for p in range(self.sim.partitions):
            begin = None
            for before, look in zip(self.looks, [*self.looks[1:], None]):
                still = look is not None and look["read"][p] == before["read"][p] and before["unread"][p] > 0 and look["live"] > 0
                if still and begin is None:
                    begin = before["t"]
                if not still and begin is not None:
                    lasted = before["t"] - begin
                    if lasted >= max(150, self.cycle * 1.2):
                        self.allow("stuck", begin, before["t"] + 600)
                        self.allow("skewed", begin, before["t"] + 600)
                        self.allow("falling_behind", begin + 60, before["t"] + 600)
                    if lasted >= max(300, worst_habit):
                        hour = [look["read"][p] for look in self.looks if begin - 3600 <= look["t"] <= begin]
                        moves = sum(a != b for a, b in zip(hour, hour[1:]))
                        patience = 300 if self.cycle <= 60 else 2 * self.cycle + 120
                        if begin < 600 or moves < 25:
                            patience = max(patience, 900)
                        self.due("stuck", begin, before["t"], begin + patience)
                    begin = None

    def losing(self):
        retention, horizon = self.sim.retention_s, min(86400, 0.25 * self.sim.retention_s)
        ahead = 600 // CHECK_S

        def overtake(index):
            if index < ahead or self.steady[index] == 0:
                return None
            growth = (self.steady[index] - self.steady[index - ahead]) / 600
            left = max(0, retention - self.steady[index])
            return left / growth if growth > 0.02 else None

        times = {look["t"]: overtake(i) for i, look in enumerate(self.looks)}
        near = lambda limit: lambda look: times[look["t"]] is not None and times[look["t"]] <= limit
        for begin, end in stretches(self.looks, near(1.5 * horizon)):
            self.allow("retention_risk", begin - 600, end + 600)
        for begin, end in stretches(self.looks, near(horizon), 600):
            self.due("retention_risk", begin, end, begin + 600 + (600 if begin < 660 else 0), any_of=("data_lost",))
        below = stretches(self.looks, lambda look: look["below"])
        for begin, end in below:
            self.due("data_lost", begin, end, begin + 120)
            self.allow("data_lost", begin, self.sim.length)
            self.allow("retention_risk", begin - 600, end + 600)

    def rebalances(self):
        times, run = self.sim.rebalances, []
        for time in [*times, 10**9]:
            if run and time - run[-1] > 330:
                self._rebalance_run(run)
                run = []
            run.append(time)

    def _rebalance_run(self, run):
        begin, end = run[0], run[-1]
        if len(run) >= 3 and end - begin >= 480:
            self.allow("rebalance_storm", begin, end + 900)
        if len(run) < 4 or end - begin < 600:
            return
        lags = [(look["t"], worst) for look, worst in zip(self.looks, self.worst) if begin <= look["t"] <= end]
        grown = max(lag for _, lag in lags) - lags[0][1]
        if grown >= 60 and max(lag for _, lag in lags) > 120:
            passed = next(t for t, lag in lags if lag > 120)
            self.due("death_spiral", begin, end, max(begin + 600, run[3] + 120, passed + 60))
            for other in ("stuck", "falling_behind", "skewed", "rebalance_storm"):
                self.allow(other, begin, end + 900)
        elif max(lag for _, lag in lags) < 60:
            self.due("rebalance_storm", begin, end, max(begin + 900, run[3] + 120), "warning")
        if grown >= 50:
            self.allow("death_spiral", begin, end + 900)

    def _quiet(self, t):
        """Whether something graver explains a lag at that time, or it is there on purpose."""
        return any(row["condition"] in ("stopped", "stuck", "death_spiral") and row["from"] <= t <= row["to"] for row in self.expect) or any(
            begin <= t <= end for begin, end in self.replays()
        )

    def replays(self):
        found = []
        for begin in self.sim.resets_back:
            over = next((look["t"] for look, lag in zip(self.looks, self.worst) if look["t"] > begin + 30 and lag < 60), self.sim.length)
            found.append((begin, over))
        return found

    def falling_behind(self):
        level = dict(zip((look["t"] for look in self.looks), self.steady))
        for begin, end in stretches(self.looks, lambda look: level[look["t"]] > OBJECTIVE_S):
            if not any(b <= begin <= e for b, e in self.replays()):
                self.allow("falling_behind", begin, end + 600)
        away = stretches(self.looks, lambda look: level[look["t"]] >= 15, 600)
        for begin, end in away:
            for b, e in stretches(self.looks, lambda look: level[look["t"]] > 50 and begin + 600 <= look["t"] <= end):
                self.allow("falling_behind", b, e)
        back = 300

        def bad(look):
            t = look["t"]
            return level[t] > OBJECTIVE_S and t - back in level and level[t] - level[t - back] > -60 and not self._quiet(t)

        for begin, end in stretches(self.looks, bad, 300):
            grew = max((t for t in level if t <= begin and level[t] < 15), default=0)
            passed_60 = min((t for t in level if grew <= t and level[t] > 60), default=begin)
            self.allow("falling_behind", grew, end + 600)
            deadline = min(begin + 120, max(grew + 900, passed_60 + 300)) + 1.5 * self.cycle
            self.due("falling_behind", grew, end, max(deadline, 600 if begin < 300 else 0), "warning")

    def skewed(self):
        if self.sim.partitions < 3:
            return

        def hot(share, least):
            def holds(look):
                worst = max(range(self.sim.partitions), key=lambda p: look["unread"][p])
                others = sorted(lag for p, lag in enumerate(look["lags"]) if p != worst)
                return look["unread"][worst] >= share * max(1, sum(look["unread"])) and look["lags"][worst] >= least and others[len(others) // 2] <= 20

            return holds

        for begin, end in stretches(self.looks, lambda look: hot(0.5, 30)(look)):
            self.allow("skewed", begin, end + 600)
        for begin, end in stretches(self.looks, hot(0.7, 60), 900):
            if not any(row["condition"] in ("stuck", "stopped") and row["from"] <= end and row["to"] >= begin for row in self.expect):
                self.due("skewed", begin, end, begin + 900, "warning", any_of=("falling_behind",))

    def by_hand(self):
        for time in sorted(set(self.sim.resets_forward)):
            self.due("skipped", time, time + 400, time + 120, "warning")
            self.allow("skipped", time, self.sim.length)
        for begin, end in self.replays():
            self.due("replaying", begin, end, begin + 120, "info")
        for begin, end in stretches(self.looks, lambda look: look["seen"] > self.sim.partitions, 600):
            self.due("idle_members", begin, end, begin + 300, "info")

    def document(self, name):
        def dated(rows):
            return [{key: value + EPOCH if key in ("from", "to", "deadline") else value for key, value in row.items()} for row in rows]

        sim = self.sim
        times = [poll["line"]["t"] for poll in sim.polls]
        grave = [row for row in self.expect if row["severity"] != "info"]
        return {
            "timeline": name,
            "family": sim.family,
            "kind": "incident" if grave else "info" if self.expect else "healthy",
            "story": sim.family.replace("_", " "),
            "observed": {"from": times[0], "to": times[-1], "polls": len(times), "missing": sim.missing, "sometimes_missing": []},
            "groups": {
                "readers": {
                    "present": [times[0], times[-1]],
                    "expect": dated(self.expect),
                    "tolerate": dated(self.tolerate),
                    "lost_messages": sim.lost,
                    "skipped_messages": sim.skipped,
                    "rewound_messages": sim.rewound,
                    "rebalances": len(sim.rebalances),
                    "time_lag": [poll["time_lag"] for poll in sim.polls],
                }
            },
        }


# --- the families ------------------------------------------------------------------------------------------


def steady(sim, rng):
    """Nothing happens but polls that are missed."""
    begin = rng.randrange(1000, 4000)
    sim.poll_gaps = [(begin, begin + rng.randrange(60, 500))]


def bursts(sim, rng):
    """A producer dumps what it has gathered, and a reader that has capacity takes a minute or two for it."""
    period, sim.headroom = rng.randrange(300, 1500), 5
    sim.write = lambda t: 20.0 if t % period < period // 30 else 0.3


def hourly_dump(sim, rng):
    """A job writes once an hour, and is read within four minutes."""
    sim.rate = max(1.4, sim.rate)
    sim.headroom = 10
    sim.write = lambda t: 30.0 if 1800 <= t % 3600 < 1860 else 0.05


def cyclic(sim, rng):
    """A batch reader works once in a while; more often than in the quarter of an hour after which a reader of which
    hardly anything is known is called stuck."""
    sim.cycle_s = rng.choice([120, 300, 600, 800])
    sim.rate, sim.headroom = max(sim.rate, 0.5), 3


def quiet(sim, rng):
    """A few messages an hour."""
    sim.rate, sim.partitions, sim.members, sim.shares = rng.uniform(0.002, 0.01), 1, 1, [1.0]
    sim.headroom = 500


def rolling_deploys(sim, rng):
    """Two deploys, each of which restarts one member after the other."""
    for begin in (rng.randrange(1200, 2500), rng.randrange(4000, 5500)):
        for member in range(min(sim.members, 3)):
            sim.at(begin + 40 * member, Simulation.rebalance)
            sim.at(begin + 40 * member + 20, Simulation.rebalance)


def short_stop(sim, rng):
    """The group is restarted as a whole within two minutes, and catches up."""
    begin = rng.randrange(1500, 4500)
    sim.at(begin, Simulation.leave)
    sim.at(begin + rng.randrange(20, 130), Simulation.come_back)


def hiccups(sim, rng):
    """Every few minutes nothing happens for half a minute, as in a long garbage collection."""
    period, pause = rng.randrange(150, 600), rng.randrange(15, 50)
    sim.headroom = 4
    sim.speed = lambda t: 0.0 if t % period < pause else 1.0


def constant_delay(sim, rng):
    """A reader that waits on purpose until messages are some time old."""
    sim.rate, sim.headroom, sim.delay_s = max(sim.rate, 1.4), 4, rng.randrange(20, 40)


def swinging_speed(sim, rng):
    """Fast and slow by turns: the lag swings, and comes back to nothing."""
    sim.rate, period = max(sim.rate, 1.4), rng.randrange(400, 900)
    sim.headroom = 4
    sim.speed = lambda t: 0.85 / 4 if t % period < period // 2 else 1.0


def long_pause(sim, rng):
    """Once, nothing is read for some minutes."""
    begin, end = rng.randrange(1500, 4000), rng.randrange(150, 260)
    sim.headroom = 5
    sim.speed = lambda t: 0.0 if begin <= t < begin + end else 1.0


def producer_stops(sim, rng):
    """Nothing is written for half an hour or more."""
    begin = rng.randrange(1200, 3000)
    end = begin + rng.randrange(1800, 3000)
    sim.write = lambda t: 0.0 if begin <= t < end else 1.0


def estimated(sim, rng):
    """As steady, without the timestamps of messages: time lag has to be estimated."""
    sim.missing = ["next_ts", "start_ts"]
    hiccups(sim, rng)


def autoscaling(sim, rng):
    """Members come and go with the load, a quarter of an hour apart."""
    for i, begin in enumerate(range(1200, sim.length, rng.randrange(700, 1300))):
        sim.at(begin, lambda s, i=i: s.rebalance(max(1, s.members - i % 2)))


def stop(sim, rng):
    """All members leave and do not come back."""
    sim.at(rng.randrange(1200, sim.length - 1800), Simulation.leave)


def crash_and_return(sim, rng):
    """All members die at once, and are back later."""
    begin = rng.randrange(1200, 3000)
    sim.at(begin, Simulation.crash)
    sim.at(begin + rng.randrange(600, 1800), Simulation.come_back)


def stopped_before(sim, rng):
    """The recording begins when the group has been gone for an hour."""
    sim.live = sim.seen = 0

    def begin():
        for p in range(sim.partitions):
            sim.read[p] -= int(3600 * sim.rate * sim.shares[p])
        sim.committed = list(sim.read)

    sim.rate, sim.begin = max(sim.rate, 0.5), begin
    sim.at(rng.randrange(2500, 4500), Simulation.come_back)


def members_lost(sim, rng):
    """Half of the members die, and the others can't do it alone."""
    sim.partitions = sim.members = rng.choice([2, 4, 6])
    sim.rate, sim.headroom, begin = max(sim.rate, 1.4), 1.5, rng.randrange(1200, 2500)
    sim.at(begin + 45, lambda s: s.rebalance(s.members // 2))
    sim.speed = lambda t: 0.5 if t >= begin else 1.0


def crash_loop(sim, rng):
    """Everybody crashes every few minutes and comes back, and too little is read in between."""
    sim.rate, begin, period = max(sim.rate, 1.4), rng.randrange(1200, 2000), rng.randrange(120, 280)
    for t in range(begin, begin + 3600, period):
        sim.at(t, lambda s: s.rebalance(0))
        sim.at(t + int(period * 0.8), Simulation.come_back)


def stop_estimated(sim, rng):
    """All members leave, and timestamps of messages are not known."""
    sim.missing = ["next_ts", "start_ts"]
    stop(sim, rng)


def poison(sim, rng):
    """One message can't be processed, on one partition."""
    sim.rate = max(sim.rate, 0.5)
    bad, begin = rng.randrange(sim.partitions), rng.randrange(1500, 4000)
    sim.at(begin, lambda s: s.blocked.add(bad))
    if rng.random() < 0.5:
        sim.at(begin + rng.randrange(900, 1800), lambda s: s.blocked.discard(bad))


def hang(sim, rng):
    """The whole group hangs, with heartbeats."""
    sim.rate = max(sim.rate, 0.5)
    sim.at(rng.randrange(1500, 3500), lambda s: s.blocked.update(range(s.partitions)))


def slow(sim, rng):
    """The group becomes slower than what is written, all at once."""
    sim.rate, begin, factor = max(sim.rate, 1.4), rng.randrange(1200, 2500), rng.uniform(0.3, 0.8)
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def drift(sim, rng):
    """The group becomes slower minute by minute, as with a query over a table that grows."""
    sim.rate, begin = max(sim.rate, 1.4), rng.randrange(600, 1500)
    sim.length = 11000
    sim.speed = lambda t: 1.0 if t < begin else max(0.4, 1.2 - (t - begin) / 5000) / sim.headroom


def growth(sim, rng):
    """Traffic grows to several times of what it was, and stays."""
    sim.rate, begin = rng.choice([0.5, 1.4]), rng.randrange(1200, 2500)
    factor, ramp = rng.uniform(1.5, 4) * sim.headroom, rng.choice([1, 600, 1800])
    sim.write = lambda t: 1 + (factor - 1) * min(1, max(0, (t - begin) / ramp))


def spiral(sim, rng):
    """Members are thrown out for working too long, again and again; too little is read meanwhile."""
    sim.rate, begin, period = max(sim.rate, 1.4), rng.randrange(1200, 2200), rng.randrange(50, 240)
    end = begin + rng.randrange(2400, 3600)
    share = rng.uniform(0.3, 0.6)
    for t in range(begin, min(end, sim.length), period):
        sim.at(t + rng.randrange(10), lambda s: s.rebalance(pause_s=int(period * 0.3)))
    sim.speed = lambda t: share / sim.headroom / 0.7 if begin <= t < end else 1.0


def storm(sim, rng):
    """Rebalances keep coming, and the group keeps up."""
    sim.rate, begin, period = max(sim.rate, 0.5), rng.randrange(1200, 2200), rng.randrange(60, 280)
    sim.headroom = 4
    for t in range(begin, begin + 3600, period):
        sim.at(t + rng.randrange(10), lambda s: s.rebalance(pause_s=3))


def stop_before_retention(sim, rng):
    """A short retention, and a group that stops."""
    sim.retention_s, sim.segment_s = rng.choice([1800, 3600]), 300
    sim.rate, sim.age_s, sim.length = max(sim.rate, 0.5), 2400, 9000
    sim.at(rng.randrange(1500, 2500), Simulation.leave)


def slow_before_retention(sim, rng):
    """A short retention, and a group that reads a part of what is written."""
    sim.retention_s, sim.segment_s = 3600, 300
    sim.rate, sim.age_s, sim.length = max(sim.rate, 1.4), 3000, 11000
    begin, factor = rng.randrange(600, 1200), rng.uniform(0.2, 0.5)
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def hot_key(sim, rng):
    """From some time on most messages have the same key, which one member can't cope with."""
    sim.partitions = rng.choice([4, 6, 8])
    sim.members, sim.rate, sim.headroom = sim.partitions, max(sim.rate, 1.4), 2.0
    hot = rng.randrange(sim.partitions)
    sim.shares = [0.6 if p == hot else 0.4 / (sim.partitions - 1) for p in range(sim.partitions)]
    begin, width = rng.randrange(900, 1800), sim.partitions
    sim.write = lambda t: 1.0 if t >= begin else 0.8 / 0.6 / width


def skip(sim, rng):
    """The group is stopped, its bookmark set to the end, and it is started again."""
    sim.rate, begin = max(sim.rate, 11), rng.randrange(1500, 3000)
    sim.at(begin, Simulation.leave)
    sim.at(begin + 120, lambda s: s.reset(lambda s, p: s.ends[p][-1]))
    sim.at(begin + 170, Simulation.come_back)


def replay(sim, rng):
    """The group is stopped, sent back, and started again."""
    sim.rate, sim.headroom = max(sim.rate, 0.5), 4
    begin, back = rng.randrange(1500, 2500), rng.uniform(0.3, 0.9)
    sim.at(begin, Simulation.leave)
    sim.at(begin + 60, lambda s: s.reset(lambda s, p: int(s.read[p] - back * (s.read[p] - s.start[p]))))
    sim.at(begin + 100, Simulation.come_back)


def too_many_members(sim, rng):
    """More members than partitions are started."""
    begin = rng.randrange(900, 2500)
    sim.at(begin, lambda s: s.rebalance(s.partitions + rng.randint(1, 3)))


FAMILIES = [
    steady, bursts, hourly_dump, cyclic, quiet, rolling_deploys, short_stop, hiccups, constant_delay, swinging_speed,
    long_pause, producer_stops, estimated, autoscaling, stop, stopped_before, crash_and_return, members_lost, crash_loop,
    stop_estimated, poison, hang, slow, drift, growth, spiral, storm, stop_before_retention, slow_before_retention, hot_key,
    skip, replay, too_many_members,
]  # fmt: skip


def generate(folder, seed, count, only=""):
    """Writes the recordings; the names."""
    names = []
    for number in range(count):
        family = FAMILIES[number % len(FAMILIES)]
        name = f"{family.__name__}-{seed}-{number // len(FAMILIES)}"
        if only not in name:
            continue
        rng = random.Random(f"{seed} {number}")
        sim = Simulation(rng, family.__name__)
        family(sim, rng)
        if len(sim.shares) != sim.partitions:
            sim.shares = [1 / sim.partitions] * sim.partitions
        sim.run()
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(poll["line"]) + "\n" for poll in sim.polls))
        (folder / f"{name}.truth.json").write_text(json.dumps(Truth(sim).document(name)))
        names.append(name)
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--count", type=int, default=len(FAMILIES))
    parser.add_argument("--only", default="", help="only recordings whose name contains this")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}")
    for name in generate(options.folder, options.seed, options.count, options.only):
        print(name)


if __name__ == "__main__":
    main()
