"""Finds OpenCL devices, chooses one, and holds what belongs to a device: queue, memory pool, programs."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pyopencl as cl

from ..errors import NoDeviceError
from . import commands, icd
from .advice import no_device_message
from .faults import Faults
from .memory import Alias, Buffer, Pool
from .meta import META, Meta
from .program import Programs
from .quirks import lookup

_finding = threading.Lock()


class _Once(functools.cached_property):
    """A cached property whose first access may come from several threads at once (cached_property has no lock)."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with instance._lock:
            return instance.__dict__[self.attrname] if self.attrname in instance.__dict__ else super().__get__(
                instance, owner)


def finish_at_exit(queue: cl.CommandQueue) -> Callable[[], None]:
    """Wait for a queue when the process ends: a runtime unloaded while kernels wait can crash it.

    Returns what `atexit` calls, to be unregistered with it.
    """
    process = os.getpid()

    def finish() -> None:
        if os.getpid() != process:               # a fork has no threads that could finish anything
            return
        with contextlib.suppress(cl.Error):      # the process ends; whoever waited for a result has seen the error
            queue.finish()

    return atexit.register(finish)


class Reading:
    """A read that the device does in its turn."""

    __slots__ = ("_check", "_event")

    def __init__(self, event: cl.Event, check: Callable[[], None] | None):
        self._event = event
        self._check = check

    def done(self) -> bool:
        """Whether the data are there; looks without waiting."""
        return self._event.command_execution_status <= cl.command_execution_status.COMPLETE

    def wait(self) -> None:
        """Wait until the data are there; may be called again.

        It raises what `Device.read` raises, after the data are there and only once.
        """
        if not self.done():
            commands.wait("clWaitForEvents", self._event.wait)
        if self._check is not None:
            self._check()


