"""What is true of a simulation by README.md's rules, read off its hidden state and never off the observations."""

from simulation import CHECK_S, EPOCH

OBJECTIVE_S = 300

# By when what was there already is named, from the first poll on.
MIDWAY_S = {
    "stopped": 300, "stuck": 900, "falling_behind": 600, "retention_risk": 600, "data_lost": 120, "death_spiral": 900,
    "rebalance_storm": 900, "skewed": 900, "compaction_risk": 600, "idle_members": 300,
}  # fmt: skip


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
        habits = (sim.cycle_s or 0, sim.commit_s, (sim.turn_s or 0) * sim.partitions)
        self.cycle = max(habit if habit > 60 else 0 for habit in habits)
        back = int(self.cycle * 1.2) // CHECK_S  # a saw is no growth
        self.steady = [min(self.worst[max(0, i - back) : i + 1]) for i in range(len(self.worst))]
        self.unnamed = {"members", "state"} <= set(sim.missing)
        for rule in (
            self.stopped, self.stuck, self.losing_by_age, self.losing_by_size, self.lost, self.rebalances, self.falling_behind,
            self.skewed, self.compacted, self.by_hand, self.made_again,
        ):  # fmt: skip
            rule()
        self._not_behind_before_it_reads()

    def due(self, condition, begin, end, deadline, severity="critical", any_of=()):
        sim, names = self.sim, [condition, *any_of]
        if self.unnamed and condition in ("stopped", "stuck"):
            names += ["stopped", "stuck"]
        if "generation" in sim.missing and condition == "death_spiral":
            names += ["stuck", "falling_behind", "rebalance_storm", "stopped", "skewed"]
        for name in names:
            self.allow(name, begin, end + (900 if "spiral" in name or "storm" in name else 600))
        if begin < sim.begins_s:
            if condition not in MIDWAY_S:
                return
            cycles = 1.5 * self.cycle if condition == "falling_behind" else 0  # until it is seen to read
            known_by = MIDWAY_S["stuck" if self.unnamed and condition == "stopped" else condition]
            deadline = max(deadline, sim.begins_s + known_by + cycles)
        deadline += sum(min(e, sim.length) - b for b, e in sim.poll_gaps if b < deadline and e > begin) + max(0, sim.interval_s - 15)
        if self._hidden(condition) or deadline + 30 >= end or deadline >= sim.length - 30:
            return
        self.expect.append({"condition": condition, "severity": severity, "any_of": names, "from": begin, "to": end, "deadline": deadline})

    def _hidden(self, condition):
        """Whether the recording lacks what it can be told by."""
        lacks = set(self.sim.missing)
        return (
            (condition in ("retention_risk", "compaction_risk") and "config" in lacks)
            or (condition == "rebalance_storm" and "generation" in lacks)
            or (condition == "idle_members" and "members" in lacks)
            or (condition == "skipped" and {"members", "state"} <= lacks)  # nor can anybody see that no member was there
        )

    def allow(self, condition, begin, end):
        self.tolerate.append({"condition": condition, "from": begin, "to": end})

    def stopped(self):
        for begin, end in stretches(self.looks, lambda look: look["live"] == 0):
            self.allow("offsets_expiring", begin, end + 600)
        for begin, end in stretches(self.looks, lambda look: look["live"] == 0 and look["uncommitted"] > 0, 150):
            self.allow("stopped", begin, end + 600)  # it was read, and is unread to who goes on from the commit
        gone = stretches(self.looks, lambda look: look["live"] == 0 and sum(look["unread"]) > 0, 150)
        for begin, end in gone:
            self.allow("stopped", begin, end + 600)
            if end - begin >= 300:
                self.due("stopped", begin, end, begin + 300)
                self.allow("falling_behind", begin + 60, end + 600)
                self.allow("stuck", begin + 150, begin + 300 + 600)

    def stuck(self):
        spells = [(begin, end, p) for p in range(self.sim.partitions) for begin, end in self._pauses(p)]
        for begin, end, _ in spells:
            for name in ("stuck", "skewed", "falling_behind"):
                self.allow(name, begin + 60 * (name == "falling_behind"), end + 600)
        due = sorted((b, e, b + self._patience(b, p)) for b, e, p in spells if e - b >= max(300, self.cycle * 1.5))
        told = -1
        for begin, end, deadline in due:  # partitions that hang together are one incident
            if begin > told:
                self.due("stuck", begin, end, max(row[2] for row in due if begin <= row[0] <= begin + self.cycle + 120))
                told = end

    def _pauses(self, p):
        """[begin, end] of the times in which somebody lives and something unread stays unread."""
        found, begin = [], None
        for before, look in zip(self.looks, [*self.looks[1:], None]):
            still = look is not None and look["read"][p] == before["read"][p] and before["unread"][p] > 0 and look["live"] > 0
            if still and begin is None:
                begin = before["t"]
            if not still and begin is not None:
                if before["t"] - begin >= max(150, self.cycle * 1.2):
                    found.append((begin, before["t"]))
                begin = None
        return found

    def _patience(self, begin, p):
        hour = [look["read"][p] for look in self.looks if max(begin - 3600, self.sim.begins_s) <= look["t"] <= begin]
        moves = sum(a != b for a, b in zip(hour, hour[1:]))
        patience = 300 if self.cycle <= 60 else 2 * self.cycle + 120
        return max(patience, 900) if begin - self.sim.begins_s < 600 or moves < 20 else patience

    def losing_by_age(self):
        sim, retention = self.sim, self.sim.retention_s
        if sim.retained is not None or sim.compacted_after_s is not None:
            return

        def overtake(i, before):
            growth = (self.steady[i] - self.steady[before]) / (self.looks[i]["t"] - self.looks[before]["t"])
            return max(0, retention - self.steady[i]) / growth if self.steady[i] > 0 and growth > 0.02 else None

        self._overtaken(overtake, lambda i: min(86400, 0.25 * retention), 600)

    def losing_by_size(self):
        """The edge moves as fast as the end, so many messages behind it."""
        sim, looks = self.sim, self.looks
        if sim.retained is None:
            return

        def speeds(i, before, p):
            took = looks[i]["t"] - looks[before]["t"]
            return [(looks[i][key][p] - looks[before][key][p]) / took for key in ("end", "read")]

        def overtake(i, before):
            times = []
            for p in range(sim.partitions):
                written, read = speeds(i, before, p)
                if looks[i]["unread"][p] > 0 and written - read > 0.02 * written:
                    left = looks[i]["read"][p] - (looks[i]["end"][p] - sim.retained)
                    times.append(max(0, left) / (written - read))
            return min(times, default=None)

        def horizon(i):
            written = [speeds(i, i - 600 // CHECK_S, p)[0] for p in range(sim.partitions)]
            return min(86400, 0.25 * sim.retained / max(1e-6, max(written)))

        self._overtaken(overtake, horizon, 900)

    def _overtaken(self, overtake, horizon, patience):
        """overtake(i, before): in how many seconds the edge passes the reader, by its speed between two looks."""
        ahead, sim = 600 // CHECK_S, self.sim
        times = {look["t"]: overtake(i, i - ahead) if i >= ahead else None for i, look in enumerate(self.looks)}
        limits = {look["t"]: horizon(i) if i >= ahead else 0 for i, look in enumerate(self.looks)}
        near = lambda share: lambda look: times[look["t"]] is not None and times[look["t"]] <= share * limits[look["t"]]
        for begin, end in stretches(self.looks, near(1.5)):
            self.allow("retention_risk", begin - 600, end + 600)
        for begin, end in stretches(self.looks, near(1), 600):
            self.due("retention_risk", begin, end, max(begin + patience, sim.begins_s + 600 + patience if begin < sim.begins_s + 660 else 0))

    def lost(self):
        for begin, end in stretches(self.looks, lambda look: look["unsaved"]):
            self.allow("data_lost", begin, end)  # it was read, and is lost to who goes on from the commit
        for begin, end in stretches(self.looks, lambda look: look["below"]):
            self.due("data_lost", begin, end, begin + 120)
            self.allow("data_lost", begin, self.sim.length)
            self.allow("retention_risk", begin - 600, end + 600)

    def compacted(self):
        """What is in closed segments and old enough, and more than a minute of it, has newer ones of its keys."""
        sim = self.sim
        if sim.compacted_after_s is None:
            return
        for begin, end in stretches(self.looks, lambda look: max(look["lags"]) >= 60):
            self.allow("compaction_risk", begin, end + 600)

        def exposed(look):
            return max(look["lags"]) >= max(60 + look["t"] % sim.segment_s, sim.compacted_after_s)

        for begin, end in stretches(self.looks, exposed):
            self.due("compaction_risk", begin, end, begin + 600, "warning")

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
            if not any(max(b, self.sim.begins_s) == b and b <= begin <= e for b, e in self.replays()):
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
            explained = [row["to"] for row in self.expect if row["condition"] in ("stopped", "stuck") and row["to"] <= begin]
            grew = max([t for t in level if t <= begin and level[t] < 15] + explained, default=0)
            passed_60 = min((t for t in level if grew <= t and level[t] > 60), default=begin)
            self.allow("falling_behind", grew, end + 600)
            deadline = min(begin + 120, max(grew + 900, passed_60 + 300)) + 1.5 * self.cycle
            self.due("falling_behind", grew, end, max(deadline, 600 if begin < 300 else 0), "warning")

    def _not_behind_before_it_reads(self):
        """Until a poll has shown a commit to move, nobody can know that it is slow."""
        offsets = [[row["committed"] for row in poll["line"]["groups"][0]["offsets"]] for poll in self.sim.polls]
        times = [poll["line"]["t"] - EPOCH for poll in self.sim.polls]
        reads = next((t for t, row in zip(times, offsets) if row != offsets[0]), self.sim.length)
        for row in self.tolerate:
            if row["condition"] == "falling_behind":
                row["from"] = max(row["from"], reads)

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
                self.due("skewed", begin, end, begin + 900, "warning")

    def by_hand(self):
        for time in sorted(set(self.sim.resets_forward)):
            times = [poll["line"]["t"] - EPOCH for poll in self.sim.polls]
            before, after = max((t for t in times if t < time), default=0), min((t for t in times if t > time + 1), default=10**9)
            back = next((look["t"] - CHECK_S for look in self.looks if look["t"] > time and look["seen"] > 0), 10**9)
            if after - before < 1.7 * self.sim.interval_s and after < back:
                self.due("skipped", time, time + 400, time + 120, "warning")
            self.allow("skipped", time, self.sim.length)
        for begin, end in self.replays():
            self.due("replaying", begin, end, begin + 120, "info")
        for begin, end in stretches(self.looks, lambda look: look["seen"] > self.sim.partitions, 600):
            self.due("idle_members", begin, end, begin + 300, "info")

    def made_again(self):
        begin = self.sim.beyond_since
        if begin is None:
            return
        for name in ("stuck", "stopped", "falling_behind", "data_lost", "skipped", "retention_risk", "skewed", "rebalance_storm"):
            self.allow(name, begin - 1800, begin + 1800)
        beyond = stretches(self.looks, lambda look: any(read > end for read, end in zip(look["read"], look["end"])))
        for begin, end in beyond:
            self.allow("committed_beyond_end", begin, end + 600)
            if end - begin >= 900:
                self.due("committed_beyond_end", begin, end, begin + 600, "extra")

    def document(self, name):
        def dated(rows):
            return [{key: value + EPOCH if key in ("from", "to", "deadline") else value for key, value in row.items()} for row in rows]

        sim = self.sim
        times = [poll["line"]["t"] for poll in sim.polls]
        grave = [row for row in self.expect if row["severity"] in ("critical", "warning")]
        return {
            "timeline": name,
            "family": sim.family,
            "kind": "incident" if grave else "info" if self.expect else "healthy",
            "story": sim.family.replace("_", " "),
            "observed": {"from": times[0], "to": times[-1], "polls": len(times), "missing": sim.missing, "sometimes_missing": sim.sometimes_missing},
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
