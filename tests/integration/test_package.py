"""What is installed: the package, its service as its user runs it, the man page and the completions."""

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

import processes
from daemon import PROGRAM, run
from store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534


def call(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(*arguments):
    """In an environment without what a make that runs the tests hands down."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return call("make", "--no-print-directory", "-s", f"BUILD={Path(PROGRAM).resolve().parent}", *arguments, cwd=ROOT, env=environment)


class System:
    """A Debian system in a folder, of which there is no more than a package needs."""

    def __init__(self, folder):
        self.folder = folder
        for path in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"):
            (folder / path).mkdir(parents=True)
        (folder / "var/lib/dpkg/status").write_text("")
        (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (folder / "etc/group").write_text("root:x:0:\n")
        self.before = self.files()

    def files(self):
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def dpkg(self, *arguments):
        force = ["--force-depends", "--force-script-chrootless", "--force-not-root", "--force-bad-path"]
        as_root = [] if os.getuid() == 0 else ["sudo", "-n"]
        return call(*as_root, "dpkg", *force, f"--root={self.folder}", f"--log={self.folder}/var/log/dpkg.log", *arguments)

    def user(self):
        return re.search(r"^tidemark:[^:]*:(\d+):(\d+):[^:]*:([^:]*):(.*)$", (self.folder / "etc/passwd").read_text(), re.M)


@pytest.fixture(scope="module")
def package():
    return make("deb").strip().splitlines()[-1]


@pytest.fixture
def system(tmp_path, package):
    system = System(tmp_path / "system")
    system.dpkg("-i", package)
    return system


def test_the_package_brings_all_and_takes_all_away(system):
    files = system.files()
    for path in (
        "usr/bin/tidemark",
        "lib/systemd/system/tidemark.service",
        "etc/tidemark/tidemark.yaml",
        "etc/default/tidemark",
        "usr/share/man/man1/tidemark.1.gz",
        "usr/share/bash-completion/completions/tidemark",
        "usr/share/zsh/vendor-completions/_tidemark",
        "usr/share/doc/tidemark/copyright",
        "usr/share/doc/tidemark/examples/tidemark.yaml",
    ):
        assert path in files, path
    uid, gid, home, shell = system.user().groups()
    assert (home, shell) == ("/var/lib/tidemark", "/usr/sbin/nologin")
    configuration = (system.folder / "etc/tidemark/tidemark.yaml").stat()
    assert (configuration.st_uid, configuration.st_gid, configuration.st_mode & 0o777) == (0, int(gid), 0o640)
    (system.folder / "etc/tidemark/tidemark.yaml").write_text("# mine\n")
    system.dpkg("--remove", "tidemark")
    assert not (system.folder / "usr/bin/tidemark").exists()
    assert (system.folder / "etc/tidemark/tidemark.yaml").read_text() == "# mine\n"
    system.dpkg("--purge", "tidemark")
    left = {path for path in system.files() - system.before if not re.match(r"var/(lib/dpkg|log|cache)|etc/.*-$|etc/(g?shadow|subuid|subgid|\.pwd\.lock)", path)}
    assert left == set()
    assert system.user() is None


def test_the_service_runs_as_its_user(system, tmp_path):
    """The unit's own command line, with its files where they are in this system, by a user without privileges."""
    unit = (system.folder / "lib/systemd/system/tidemark.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].replace("$ARGS", "").split()
    assert "\nUser=tidemark\n" in unit and command[0] == "/usr/bin/tidemark"
    # Of the installed configuration the source only is another: there is no broker.
    store = Store(tmp_path / "store")
    store.create("orders")
    configuration = (system.folder / "etc/tidemark/tidemark.yaml").read_text()
    state = tmp_path / "state"
    state.mkdir()
    mine = tmp_path / "tidemark.yaml"
    mine.write_text(
        configuration.replace("kafka: localhost:9092", f"logstore: {store.folder}").replace("/var/lib/tidemark", str(state))
    )
    assert store.folder in mine.read_text() and str(state) in mine.read_text()
    uid = NOBODY if os.getuid() == 0 else os.getuid()
    os.chown(state, uid, -1)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2], store.folder):
        if os.stat(folder).st_uid == os.getuid():
            os.chmod(folder, os.stat(folder).st_mode | 0o055)
    call("chmod", "-R", "a+rX", store.folder, system.folder)
    port = processes.free_port()
    arguments = [part.replace("/etc/tidemark/tidemark.yaml", str(mine)) for part in command[1:]]
    program = [f"{system.folder}{command[0]}", *arguments, "--listen", f"127.0.0.1:{port}"]
    drop = ["setpriv", f"--reuid={uid}", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--"] if os.getuid() == 0 else []
    with open(tmp_path / "log", "wb") as log:
        process = processes.start([*drop, *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def page():
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read()
        except OSError:
            return b""

    try:
        processes.wait_until(lambda: b'tidemark_source_up{cluster="default"} 1' in page())
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (tmp_path / "log").read_text()


def test_make_install_honours_prefix_and_destdir(tmp_path):
    make("install-program", f"DESTDIR={tmp_path}", "PREFIX=/opt/tidemark")
    assert f"ExecStart=/opt/tidemark/bin/tidemark serve" in (tmp_path / "opt/tidemark/lib/systemd/system/tidemark.service").read_text()
    assert call(tmp_path / "opt/tidemark/bin/tidemark", "--version").startswith("tidemark ")
    assert {path.name for path in tmp_path.iterdir()} == {"opt"}


@pytest.fixture(scope="module")
def man_page():
    page = call("/usr/bin/python3", ROOT / "packaging/man.py", PROGRAM, "/usr/share/doc/tidemark")
    warned = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    assert warned.returncode == 0 and warned.stderr == "", warned.stderr
    return re.sub(".\b", "", warned.stdout)


def commands():
    return re.findall(r"^  tidemark ([a-z]+)", run("--help")[1].decode(), re.M)


def test_every_command_helps_and_is_in_the_man_page(man_page):
    assert len(commands()) >= 8
    for command in commands():
        code, output, errors = run(command, "--help")
        assert code == 0 and errors == "" and output, command
        assert f"tidemark {command}" in man_page
    for flag in re.findall(r"^  (--\S+)", run("serve", "--help")[1].decode(), re.M):
        assert flag in man_page, flag


def complete(line):
    """What bash offers for the last word of the line."""
    words = line.split(" ")
    script = (
        f'source {ROOT}/packaging/tidemark.bash; COMP_WORDS=({PROGRAM} {" ".join(words[1:-1])} "{words[-1]}"); '
        f"COMP_CWORD={len(words) - 1}; _tidemark; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return set(call("bash", "-c", script).split())


def test_bash_completes_commands_flags_and_values():
    assert complete("tidemark s") == {name for name in commands() if name.startswith("s")}
    assert {"--kafka", "--web.config.file", "--metrics-exclude"} <= complete("tidemark serve --")
    assert complete("tidemark serve --log-l") == {"--log-level"}
    assert complete("tidemark serve --log-format ") == {"logfmt", "json"}
    assert {"create", "consume"} <= complete("tidemark log c")
    assert "--partitions" in complete("tidemark log create --p")


def test_zsh_takes_its_completion():
    call("zsh", "-n", ROOT / "packaging/_tidemark")