class Device:
    """An OpenCL device with its in-order queue, its memory pool and its compiled programs.

    Get one from `genesis.device` or `genesis.devices`; do not make one.

    Attributes:
        type: ``"gpu"``, ``"cpu"`` or ``"accelerator"``.
        index: position among the devices of that type, as in ``"gpu:1"``.
        name, vendor, platform, platform_version, version, driver: as the runtime gives them.
        compute_units: number of compute units.
        memory, max_alloc: bytes in all, and in one buffer at the most.
        local_memory: bytes of local memory that a work-group may use.
        cache: bytes of the cache before global memory; on Intel's CPU runtime a core's own.
        vector_width: lanes of the device's float vectors.
        max_items: most work-items of a group along each dimension.
        fp16, fp64, subgroups: whether kernels may use them.
        unified: whether host and device share memory.
        quirks: what genesis knows of the runtime.
    """

    def __init__(self, handle: cl.Device, index: int = 0, queue: cl.CommandQueue | None = None):
        self.handle = handle
        self.index = index
        self.name = " ".join(handle.name.split())
        self.vendor = handle.vendor.strip()
        self.platform = handle.platform.name.strip()
        self.platform_version = handle.platform.version.strip()
        self.version = handle.version.strip()
        self.driver = handle.driver_version.strip()
        self.compute_units = handle.max_compute_units
        self.memory = handle.global_mem_size
        self.max_alloc = handle.max_mem_alloc_size
        self.local_memory = handle.local_mem_size
        self.cache = handle.global_mem_cache_size
        self.vector_width = handle.native_vector_width_float
        self.max_items = tuple(handle.max_work_item_sizes)
        extensions = handle.extensions.split()
        self.fp16 = "cl_khr_fp16" in extensions
        self.fp64 = "cl_khr_fp64" in extensions
        self.subgroups = any(e.startswith(("cl_khr_subgroup", "cl_intel_subgroups")) for e in extensions)
        self.unified = bool(handle.host_unified_memory)
        kinds = cl.device_type
        self.type = "gpu" if handle.type & kinds.GPU else "cpu" if handle.type & kinds.CPU else "accelerator"
        kind = "integrated" if self.type == "gpu" and self.unified else self.type
        self.quirks = lookup(self.platform, self.platform_version, kind)
        self._adopted = queue
        self._lock = threading.RLock()
        self._written: deque[cl.Event] = deque(maxlen=64)

    def __reduce__(self) -> Any:
        """Pickles name the device by its type and position, and find it again by them."""
        return device, (f"{self.type}:{self.index}",)

    @_Once
    def context(self) -> cl.Context:
        """The OpenCL context."""
        if self.quirks.warning:
            warnings.warn(f"{self.platform} ({self.platform_version}): {self.quirks.warning}", stacklevel=2)
        return self._adopted.context if self._adopted else cl.Context([self.handle])

    def works_in(self, context: cl.Context) -> bool:
        """Whether a context is the device's own; does not make one."""
        return (self._adopted is not None or "context" in vars(self)) and self.context == context

    @_Once
    def queue(self) -> cl.CommandQueue:
        """The in-order queue on which everything runs; while a profiler records, one that keeps times."""
        queue = self._adopted or cl.CommandQueue(self.context, self.handle)
        finish_at_exit(queue)
        return queue

    @_Once
    def pool(self) -> Pool:
        """The memory pool."""
        return Pool(self)

    @_Once
    def programs(self) -> Programs:
        """The compiled programs; ``kernel`` is the way to a kernel."""
        return Programs(self)

    @_Once
    def faults(self) -> Faults:
        """Indices out of range that kernels met."""
        return Faults(self)

    def empty(self, nbytes: int) -> Buffer:
        """A buffer of ``nbytes`` bytes with undefined contents."""
        return self.pool.take(nbytes)

    def write(self, buffer: Buffer | Alias, offset: int, data: np.ndarray) -> None:
        """Copy a contiguous host array into a buffer, starting at byte ``offset``; returns when it has been read."""
        if data.nbytes:
            commands.enqueue(self, commands.WRITE, data.nbytes, cl.enqueue_copy, buffer.handle, data,
                             dst_offset=offset, is_blocking=True)

    def write_later(self, buffer: Buffer | Alias, offset: int, data: np.ndarray) -> None:
        """As `write`, without waiting for what is enqueued before: the device reads a copy of ``data``."""
        copy = commands.enqueue(self, commands.WRITE, data.nbytes, cl.enqueue_copy, buffer.handle, data.copy(),
                                dst_offset=offset, is_blocking=False)
        self._written.append(copy)           # dropping the event of a copy would wait for it

    def read(self, buffer: Buffer | Alias, offset: int, data: np.ndarray, check: bool = True) -> None:
        """Fill a contiguous host array from a buffer, starting at byte ``offset``; waits for the device.

        Raises:
            DeviceIndexError: a kernel enqueued before met an index out of range; not without ``check``.
        """
        if data.nbytes:
            tell = self.faults.ask() if check and self.faults.pending else None
            commands.enqueue(self, commands.READ, data.nbytes, cl.enqueue_copy, data, buffer.handle,
                             src_offset=offset, is_blocking=True)
            if tell is not None:
                tell()

    def read_later(self, buffer: Buffer, offset: int, data: np.ndarray) -> Reading:
        """As `read` without waiting: ``data`` is filled when the reading says so."""
        check = self.faults.ask(last=False) if self.faults.pending else None
        event = commands.enqueue(self, commands.READ, data.nbytes, cl.enqueue_copy, data, buffer.handle,
                                 src_offset=offset, is_blocking=False)
        self.queue.flush()
        return Reading(event, check)

    def copy(self, source: Buffer | Alias, source_offset: int, target: Buffer, target_offset: int, nbytes: int) -> None:
        """Copy bytes from one buffer of this device to another."""
        if nbytes:
            commands.enqueue(self, commands.COPY, nbytes, cl.enqueue_copy, target.handle, source.handle,
                             byte_count=nbytes, src_offset=source_offset, dst_offset=target_offset)

    def fill(self, buffer: Buffer, offset: int, nbytes: int, pattern: np.ndarray) -> None:
        """Fill bytes of a buffer with a repeated element."""
        if nbytes:
            commands.enqueue(self, commands.FILL, nbytes, cl.enqueue_fill_buffer, buffer.handle, pattern, offset,
                             nbytes)

    def finish(self) -> None:
        """Wait until everything enqueued so far has run."""
        commands.wait("clFinish", self.queue.finish)

    def synchronize(self) -> None:
        """Wait until everything enqueued so far has run, and raise what kernels found wrong.

        Raises:
            DeviceIndexError: a kernel met an index out of range.
        """
        check = self.faults.ask() if self.faults.pending else None
        self.finish()
        if check is not None:
            check()

    def __str__(self) -> str:
        return f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"<genesis.device {self}: {self.name} ({self.platform})>"

    def __enter__(self) -> Device:
        global _default
        _outside.append(_default)
        _default = self
        return self

    def __exit__(self, *exc: object) -> None:
        global _default
        _default = _outside.pop()

    def describe(self) -> dict[str, Any]:
        """The facts about the device as plain values, for reports."""
        return {"device": str(self), "name": self.name, "vendor": self.vendor, "platform": self.platform,
                "platform_version": self.platform_version, "version": self.version, "driver": self.driver,
                "compute_units": self.compute_units, "memory": self.memory, "max_alloc": self.max_alloc,
                "fp16": self.fp16, "fp64": self.fp64, "subgroups": self.subgroups, "unified_memory": self.unified,
                "chosen_unasked": self.quirks.rank >= 0, "warning": self.quirks.warning}


