"""The parent's side of the worker processes of a `DataLoader`.

Each worker has a pipe of its own: one that is killed in the middle of a message spoils nobody else's, and its end
of the pipe closing is how the parent learns of it.
"""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import signal
import socket
import sys
import time
import weakref
from multiprocessing.connection import Connection, wait
from typing import Any

from ._host import is_tensor, to_numpy
from ._pipe import dumps, loads, receive, send
from ._start import start_worker
from .dataset import Dataset
from .worker import ERROR, Setup

GRACE = 2.0  # seconds a worker has to finish what it is doing before it is terminated


class WorkerTraceback(Exception):
    """The traceback of a worker process, as the cause of an error that the parent raises again."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


class WorkerPool:
    """Worker processes that make batches.

    Args:
        setup: what the workers need; is sent to them, so it must pickle unless they are forked.
        context: a `multiprocessing` context.
        timeout: seconds to wait for a batch, 0 for ever.
    """

    def __init__(self, setup: Setup, context: Any, timeout: float) -> None:
        self.epoch = 0
        self.timeout = timeout
        self.workers = setup.num_workers
        self.iterable = setup.fetcher.iterable
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        self._heard_from: set[int] = set()
        # Runs when the pool is closed, collected, or the interpreter exits, whichever comes first.
        self.close = weakref.finalize(self, _shut_down, self._processes, self._pipes, os.getpid())
        fork = context.get_start_method() == "fork"
        message = None if fork else _pickle_setup(setup)
        inherited = _host_setup(setup) if fork else None
        try:
            for worker in range(self.workers):
                self._start(context, worker, inherited)
            for worker in range(self.workers if message else 0):
                self._send(worker, message)  # after all are on their way: they start side by side
        except BaseException:
            self.close()
            raise

    def _start(self, context: Any, worker: int, setup: Setup | None) -> None:
        here, there = context.Pipe()
        self._pipes.append(here)
        self._processes.append(start_worker(context, there, worker, setup))
        there.close()  # now only the worker holds it, and its death closes it

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [process.pid for process in self._processes]

    def begin_epoch(self, seed: int) -> None:
        """Begin an epoch; what is still under way from the last one will be ignored."""
        self.epoch += 1
        message = dumps(("epoch", self.epoch, seed), _host_array)
        for worker in range(self.workers):
            self._send(worker, message)

    def request(self, worker: int, number: int, request: Any, discard: bool = False) -> None:
        """Ask a worker for batch `number` of the epoch."""
        self._send(worker, dumps(("fetch", self.epoch, number, request, discard), _host_array))

    def receive(self, worker: int) -> tuple[str, Any]:
        """The answer to the worker's oldest request, as (BATCH or END, batch); raises its errors."""
        deadline = time.monotonic() + self.timeout if self.timeout else None
        pipe, process = self._pipes[worker], self._processes[worker]
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = wait([pipe, process.sentinel], left)
            if not ready:
                raise RuntimeError(
                    f"DataLoader timed out: no batch from worker {worker} (pid {process.pid}) within "
                    f"{self.timeout} seconds; raise timeout, or look for what blocks the dataset"
                )
            try:
                if pipe not in ready:
                    raise EOFError
                message = receive(pipe)
            except (EOFError, OSError):
                raise self._death(worker) from None
            self._heard_from.add(worker)
            epoch, kind, content = loads(message)
            if epoch == self.epoch:  # and not what was under way when the last epoch was left
                if kind == ERROR:
                    _raise_again(worker, *content)
                return kind, content

    def _send(self, worker: int, message: Any) -> None:
        try:
            send(self._pipes[worker], message)
        except OSError:
            raise self._death(worker) from None

    def _death(self, worker: int) -> RuntimeError:
        process = self._processes[worker]
        process.join(GRACE)
        code = process.exitcode
        how = "closed its pipe" if code is None else f"exited unexpectedly with code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"was killed by {signal.Signals(-code).name}"
                if code == -getattr(signal, "SIGKILL", 0):
                    how += ", perhaps by the system for want of memory"
        hint = ""
        if worker not in self._heard_from:
            hint = (
                ". It made no batch before, so it may have failed to start: its own message is above. A script that "
                'uses workers must run its main part under `if __name__ == "__main__":`, because each worker '
                "imports the script; in a session without a file use num_workers=0"
            )
        return RuntimeError(f"DataLoader worker {worker} (pid {process.pid}) {how}{hint}")


