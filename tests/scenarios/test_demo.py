"""`tidemark demo`: what it says that one will see within two minutes is seen."""

import os
import re
import signal
import subprocess
import tempfile
import urllib.request

import exposition
import processes
from daemon import PROGRAM


def verdicts(url):
    """{group: its conditions} on the page."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        page = exposition.parse(answer.read())
    groups = {}
    for labels, value in page.family("kafka_consumergroup_condition"):
        groups.setdefault(labels["consumergroup"], set()).update([labels["condition"]] if value == "1" else [])
    return groups


def test_demo_shows_what_its_guide_promises(tmp_path):
    """The user starts the demo, reads the guide, and looks for each of its lines."""
    with tempfile.TemporaryFile() as output:
        demo = processes.start(
            [PROGRAM, "demo", "--listen", f"127.0.0.1:{processes.free_port()}"],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=output,
        )
        try:

            def guide():
                text = os.pread(output.fileno(), 1 << 16, 0).decode()
                return text if "Ctrl-C" in text else None

            text = processes.wait_until(guide, 60, "the guide")
            url = re.search(r"http://[0-9.:]+", text)[0]
            promised = dict(re.findall(r"^    ([a-z-]+) +([a-z_]+) +[a-z]", text, re.M))
            assert len(promised) == 13
            seen = {group: set() for group in promised}
            missing = dict(promised)

            def all_seen():
                for group, conditions in verdicts(url).items():
                    seen[group] |= conditions
                    if promised[group] in conditions or (promised[group] == "ok" and not conditions):
                        missing.pop(group, None)
                assert not missing, f"not seen yet: {missing}; seen: {seen}"
                return True

            # Two minutes, and one more for a machine that is busy with other tests.
            processes.wait_until(all_seen, 180, pause=1)
            assert {group for group, conditions in seen.items() if not conditions} == {"billing", "storefront"}
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        finally:
            demo.kill()
            demo.wait()