def devices() -> tuple[Device, ...]:
    """Every OpenCL device found, the one that is chosen by default first."""
    with _finding:
        return _found()


@functools.cache
def _found() -> tuple[Device, ...]:
    icd.prepare()
    try:
        platforms = cl.get_platforms()
    except (cl.Error, RuntimeError):
        platforms = []
    handles = []
    for found in platforms:
        try:
            handles += found.get_devices()
        except cl.Error:      # a platform without devices says so with an error
            continue
    ranked = sorted((Device(h) for h in handles), key=lambda d: (-d.quirks.rank, -d.compute_units))
    count: dict[str, int] = {}
    for device in ranked:
        device.index = count.get(device.type, 0)
        count[device.type] = device.index + 1
    return tuple(ranked)


_default: Device | None = None
_outside: list[Device | None] = []     # the defaults outside of the ``with`` blocks of devices that run


def default_device() -> Device:
    """The device that new tensors go to: ``GENESIS_DEVICE`` when set, else the first of `devices`.

    Raises:
        NoDeviceError: no device was found; the message says how to install one on this system.
    """
    global _default
    if _default is None:
        wanted = os.environ.get("GENESIS_DEVICE", "").strip()
        if wanted:
            _default = find_device(wanted)
        else:
            usable = [d for d in devices() if d.quirks.rank >= 0]
            if not usable:
                raise _no_device()
            _default = usable[0]
    return _default


def cpu_device() -> Device | None:
    """The device that ``device("cpu")`` finds; None where there is none."""
    return next((d for d in devices() if d.type == "cpu"), None)


def _no_device() -> NoDeviceError:
    if not devices():
        return NoDeviceError("no OpenCL device was found:\n  " + no_device_message())
    listed = "\n  ".join(f"{d}: {d.name} ({d.platform_version})" for d in devices())
    return NoDeviceError("no OpenCL device that can be trusted was found:\n  " + no_device_message()
                         + f"\nThese exist and can be named in GENESIS_DEVICE:\n  {listed}")


def set_default_device(which: Device | str | int | None) -> None:
    """Make a device the one that new tensors go to; None returns to the choice made by itself."""
    global _default
    _default = None if which is None else find_device(which)