def _raise_again(worker: int, pickled: bytes | None, summary: str, text: str) -> None:
    where = f"in DataLoader worker {worker}"
    error: Exception | None = None
    if pickled is not None:
        with contextlib.suppress(Exception):
            error = pickle.loads(pickled)
    if error is None or isinstance(error, StopIteration):
        error = RuntimeError(f"{summary} ({where})")
    else:
        error.add_note(f"raised {where}; its traceback is above")
    raise error from WorkerTraceback(f"Traceback {where}:\n{text}")


def _shut_down(processes: list[Any], pipes: list[Connection], owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the owner: the processes are not its children
    for pipe in pipes:
        # Shut down, not only closed: copies of this end may live on in other processes.
        with contextlib.suppress(OSError):
            if os.name == "posix":
                with socket.socket(fileno=os.dup(pipe.fileno())) as end:
                    end.shutdown(socket.SHUT_RDWR)
            pipe.close()
    deadline = time.monotonic() + GRACE
    for end_process in (None, "terminate", "kill"):
        for process in processes:
            if end_process and process.is_alive():
                getattr(process, end_process)()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        deadline = time.monotonic() + GRACE
    for process in processes:
        if not process.is_alive():
            process.close()
    processes.clear()
    pipes.clear()


def _host_array(tensor: Any) -> Any:
    """How a tensor pickles: as an array, since workers have no device."""
    return to_numpy(tensor).__reduce_ex__(pickle.HIGHEST_PROTOCOL)


def _pickle_setup(setup: Setup) -> list[Any]:
    parts = {
        "dataset": setup.fetcher.dataset,
        "collate_fn": setup.fetcher.collate_fn,
        "worker_init_fn": setup.worker_init_fn,
    }
    interactive = not hasattr(sys.modules["__main__"], "__file__")
    for name, value in parts.items():
        if interactive and getattr(value, "__module__", None) == "__main__":
            raise TypeError(
                f"{name} is defined in a notebook or at the prompt, where worker processes cannot import it from. "
                "Move it into a module, or use num_workers=0"
            )
    try:
        return dumps(setup, _host_array)
    except Exception as error:
        culprit = ", ".join(name for name, value in parts.items() if not _pickles(value))
        raise TypeError(
            f"cannot send {culprit or 'the dataset'} to worker processes: {error}. Define its class or function at "
            "the top level of a module, open files and connections on first use, or use num_workers=0"
        ) from error


def _pickles(value: Any) -> bool:
    try:
        dumps(value, _host_array)
    except Exception:
        return False
    return True


def _host_setup(setup: Setup) -> Setup:
    fetcher = type(setup.fetcher)(
        host_copy(setup.fetcher.dataset), setup.fetcher.collate_fn, setup.fetcher.batched, setup.fetcher.drop_last
    )
    return Setup(fetcher, setup.worker_init_fn, setup.num_workers, setup.base_seed)


def host_copy(value: Any) -> Any:
    """A dataset as a forked process can use it: a shallow copy with NumPy arrays in place of tensors.

    Follows datasets inside datasets, and lists, tuples and dicts of tensors or datasets. Of a list only the first
    element is looked at, since a list of a million indices is common.
    """
    if is_tensor(value):
        return to_numpy(value)
    if isinstance(value, Dataset):
        clone = copy.copy(value)
        for name, attribute in vars(value).items():
            object.__setattr__(clone, name, host_copy(attribute))
        return clone
    if type(value) in (list, tuple) and value and (is_tensor(value[0]) or isinstance(value[0], (Dataset, list, tuple))):
        return type(value)(host_copy(item) for item in value)
    if type(value) is dict:
        return {key: host_copy(item) for key, item in value.items()}
    return value
