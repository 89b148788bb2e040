"""The kinds of recordings: each is a function that makes a simulation deviate from the ordinary."""

import math

from simulation import Simulation


def begins_behind(sim, lag_s):
    """The recording begins when the group is behind already, on each partition by so many seconds."""

    def begin():
        for p in range(sim.partitions):
            sim.read[p] -= int(lag_s() * sim.rate * sim.shares[p])
        sim.committed = list(sim.read)

    sim.begin = begin


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
    sim.rate = max(sim.rate, 0.5)
    begins_behind(sim, lambda: 3600)
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


def diurnal(sim, rng):
    """Traffic swings by a half in an hour or two, and the group copes."""
    period, sim.headroom = rng.randrange(3600, 7200), 2.0
    sim.write = lambda t: 1 + 0.5 * math.sin(2 * math.pi * t / period)


def peak(sim, rng):
    """For a quarter of an hour a little more is written than the group can do, and it is caught up."""
    sim.rate, begin, sim.headroom = max(sim.rate, 1.4), rng.randrange(1500, 4000), 1.5
    length, height = rng.randrange(600, 1200), rng.uniform(1.5, 1.62)
    sim.write = lambda t: height if begin <= t < begin + length else 0.7


def rare_commits(sim, rng):
    """Reads all the time, and commits once in so many minutes."""
    sim.rate, sim.commit_s = max(sim.rate, 0.5), rng.choice([120, 300, 600, 780])


def in_turn(sim, rng):
    """One member reads its partitions one after the other."""
    sim.partitions, sim.members = rng.choice([3, 4, 6]), 1
    sim.rate, sim.turn_s, sim.headroom = max(sim.rate, 1.4), rng.choice([5, 15, 30]), 3


def transactions(sim, rng):
    """Each write ends with a transaction's marker, which nobody reads."""
    sim.marked, sim.commit_s = True, 1
    sim.rate = rng.choice([0.01, 0.06, 0.5, 11])


def compacted_current(sim, rng):
    """A compacted topic whose reader keeps up."""
    sim.compacted_after_s = rng.choice([0, 60, 600])
    hiccups(sim, rng)


def short_retention(sim, rng):
    """The log keeps a few minutes, and the reader is current."""
    sim.retention_s, sim.segment_s, sim.age_s = rng.choice([600, 1200]), 60, 600


def kept_by_size(sim, rng):
    """The log keeps so many bytes, and the reader is current."""
    sim.rate, sim.partitions, sim.members, sim.shares = max(sim.rate, 1.4), 1, 1, [1.0]
    sim.retained = int(sim.rate * rng.randrange(1800, 7200))


def long_rebalance(sim, rng):
    """A deploy whose rebalance takes two minutes."""
    begin, sim.headroom = rng.randrange(1500, 4000), 4
    for at in (0, 40):
        sim.at(begin + at, lambda s: s.rebalance(pause_s=rng.randrange(30, 70)))


def monitor_away(sim, rng):
    """For a quarter of an hour nobody looks, and the group is restarted meanwhile."""
    begin = rng.randrange(1500, 4000)
    sim.poll_gaps = [(begin, begin + rng.randrange(400, 1200))]
    sim.at(begin + 100, Simulation.leave)
    sim.at(begin + 180, Simulation.come_back)


def leaves_when_done(sim, rng):
    """All is read, nothing is written any more, and the members leave."""
    begin = rng.randrange(1500, 4000)
    sim.write = lambda t: 1.0 if t < begin else 0.0
    sim.headroom = max(sim.headroom, 2 / sim.rate)
    sim.at(begin + 300, Simulation.leave)


def one_message_wonder(sim, rng):
    """Nothing for half an hour, then one message, which is read at once."""
    sim.partitions, sim.members, sim.shares, sim.rate = 1, 1, [1.0], 1.0
    sim.headroom, period = 50, rng.randrange(1200, 2400)
    sim.length = 12000
    sim.write = lambda t: 3.0 if t % period == 77 else 0.0


def catching_up(sim, rng):
    """The recording begins when the group is back after an outage, with an hour of backlog."""
    sim.rate, sim.headroom = max(sim.rate, 1.4), rng.uniform(2, 4)
    begins_behind(sim, lambda: rng.randrange(1200, 3600))


