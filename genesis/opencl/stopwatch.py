"""Times of a device's commands, on the host's clock.

A queue keeps the times of its commands only if it was made to, and on GPUs that makes launches slower. So a device has
such a queue only while somebody measures. It goes back to its own afterwards.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyopencl as cl

from .device import finish_at_exit

if TYPE_CHECKING:
    from .device import Device

now = time.perf_counter_ns       # the host's clock
_PENDING = 1024                  # commands whose events are held before the times of those that have run are noted


class Run(NamedTuple):
    """When a command ran on its device, in nanoseconds."""

    start: int
    end: int


class _Mark(NamedTuple):
    """A moment on both clocks."""

    device: int
    ahead: int       # what the host's clock shows more than the device's


class Stopwatch:
    """Measures the commands of a device from when it is made until `stop`; both wait for the device.

    Where the queue does not keep times (one that was adopted and was not made to, or a driver that does not tell), and
    where others hold the device's queue, which can then not be changed under them, each command is waited for and timed
    from outside. Then nothing overlaps, and the times include the launch. A warning says so.

    Args:
        device: the device.

    Attributes:
        exact: whether the times are the device's own.
    """

    def __init__(self, device: Device):
        self._device = device
        self._pending: deque[tuple[cl.Event, Any]] = deque()
        self._lock = threading.Lock()
        self._own: tuple[cl.CommandQueue, Callable[[], None]] | None = None
        why = self._change_queue()
        first = None if why else self._mark()
        self.exact = first is not None
        self._marks = [first or _Mark(0, 0)]
        if not self.exact:
            self._restore_queue()
            warnings.warn(f"{why or 'the driver does not tell when commands ran'}: commands of {device.name} are "
                          "waited for one by one and timed from outside, so their times include the launch and nothing "
                          "overlaps", stacklevel=2)

    def run(self, note: Any, function: Callable[..., cl.Event], *args: Any, **options: Any) -> cl.Event:
        """Enqueue ``function(queue, *args, **options)``; ``note.run`` becomes its `Run`, by `stop` at the latest."""
        queue = self._device.queue
        if not self.exact:
            queue.finish()
            start = now()
            event = function(queue, *args, **options)
            event.wait()
            note.run = Run(start, now())
            return event
        event = function(queue, *args, **options)
        self._pending.append((event, note))
        if len(self._pending) >= _PENDING:       # events hold memory of the driver, and of copies the host's side
            self._note(waiting=False)
        return event

    def _note(self, waiting: bool) -> None:
        """Take down the times of the commands that have run, oldest first; of all of them, if it is worth waiting."""
        with self._lock:
            while self._pending:
                event, note = self._pending[0]
                status = event.command_execution_status
                if status > cl.command_execution_status.COMPLETE:
                    if not waiting:
                        break
                    event.wait()
                if status >= cl.command_execution_status.COMPLETE:       # below are the codes of errors
                    times = event.profile
                    note.run = Run(times.start, times.end)
                self._pending.popleft()

    def stop(self) -> Callable[[Run], Run]:
        """Wait for the device and give it its queue back.

        Returns a function from the `Run` that a note holds to that on the host's clock.
        """
        try:
            self._device.queue.finish()
            self._note(waiting=True)
            if self.exact:
                self._marks.append(self._mark() or self._marks[0])
        finally:
            self._pending.clear()
            self._restore_queue()
        if not self.exact:
            return lambda run: run
        (first, ahead), (last, ahead_then) = self._marks
        drift = (ahead_then - ahead) / max(last - first, 1)          # clocks need not run equally fast
        return lambda run: Run(*(t + ahead + round((t - first) * drift) for t in run))

    # Clocks ----------------------------------------------------------------------------------------------------

    def _mark(self) -> _Mark | None:
        """What both clocks show now, to within a few microseconds; None if the device's is not told, or stands still.

        A command begins after it was enqueued and ends before it was waited for, whatever else a driver notes.
        """
        buffer = cl.Buffer(self._device.context, cl.mem_flags.READ_WRITE, 4)
        queue, zero = self._device.queue, np.zeros(1, np.uint32)
        least, most, ends = -sys.maxsize, sys.maxsize, []
        try:
            for _ in range(4):
                before = now()
                event = cl.enqueue_fill_buffer(queue, buffer, zero, 0, 4)
                queue.finish()
                after = now()
                least, most = max(least, before - event.profile.start), min(most, after - event.profile.end)
                ends.append(event.profile.end)
        except cl.Error:
            return None
        if not all(a < b for a, b in itertools.pairwise(ends)):
            return None
        return _Mark(ends[-1], (least + most) // 2)

    # Queues ----------------------------------------------------------------------------------------------------

    def _change_queue(self) -> str:
        """Give the device a queue that keeps times; what is in the way of that, or nothing."""
        device, keeps = self._device, cl.command_queue_properties.PROFILING_ENABLE
        if device.queue.properties & keeps:
            return ""
        if device._adopted is not None:
            return "the queue that was adopted does not keep times (make it with PROFILING_ENABLE)"
        if _is_held(device):
            return "the program holds the device's queue, or arrays that do"
        device.queue.finish()
        queue = cl.CommandQueue(device.context, device.handle, keeps)
        self._own = device.queue, finish_at_exit(queue)
        vars(device)["queue"] = queue
        return ""

    def _restore_queue(self) -> None:
        """Give the device its own queue back, unless somebody holds the present one by now."""
        if self._own is None:
            return
        own, at_exit = self._own
        self._own = None
        self._device.queue.finish()
        if not _is_held(self._device):
            vars(self._device)["queue"] = own
            atexit.unregister(at_exit)


def _references(holder: Any) -> int:
    return sys.getrefcount(vars(holder)["queue"])


def _references_of_unheld() -> int:
    """References to a queue that only its device and the function at exit know."""
    holder = type("", (), {})()
    holder.queue = object()
    queue = holder.queue

    def at_exit(_queue: Any = queue) -> None: ...

    del queue
    return _references(holder)


def _is_held(device: Device) -> bool:
    """Whether anybody but genesis refers to a device's queue, and may enqueue on it."""
    if not hasattr(sys, "getrefcount"):
        return True
    unheld = _references_of_unheld()
    if _references(device) > unheld:
        gc.collect()
    return _references(device) > unheld
