#!/usr/bin/env python3
"""Makes further recordings with known truth, of kinds that the shipped ones have and of others.

    generate.py DIR --seed 7 --count 60

writes NAME.jsonl and NAME.truth.json into DIR, as README.md describes them, for score.py. The same seed makes the
same recordings. A simulation goes on second by second; what is true is read off its hidden state (what was really
read, who really lives, what was really deleted) by README.md's rules, never off the observations.
"""

import argparse
import json
import random
from pathlib import Path

from families import FAMILIES, ODDITIES
from simulation import Simulation
from truth import Truth


# Messages a second. On a quieter topic a group that can do a little more than that would take minutes for a message, and
# be late or stand still by chance alone, which is no story: there it can do one a second.
QUIET = 0.1


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
        rng.choice(ODDITIES)(sim, rng)
        if sim.rate < QUIET:
            sim.headroom = max(sim.headroom, 1 / sim.rate)
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