def slow_leak(sim, rng):
    """The group is a few per cent too slow."""
    sim.rate, begin, factor = max(sim.rate, 11), rng.randrange(1200, 2500), rng.uniform(0.86, 0.96)
    sim.length = 12000
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def slow_cyclic(sim, rng):
    """A batch reader that gets through less than what is written from some time on."""
    sim.cycle_s = rng.choice([120, 300, 600])
    sim.rate, sim.headroom, sim.length = max(sim.rate, 1.4), 3, 12000
    begin, factor = rng.randrange(3000, 4500), rng.uniform(0.2, 0.6)
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def cyclic_stuck(sim, rng):
    """A batch reader hangs."""
    sim.cycle_s = rng.choice([120, 300, 600])
    sim.rate, sim.headroom, sim.length = max(sim.rate, 0.5), 3, 12000
    sim.at(rng.randrange(5000, 6500), lambda s: s.blocked.update(range(s.partitions)))


def rare_commits_stuck(sim, rng):
    """Commits once in so many minutes, and hangs."""
    sim.rate, sim.commit_s, sim.length = max(sim.rate, 0.5), rng.choice([120, 300, 600]), 12000
    sim.at(rng.randrange(5000, 6500), lambda s: s.blocked.update(range(s.partitions)))


def rare_commits_slow(sim, rng):
    """Commits once in so many minutes, and becomes too slow."""
    sim.rate, sim.commit_s, sim.length = max(sim.rate, 1.4), rng.choice([120, 300, 600]), 12000
    begin, factor = rng.randrange(3000, 4500), rng.uniform(0.3, 0.7)
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def member_blocked(sim, rng):
    """One of several members waits for ever: all of its partitions stand still."""
    sim.partitions = rng.choice([4, 6, 8])
    sim.members, sim.rate = sim.partitions // 2, max(sim.rate, 0.5)
    sim.at(rng.randrange(1500, 4000), lambda s: s.blocked.update((0, 1)))


def slow_member(sim, rng):
    """One of several members has a slow machine: its partitions fall behind."""
    sim.partitions = sim.members = rng.choice([3, 4, 6, 8])
    sim.rate, begin, factor = max(sim.rate, 3), rng.randrange(1200, 2500), rng.uniform(0.2, 0.7)
    sim.speeds = lambda t, p: factor / sim.headroom if p == 0 and t >= begin else 1.0


def quiet_stuck(sim, rng):
    """A message every few minutes, and the reader hangs."""
    quiet(sim, rng)
    sim.length = 12000
    sim.at(rng.randrange(5000, 8000), lambda s: s.blocked.update(range(s.partitions)))


def stop_quiet(sim, rng):
    """A message every few minutes, and the reader is gone."""
    quiet(sim, rng)
    sim.length = 12000
    sim.at(rng.randrange(5000, 8000), Simulation.leave)


def poison_crash(sim, rng):
    """One message makes whoever reads it crash; the next one crashes too."""
    sim.rate, begin = max(sim.rate, 0.5), rng.randrange(1500, 3000)
    sim.at(begin, lambda s: s.blocked.update(range(s.partitions)))
    for t in range(begin, begin + 2400, rng.randrange(60, 150)):
        sim.at(t, Simulation.rebalance)
    sim.at(begin + 2400, lambda s: s.blocked.clear())


def transaction_hangs(sim, rng):
    """A transaction stays open: readers of what is committed get no further, on one partition."""
    transactions(sim, rng)
    sim.rate, sim.headroom = 1.4, 3
    sim.at(rng.randrange(1500, 4000), lambda s: s.blocked.add(0))


def works_by_halves(sim, rng):
    """The group works and hangs by turns of a minute or so, and does too little on the whole."""
    sim.rate, begin, period = max(sim.rate, 1.4), rng.randrange(1200, 2500), rng.randrange(60, 200)
    sim.headroom = 1.3
    sim.speed = lambda t: 0.0 if t >= begin and t % period < period // 2 else 1.0


