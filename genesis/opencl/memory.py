"""Device memory: buffers that return to a pool when the last reference to them goes."""

from __future__ import annotations

import functools
import threading
import weakref
from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING

import pyopencl as cl

from ..errors import OutOfMemoryError
from .pages import in_huge_pages

if TYPE_CHECKING:
    from .device import Device

_SMALLEST = 256
_PAGE = 4096


@functools.lru_cache(4096)
def _capacity(nbytes: int) -> int:
    """Bytes to allocate for a request: at most an eighth, and less than a page, more than asked for."""
    if nbytes <= _SMALLEST:
        return _SMALLEST
    step = min(_PAGE, max(_SMALLEST, 1 << (nbytes.bit_length() - 4)))
    return -(-nbytes // step) * step


class Buffer:
    """A piece of device memory. When the last reference goes, its memory goes back to the device's pool.

    The queue is in order, so memory may be handed out again while kernels that use it are still waiting.

    Attributes:
        handle: the ``pyopencl.Buffer``.
        nbytes: bytes asked for.
        device: the device it lives on.
        foreign: whether the memory is somebody else's, who may look at it at any time.
    """

    __slots__ = ("__weakref__", "device", "foreign", "handle", "nbytes")

    def __init__(self, device: Device, nbytes: int, handle: cl.Buffer, foreign: bool = True):
        self.device = device
        self.nbytes = nbytes
        self.handle = handle
        self.foreign = foreign

    def __repr__(self) -> str:
        return f"<Buffer of {self.nbytes} bytes on {self.device.name}>"


class _Lease(weakref.ref[Buffer]):
    """A pool's reference to a buffer in use, which still knows the memory when the buffer is gone."""

    __slots__ = ("capacity", "handle")
    capacity: int
    handle: cl.Buffer


def carve(buffer: Buffer, start: int, nbytes: int) -> cl.Buffer:
    """A part of a buffer as a buffer; ``start`` is a multiple of what the device aligns to, at most 4096 bytes."""
    return buffer.handle.get_sub_region(start, nbytes)


class Alias:
    """Another name for a buffer's memory, so that who still holds a reference to *this* name can be told apart."""

    __slots__ = ("__weakref__", "buffer", "device", "handle", "nbytes")
    foreign = False

    def __init__(self, buffer: Buffer | Alias):
        self.buffer = buffer
        self.device: Device = buffer.device
        self.handle: cl.Buffer = buffer.handle
        self.nbytes: int = buffer.nbytes


class Pool:
    """Keeps freed device memory for the next request of about the same size.

    A buffer that goes is only noted, by a function in C: Python drops a Ctrl-C that comes while a finalizer in Python
    runs, and a training step has hundreds. The pool takes the memory back when it is next asked for something.

    Attributes:
        peak: the most that ``allocated`` has been since `reset_peak`.
    """

    def __init__(self, device: Device):
        self._device = device
        self._leases: set[_Lease] = set()       # of the buffers in use
        self._gone: deque[_Lease] = deque()     # of those that nobody uses any more, oldest first
        self._free: dict[int, list[cl.Buffer]] = {}
        self._sizes: list[int] = []             # the keys of _free in rising order
        self._lock = threading.RLock()          # re-entrant: a finalizer of the user's may run inside `take`
        self._allocated = self.peak = 0

    @property
    def allocated(self) -> int:
        """Bytes in buffers that are in use."""
        with self._lock:
            self._reclaim()
            return self._allocated

    @property
    def cached(self) -> int:
        """Bytes kept for later."""
        with self._lock:
            self._reclaim()
            return sum(size * len(handles) for size, handles in self._free.items())

    def take(self, nbytes: int) -> Buffer:
        """A buffer of at least ``nbytes`` bytes, its contents undefined.

        Raises:
            OutOfMemoryError: the device cannot hold it, or it is over the device's limit for one buffer.
        """
        capacity = _capacity(nbytes)
        device = self._device
        if capacity > device.max_alloc:
            if nbytes > device.max_alloc:
                raise OutOfMemoryError(
                    f"one buffer of {nbytes:,} bytes is over the limit of {device.name}, {device.max_alloc:,} bytes; "
                    "split the tensor or make the batch smaller")
            capacity = nbytes
        with self._lock:
            if self._gone:
                self._reclaim()
            found = self._find(capacity)
            if found:
                capacity = found
                handle = self._free[found].pop()
            else:
                handle = self._allocate(capacity, nbytes)
            buffer = Buffer(device, nbytes, handle, foreign=False)
            lease = _Lease(buffer, self._gone.append)
            lease.capacity, lease.handle = capacity, handle
            self._allocated += capacity         # Python looks for Ctrl-C after calls: the lease and the count agree
            self._leases.add(lease)
            if self._allocated > self.peak:
                self.peak = self._allocated
        return buffer

    def _reclaim(self) -> None:
        """Keep the memory of the buffers that nobody uses any more."""
        gone = self._gone
        while gone:
            lease = gone[0]
            capacity, handle = lease.capacity, lease.handle
            self._leases.discard(lease)
            if capacity not in self._free:
                self._free[capacity] = []
                insort(self._sizes, capacity)
            self._allocated -= capacity         # no call, and so no Ctrl-C, from here until the memory is kept
            del gone[0]
            self._free[capacity].append(handle)

    def _find(self, capacity: int) -> int:
        """The size of a kept buffer that holds ``capacity`` bytes and at most an eighth more; 0 when there is none."""
        if self._free.get(capacity):
            return capacity
        for size in self._sizes[bisect_left(self._sizes, capacity):]:
            if size > capacity + capacity // 8:
                break
            if self._free[size]:
                return size
        return 0

    def _allocate(self, capacity: int, nbytes: int) -> cl.Buffer:
        for attempt in (1, 2):
            try:
                context = self._device.context
                found = in_huge_pages(context, capacity) if self._device.quirks.host_memory else None
                return found or cl.Buffer(context, cl.mem_flags.READ_WRITE, capacity)
            except (cl.MemoryError, cl.RuntimeError) as error:
                if attempt == 1:
                    self.empty_cache()
                    continue
                raise OutOfMemoryError(
                    f"{self._device.name} has no room for {nbytes:,} more bytes; genesis holds {self.allocated:,} of "
                    f"{self._device.memory:,}. Make the batch smaller or free tensors. ({error})") from error
        raise AssertionError("unreachable")

    def empty_cache(self) -> None:
        """Return all kept memory to the device, when everything enqueued so far has run."""
        self._device.finish()
        with self._lock:
            self._reclaim()
            self._free.clear()
            self._sizes.clear()

    def reset_peak(self) -> None:
        """Start measuring ``peak`` anew."""
        self.peak = self.allocated
