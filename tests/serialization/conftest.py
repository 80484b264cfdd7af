"""What the tests of saving and loading share."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from genesis.serialization import hooks

try:
    import resource
except ImportError:  # Windows
    resource = None


@pytest.fixture
def on_host(monkeypatch):
    """Loaded tensors stay NumPy arrays: for tests that load thousands of files and look at none."""
    monkeypatch.setattr(hooks, "from_host", lambda array, device=None, requires_grad=False: array)


@pytest.fixture
def bounded():
    """No hang and no huge allocation: 20 seconds and 512 MiB more than now, where the system can enforce it."""

    def expired(signum, frame):
        raise TimeoutError("loading took more than 20 seconds")

    with contextlib.ExitStack() as stack:
        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            stack.callback(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, expired))
            signal.setitimer(signal.ITIMER_REAL, 20)
            stack.callback(signal.setitimer, signal.ITIMER_REAL, 0)
        with contextlib.suppress(OSError):
            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            old = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (now + 512 * 2**20, old[1]))
            stack.callback(resource.setrlimit, resource.RLIMIT_AS, old)
        yield