def stop_unseen(sim, rng):
    """The group stops while nobody looks."""
    begin = rng.randrange(1500, 4000)
    sim.rate = max(sim.rate, 0.5)
    sim.poll_gaps = [(begin, begin + rng.randrange(120, 800))]
    sim.at(begin + 60, Simulation.leave)


def stale(sim, rng):
    """A lag of many minutes that has come slowly and stays: nothing grows, and all is old."""
    sim.rate, sim.headroom, delay, begin = max(sim.rate, 1.4), 4, rng.randrange(400, 1500), rng.randrange(900, 2000)

    for t in range(begin, begin + 2 * delay, 10):
        sim.at(t, lambda s: setattr(s, "delay_s", (s.t - begin) // 2))


def growth_and_return(sim, rng):
    """Traffic is too much for an hour, and the group catches up."""
    sim.rate, begin, sim.headroom = max(sim.rate, 1.4), rng.randrange(1200, 2500), 1.5
    sim.write = lambda t: 2.2 if begin <= t < begin + 3000 else 0.6


def weekend(sim, rng):
    """A day's retention; the group is gone for so long that the edge comes near, or passes it."""
    sim.retention_s, sim.segment_s, sim.age_s, gone = 86400, 600, 86400, rng.randrange(62000, 84000)
    sim.rate, sim.length, sim.live, sim.seen = rng.choice([0.06, 0.5, 1.4]), 10000, 0, 0
    begins_behind(sim, lambda: gone)


def hung_before(sim, rng):
    """The recording begins when the group has been hanging for hours, with heartbeats."""
    sim.rate, sim.age_s, lag_s = max(sim.rate, 0.5), 20 * 3600, rng.randrange(1800, 6 * 3600)
    begins_behind(sim, lambda: lag_s)
    sim.blocked.update(range(sim.partitions))
    sim.at(rng.randrange(2500, 4500), lambda s: s.blocked.clear())


def slow_before(sim, rng):
    """The recording begins when the group has been too slow for hours, at work all the time or in cycles."""
    sim.rate, sim.age_s, lag_s = max(sim.rate, 1.4), 20 * 3600, rng.randrange(1800, 6 * 3600)
    begins_behind(sim, lambda: lag_s)
    sim.cycle_s, sim.headroom, factor = rng.choice([None, None, 120, 600]), 3, rng.uniform(0.2, 0.8)
    sim.speed = lambda t: factor / sim.headroom


def slow_before_size(sim, rng):
    """The log keeps so many bytes, and the reader is too slow or gone."""
    sim.rate, sim.partitions, sim.members, sim.shares = max(sim.rate, 1.4), 1, 1, [1.0]
    sim.length, sim.headroom = 11000, 2
    sim.retained = int(sim.rate * rng.randrange(3600, 7200))
    begin, factor = rng.randrange(1200, 2000), rng.choice([0.1, 0.2, 0.5])
    sim.speed = lambda t: factor / sim.headroom if t >= begin else 1.0


def compaction_overtakes(sim, rng):
    """The reader of a compacted topic stops or becomes slow."""
    sim.compacted_after_s, sim.rate = rng.choice([0, 60, 600]), max(sim.rate, 1.4)
    rng.choice([stop, slow, hang])(sim, rng)


def skip_after_stop(sim, rng):
    """The group has been gone for some time; then its bookmark is set forward and it is started."""
    sim.rate, begin = max(sim.rate, 1.4), rng.randrange(1500, 3000)
    gone = rng.randrange(200, 1500)
    sim.at(begin, Simulation.leave)
    sim.at(begin + gone, lambda s: s.reset(lambda s, p: s.ends[p][-1]))
    sim.at(begin + gone + rng.randrange(20, 60), Simulation.come_back)


def recreated(sim, rng):
    """The topic is made again while the group is gone, and grows slowly."""
    sim.rate, begin = rng.choice([0.06, 0.5]), rng.randrange(2000, 3500)
    sim.at(begin - 30, Simulation.leave)
    sim.at(begin, Simulation.make_again)


def long_batches(sim, rng):
    """A batch takes twenty or thirty minutes, as the members have declared that it may."""
    sim.cycle_s = rng.choice([1200, 1500, 1750])
    sim.may_take_s = 1800
    sim.rate, sim.headroom, sim.length = max(sim.rate, 0.5), 3, 14000


def mirror(sim, rng):
    """A copy of another site's topic, which comes minutes late by its nature, and no later."""
    sim.rate, sim.headroom, sim.delay_s = max(sim.rate, 1.4), 4, rng.randrange(90, 250)
    begins_behind(sim, lambda: sim.delay_s)


def partitions_added(sim, rng):
    """Somebody doubles the number of partitions, and the group takes them on."""
    sim.partitions, begin = rng.choice([2, 4, 8]), rng.randrange(1500, 4000)
    sim.hidden = set(range(sim.partitions // 2, sim.partitions))
    sim.members = rng.randint(1, sim.partitions // 2)

    def add(s):
        s.hidden = set()
        s.rebalance()

    sim.at(begin, add)


def members_die_one_by_one(sim, rng):
    """Every few minutes a member is gone for good, until none is left."""
    sim.partitions = sim.members = rng.choice([3, 4, 6])
    sim.rate, sim.headroom, sim.length = max(sim.rate, 1.4), 1.4, 12000
    begin, period = rng.randrange(1200, 2500), rng.randrange(500, 900)
    for lost in range(1, sim.members + 1):
        sim.at(begin + lost * period, lambda s, lost=lost: s.rebalance(s.members - lost))
    sim.speed = lambda t: 1 - min(sim.members, max(0, (t - begin) // period)) / sim.members


def restored(sim, rng):
    """The broker loses the last minutes of its log while the group is gone, and what is written reaches the bookmark
    again only much later."""
    sim.rate, begin = rng.choice([1.4, 11]), rng.randrange(2500, 3500)
    sim.at(begin - 30, Simulation.leave)
    sim.at(begin, lambda s: s.restore(1800))


FAMILIES = [
    steady, bursts, hourly_dump, cyclic, quiet, rolling_deploys, short_stop, hiccups, constant_delay, swinging_speed,
    long_pause, producer_stops, estimated, autoscaling, stop, stopped_before, crash_and_return, members_lost, crash_loop,
    stop_estimated, poison, hang, slow, drift, growth, spiral, storm, stop_before_retention, slow_before_retention, hot_key,
    skip, replay, too_many_members,
    diurnal, peak, rare_commits, in_turn, transactions, compacted_current, short_retention, kept_by_size,
    long_rebalance, monitor_away, leaves_when_done, one_message_wonder, catching_up, slow_leak, slow_cyclic,
    cyclic_stuck, rare_commits_stuck, rare_commits_slow, member_blocked, slow_member, quiet_stuck, stop_quiet,
    poison_crash, transaction_hangs, works_by_halves, stop_unseen, stale, growth_and_return, weekend,
    slow_before_size, compaction_overtakes, skip_after_stop, recreated, hung_before, slow_before,
    long_batches, mirror, partitions_added, members_die_one_by_one, restored,
]  # fmt: skip


# --- the oddities of recordings --------------------------------------------------------------------------------


def nothing_odd(sim, rng):
    pass


def lacks_fields(sim, rng):
    """Fields that are never given."""
    sim.missing = rng.choice([["next_ts"], ["generation"], ["members", "state"], ["config"], ["start_ts", "state"], ["next_ts", "start_ts"]])


def lacks_fields_sometimes(sim, rng):
    """Fields that are missing now and then."""
    sim.sometimes_missing = ["config", "generation", "members", "next_ts", "state"]


def misses_polls(sim, rng):
    sim.missed = 0.05


def begins_midway(sim, rng):
    """The recording begins when the story has begun, as after a restart of the monitor."""
    sim.begins_s = rng.randrange(1000, sim.length // 2)


def looks_seldom(sim, rng):
    sim.interval_s = 30


def looks_often(sim, rng):
    sim.interval_s = 5


def other_clock(sim, rng):
    """The broker's clock is ahead or behind."""
    sim.clock_s = rng.uniform(-4, 4)


ODDITIES = [nothing_odd] * 4 + [lacks_fields, lacks_fields_sometimes, misses_polls, begins_midway, looks_seldom, looks_often, other_clock]
