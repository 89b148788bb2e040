"""Recordings of simulated incidents, and of what only looks like one, judged by `tidemark replay` and scored
against what was really true (tests/incidents/README.md)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEED = 7  # of the recordings that are made for the test

INCIDENTS = Path(__file__).resolve().parent.parent / "incidents"


def score_folder(folder):
    command = f"{os.environ.get('TIDEMARK', 'build/tidemark')} replay {{file}}"
    scored = subprocess.run(
        [sys.executable, INCIDENTS / "score.py", folder, "--cmd", command, "-v"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    assert scored.returncode == 0, scored.stdout[-4000:]
    summary = json.loads(scored.stdout.splitlines()[-1])
    summary["text"] = scored.stdout
    return summary


@pytest.fixture(scope="module")
def score():
    return score_folder(INCIDENTS)


def test_every_recording_is_replayed_to_its_end(score):
    assert score["timelines"] == 135
    assert score["lines_missing"] == score["lines_unreadable"] == score["lines_for_absent_groups"] == 0, score["text"]


def test_incidents_are_named_in_time(score):
    assert score["required"] >= 90
    assert score["recall"] >= 0.98, score["text"]


def test_what_is_healthy_raises_no_alarm(score):
    assert score["false_alarms_per_100_healthy_group_hours"] <= 1, score["text"]


def test_verdicts_are_right(score):
    assert score["verdict_accuracy"] >= 0.99, score["text"]
    assert score["unknown_conditions"] == {}


def test_lag_is_exact(score):
    assert score["lag_checked"] > 60000
    assert score["lag_wrong"] == 0, score["text"]
    assert score["committed_beyond_end_shown_healthy"] == 0


def test_time_lag_is_what_can_be_read_off_or_close_to_it(score):
    assert score["lag_seconds_checked"] > 50000
    assert score["lag_seconds_wrong"] == 0, score["text"]
    assert score["lag_seconds_estimate_median_error"] <= 2


@pytest.mark.once
def test_recordings_that_the_rules_were_not_made_on(tmp_path):
    """Other timelines of the same and of further kinds are made by a simulator."""
    generate = [sys.executable, INCIDENTS / "generate.py", tmp_path, "--seed", str(SEED)]
    made = subprocess.run(generate, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    score = score_folder(tmp_path)
    text = f"seed {SEED}\n{score['text']}"
    assert score["timelines"] == len(made.stdout.splitlines()) - 1
    assert score["required"] >= 20 and score["recall"] >= 0.98, text
    assert score["false_alarms_per_100_healthy_group_hours"] <= 1, text
    assert score["lag_wrong"] == score["lag_seconds_wrong"] == 0, text