def find_device(which: Device | str | int | None = None) -> Device:
    """The device that a name means; see `device`."""
    if isinstance(which, Device):
        return which
    if which is None:
        return default_device()
    if which is META:
        META.refuse()
    if isinstance(which, bool) or not isinstance(which, int | str):
        raise TypeError(f"a device is named by a string or a position, not by {which!r}")
    found = devices()
    text = str(which).strip().lower()
    if text.partition(":")[0] == META.type:
        META.refuse()
    if text.isdecimal():
        matches = found[int(text):int(text) + 1]
    else:
        kind, _, position = text.partition(":")
        if kind in ("gpu", "cpu", "accelerator") and (position.isdecimal() or not position):
            matches = tuple(d for d in found if d.type == kind and d.index == int(position or 0))
        elif kind == "cuda" and position.isdecimal():
            matches = tuple(d for d in found if "cuda" in d.platform.lower())[int(position):int(position) + 1]
        else:
            matches = tuple(d for d in found if text in f"{d.platform} {d.name} {d.platform_version}".lower())
    if matches:
        return matches[0]
    if not found:
        raise _no_device()
    listed = "\n  ".join(f"{i}  {d}  {d.name} ({d.platform})" for i, d in enumerate(found))
    raise NoDeviceError(f"no OpenCL device fits {which!r}; these were found:\n  {listed}\n{_naming(text)}")


def _naming(text: str) -> str:
    """What to try in place of a name that nothing fits."""
    kind = text.partition(":")[0]
    if any(d.type == "gpu" for d in devices()) or kind not in ("gpu", "cuda"):
        return "devices are named gpu, cpu, gpu:1, or by any part of a platform's or device's name"
    return "`genesis devices` says what a GPU needs to be found"


class _Named(type):
    """What `device` is an instance of: programs call it, and name it as the type of a device."""

    def __call__(cls, which: Device | str | int | None = None, index: int | None = None) -> Any:
        if which is META or (isinstance(which, str) and which.partition(":")[0] == META.type):
            return META
        return find_device(which if index is None else f"{which}:{index}")

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Device | Meta)


class device(Device, metaclass=_Named):
    """Find a device.

    Args:
        which: ``"gpu"``, ``"cpu"``, ``"gpu:1"`` (the second of its type), ``"cuda:1"`` (of
            NVIDIA's platform), a position in `devices`, any part of
            the name of a platform or device (``"intel"``, ``"rusticl"``), or None for the default. ``"meta"`` is the
            device without memory, which can only be compared with: no tensor is there.
        index: the number after the colon, where it is given by itself.

    Returns:
        A `Device`. Each is an instance of ``device`` too, as programs ask: ``isinstance(x, genesis.device)``. In a
        ``with`` block it is the default device.

    Raises:
        NoDeviceError: nothing fits; the message lists what there is.

    Example:
        >>> genesis.device("cpu").type, genesis.device("cpu", 0) is genesis.device("cpu:0")
        ('cpu', True)
        >>> with genesis.device("cpu"):
        ...     genesis.zeros(2).device.type
        'cpu'
    """

    def __init__(self, which: Device | str | int | None = None, index: int | None = None):
        """Never called, for one that exists is returned; it says to tools what `device` takes."""
        raise NotImplementedError


def use(queue: cl.CommandQueue) -> Device:
    """Adopt a ``pyopencl.CommandQueue`` (or a ``Context``): genesis then works in its context, on its queue.

    Returns the device, which is also made the default. The queue must be in order.
    """
    if isinstance(queue, cl.Context):
        queue = cl.CommandQueue(queue)
    if not isinstance(queue, cl.CommandQueue):
        raise TypeError(f"expected a pyopencl.CommandQueue or Context, not {type(queue).__name__}")
    if queue.properties & cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE:
        raise ValueError("genesis needs an in-order queue; make one without OUT_OF_ORDER_EXEC_MODE_ENABLE")
    global _default
    if _default is not None and _default._adopted == queue:
        return _default
    index = next((d.index for d in devices() if d.handle == queue.device), 0)
    _default = Device(queue.device, index, queue)
    return _default


def synchronize(which: Device | str | int | None = None) -> None:
    """Wait until everything enqueued on a device (the default one) has run.

    Raises:
        DeviceIndexError: an operation that ran meanwhile was given an index out of range.
    """
    find_device(which).synchronize()
