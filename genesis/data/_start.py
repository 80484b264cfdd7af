"""Starting worker processes so that Ctrl-C, whenever it comes, ends them without a word.

Ctrl-C reaches every process of a terminal. A worker ignores it, but not before its own code runs: until then a
traceback would be printed, and a parent interrupted while it starts a process would leave it half started.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import operator
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from .worker import Setup, worker_main

PRELOAD = f"{__package__}._preload"  # not imported here: it acts on being imported


def default_context() -> Any:
    """The way in which worker processes are started unless the user chooses.

    Never fork: the parent has threads of the OpenCL driver, and a lock that one of them holds at the moment of the
    fork stays locked in the child for ever. On Linux a fork server, which is started once and has no such threads,
    gives workers quickly; elsewhere each is a new interpreter. `multiprocessing.set_start_method("spawn")` or
    ("forkserver") is heeded; ("fork") is not, since Python up to 3.13 sets it on Linux without being asked.
    """
    method = multiprocessing.get_start_method(allow_none=True)
    if method in (None, "fork"):
        linux = sys.platform.startswith("linux")
        method = "forkserver" if linux and "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    return multiprocessing.get_context(method)


def start_worker(context: Any, conn: Connection, worker: int, setup: Setup | None) -> Any:
    """Start a worker; returns its process. See `worker_main` for the arguments."""
    process = context.Process(
        target=worker_main, args=(conn, worker, setup), name=_Name(f"DataLoader worker {worker}"), daemon=True
    )
    if context.get_start_method() == "forkserver":
        _start_server(context)
    with interrupts_held(tracker=context.get_start_method() != "fork"):
        process.start()
    return process


def _start_server(context: Any) -> None:
    """Let a fork server that is not running yet import this package, so that workers have it when they begin."""
    from multiprocessing import forkserver

    server = getattr(forkserver, "_forkserver", None)  # there is no public way to ask
    if getattr(server, "_forkserver_pid", 0) is None and getattr(server, "_preload_modules", None) == ["__main__"]:
        # Without the main module, which may use the device: a device must not be open when a process forks.
        context.set_forkserver_preload([PRELOAD])
        with interrupts_held():  # `_preload` lets them through again
            forkserver.ensure_running()


@contextlib.contextmanager
def interrupts_held(tracker: bool = True) -> Iterator[None]:
    """Keep Ctrl-C until the end of the block, and from the processes that it starts.

    Args:
        tracker: whether the block needs Python's resource tracker, whose own start would unblock the signal.
    """
    late: list[Any] = []
    # Python handles signals in its main thread, but the signal itself can arrive in any, such as a driver's:
    # to block it in this one, which the child inherits, does not keep the handler from running here.
    handler = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread() and callable(handler)
    if in_main:
        signal.signal(signal.SIGINT, lambda *arguments: late.append(arguments))
    mask: Any = None
    try:
        if hasattr(signal, "pthread_sigmask"):
            if tracker:
                from multiprocessing import resource_tracker

                resource_tracker.ensure_running()
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if in_main:
            signal.signal(signal.SIGINT, handler)
            if late and callable(handler):
                handler(*late[0])


class _Name(str):
    """The name of a process that ignores Ctrl-C from when it learns its name.

    The name is among the first things that a new process unpickles, before it imports the main module, which can
    take long.
    """

    __slots__ = ()

    def __reduce__(self) -> Any:
        return operator.getitem, ((_IgnoreInterrupts(), str(self)), 1)


class _IgnoreInterrupts:
    def __reduce__(self) -> Any:
        return signal.signal, (signal.SIGINT, signal.SIG_IGN)
