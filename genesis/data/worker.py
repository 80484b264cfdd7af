"""What runs in a worker process of a `DataLoader`.

A worker reads requests from a pipe, makes batches of NumPy arrays and writes them back. Nothing here uses an OpenCL
device: contexts do not survive a fork, and a context for each worker costs memory and start-up time. A dataset that
makes tensors all the same pays that price, unless its worker was forked; they travel as arrays.

One thread makes batches, a second writes them to the pipe, so that the next is in the making while the parent is
busy, and a third reads requests, so that the pipe closing is noticed at once: that is how a worker is told to end,
and what happens when the parent dies, of whatever.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import random
import signal
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

import numpy as np

from ._host import seed_generator, to_numpy
from ._pipe import dumps, loads, receive, send
from .collate import default_collate
from .fetch import Fetcher
from .worker_info import WorkerInfo, set_worker_info

Queue: TypeAlias = "queue.SimpleQueue[Any]"  # None: no more

LAST_GRACE = 5.0  # seconds a worker goes on for with a batch that nobody waits for


_forked = False     # whether this process is a fork of one that may use a device

PACKAGE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Setup:
    """What a worker is given at its start."""

    fetcher: Fetcher
    worker_init_fn: Callable[[int], Any] | None
    num_workers: int
    base_seed: int
    package: str = PACKAGE  # of the process that made it


# The first message to a worker is its Setup, unless it was forked; then come
#   ("epoch", epoch, seed)
#   ("fetch", epoch, number of the batch, request, discard)
# An answer, one for each "fetch" and in order, is (epoch, kind, content).
BATCH, END, ERROR = "batch", "end", "error"


def worker_main(conn: Connection, worker: int, setup: Setup | None) -> None:
    """Serve requests until the pipe is closed.

    Args:
        conn: this worker's end of the pipe.
        worker: its id.
        setup: given when the process was forked; otherwise the first message.
    """
    global _forked
    _forked = setup is not None
    # Ctrl-C reaches every process of the terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        message = receive(conn) if setup is None else []
    except (EOFError, OSError):
        return  # the parent gave up before it began
    requests: Queue = queue.SimpleQueue()
    answers: Queue = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_read, args=(conn, requests, stop), daemon=True).start()
    writer = threading.Thread(target=_write, args=(conn, answers), daemon=True)
    writer.start()
    start: Fetcher | Exception
    try:
        start = _initialize(worker, loads(message) if setup is None else setup)
    except Exception as error:
        start = error
    del message  # as large as the dataset
    _serve(worker, start, requests, answers, stop)
    answers.put(None)
    writer.join()


def _initialize(worker: int, setup: Setup) -> Fetcher:
    if setup.package != PACKAGE:
        raise RuntimeError(
            f"the worker process imported genesis from {PACKAGE}, the loader is of {setup.package}: "
            "set PYTHONPATH instead of changing sys.path, or use multiprocessing_context='spawn'"
        )
    set_worker_info(WorkerInfo(worker, setup.num_workers, setup.base_seed + worker, setup.fetcher.dataset))
    _seed_everything(setup.base_seed, 0, worker)
    if setup.worker_init_fn is not None:
        setup.worker_init_fn(worker)
    return setup.fetcher


def _serve(worker: int, start: Fetcher | Exception, requests: Queue, answers: Queue, stop: threading.Event) -> None:
    """Answer requests; an error at the start, or at the start of an epoch, is the answer to those that follow."""
    ready, seed = start, 0
    while (message := requests.get()) is not None and not stop.is_set():
        kind, epoch, *details = loads(message)
        try:
            if kind == "epoch":
                ready, (seed,) = start, details
                if isinstance(ready, Fetcher):
                    _seed_everything(seed, 1, worker)
                    ready.start()
            elif isinstance(ready, Exception):
                raise ready
            else:
                answers.put(_answer(ready, epoch, seed, *details))
        except Exception as error:
            if kind == "epoch":
                ready = error
            else:
                answers.put(_describe(epoch, error))


def _answer(fetcher: Fetcher, epoch: int, seed: int, number: int, request: Any, discard: bool) -> list[Any]:
    # By batch, not once: random augmentation is then the same for any number of workers, and for a loader that
    # goes on in the middle of an epoch.
    _seed_everything(seed, 2, number)
    batch = fetcher.fetch(request, discard)
    # default_collate makes new arrays; others may hand out arrays that the next batch overwrites.
    snapshot = fetcher.collate_fn is not default_collate
    return dumps((epoch, *((END, None) if batch is fetcher.END else (BATCH, batch))), _tensor_as_array, snapshot)


def _seed_everything(seed: int, purpose: int, number: int) -> None:
    words = np.random.SeedSequence([seed, purpose, number]).generate_state(4)
    np.random.seed(words)
    seed_generator(int(words[0]) << 32 | int(words[1]))
    random.seed(int.from_bytes(words.tobytes(), "little"))


def _describe(epoch: int, error: Exception) -> list[Any]:
    """An answer that lets the parent raise `error` again with the traceback of this process."""
    text = "".join(traceback.format_exception(error))
    pickled: bytes | None
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # some exceptions pickle and yet cannot be made again
    except Exception:
        pickled = None
    return dumps((epoch, ERROR, (pickled, f"{type(error).__name__}: {error}", text)), _tensor_as_array)


def _tensor_as_array(tensor: Any) -> Any:
    if _forked:
        raise RuntimeError(
            "the dataset or collate_fn made a genesis tensor in a forked worker process, which must not use the "
            "device; return NumPy arrays there, the loader turns them into tensors, or do not ask for 'fork'"
        )
    warnings.warn(
        "the dataset or collate_fn makes genesis tensors in worker processes, each of which opens the device for that; "
        "NumPy arrays, which the loader turns into tensors, are quicker",
        stacklevel=2,
    )
    return to_numpy(tensor).__reduce_ex__(pickle.HIGHEST_PROTOCOL)


def _read(conn: Connection, requests: Queue, stop: threading.Event) -> None:
    """Take requests from the pipe until it is closed, or the parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # a worker has one
    with contextlib.suppress(EOFError, OSError):
        while conn in wait([conn, parent.sentinel]):
            requests.put(receive(conn))
    stop.set()  # requests that are still queued are of no use to anyone
    requests.put(None)
    # A batch under way may end well, if the parent lives and waits for it. If it is gone, end at once: of forked
    # workers only the youngest can notice, since the others' pipes are open in it, and then the next.
    wait([parent.sentinel], LAST_GRACE)
    os._exit(1)


def _write(conn: Connection, answers: Queue) -> None:
    """Send answers as they come."""
    while (answer := answers.get()) is not None:
        try:
            send(conn, answer)
        except OSError:
            return  # nobody listens any more; the reading side will see that too
