"""Child processes that can't outlive the tests, and waiting with a deadline."""

import ctypes
import functools
import itertools
import os
import signal
import socket
import subprocess
import time

PATIENCE_S = 180  # for what takes moments, until it is given up, on a machine that is busy with other tests

_PR_SET_PDEATHSIG = 1
_FIRST_PORT, _RANGES, _RANGE = 20000, 48, 250  # up to 32000
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with(parent):
    """Runs in the child: the kernel kills it when its parent dies, however that happens."""

    def prepare():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def start(command, **options):
    """subprocess.Popen, for a process that ends with this one and does not see the terminal's Ctrl-C."""
    return subprocess.Popen(
        [str(part) for part in command], preexec_fn=_die_with(os.getpid()), start_new_session=True, **options
    )


def run(command, timeout=PATIENCE_S, **options):
    """Runs to the end: (exit code, standard output, standard error). Kills what takes longer than `timeout` s."""
    process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(
            f"{command} did not end within {timeout} s; it printed\n{output.decode(errors='replace')}"
            f"{errors.decode(errors='replace')}"
        ) from None
    return process.returncode, output, errors


@functools.cache
def _own_ports():
    """Ports that no other process hands out, and what claims them: a name that the kernel takes back when this process
    ends. Else two could find the same port free before either listens on it."""
    for number in range(_RANGES):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0tidemark-ports-{number}")
        except OSError:
            claim.close()
            continue
        first = _FIRST_PORT + number * _RANGE
        return itertools.cycle(range(first, first + _RANGE)), claim
    raise RuntimeError(f"{_RANGES} processes have claimed ports already")


def free_port():
    """A loopback port that nothing listens on, below those that the kernel hands to outgoing connections: so it
    stays free while the process that has it is down, and can be listened on again."""
    ports, _ = _own_ports()
    for port in itertools.islice(ports, _RANGE):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of {_RANGE} loopback ports is free")


def wait_until(condition, timeout=PATIENCE_S, what="the condition", pause=0.05):
    """Calls `condition` until it returns something true, and returns that. An AssertionError in it counts as
    "not yet" and is what is raised when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        failure = None
        try:
            result = condition()
            if result:
                return result
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"{what} did not come within {timeout} s")
        time.sleep(pause)
