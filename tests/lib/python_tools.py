"""Python packages that Debian doesn't have, as `make python-tools` has fetched them."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("PYTHON_TOOLS") or ROOT / "build/python")

# Grafana's schema, of the oldest and the newest version that it is published for.
GRAFANA = ["grafana-oldest", "grafana-newest"]


def path(name):
    folder = FOLDER / name
    assert folder.is_dir(), f"{folder} is missing: run `make python-tools`"
    return folder


def use(name):
    """Makes the package importable."""
    sys.path.append(str(path(name)))
