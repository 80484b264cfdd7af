"""Indices out of range that kernels met: kept on the device until the host waits for it, and raised there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from ..errors import DeviceIndexError
from . import commands, program

if TYPE_CHECKING:
    from .device import Device

Check = Callable[[], None]


class Faults:
    """The place where kernels of a device leave the first index that was out of range; see ``cl/include/faults.h``.

    Looking there costs a read of 24 bytes that does not wait, together with one that waits anyway, and only when a
    kernel has run that takes indices.

    Attributes:
        pending: whether a kernel that takes indices was enqueued since the host last looked.
    """

    def __init__(self, device: Device):
        self._device = device
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        self._handle = cl.Buffer(device.context, flags, hostbuf=np.zeros(3, np.int64))
        self._codes: dict[str, int] = {}
        self._raised = 0
        self.pending = False

    def launch(self, kernel: Any, size: Any, local: Any, *args: Any, operation: str, low: int) -> None:
        """Enqueue a kernel whose last parameters are FAULTS.

        Args:
            kernel, size, local, args: the kernel and what else it is called with.
            operation: what the error is to name.
            low: the smallest index that is in range.
        """
        code = self._codes.get(operation)
        if code is None:
            code = self._codes.setdefault(operation, len(self._codes) + 1)
        kernel(size, local, *args, self._handle, code, low)
        self.pending = True
        if program._SYNC:
            self.check()

    def ask(self, last: bool = True) -> Check:
        """Enqueue a look; the function returned raises what was found, and may be called once something enqueued
        later has run.

        Args:
            last: the caller is certain to call it, so that nobody else needs to look for the same.
        """
        raised = self._raised
        if last:
            self.pending = False
        record = np.zeros(3, np.int64)
        event = commands.enqueue(self._device, commands.READ, 24, cl.enqueue_copy, record, self._handle,
                                 is_blocking=False)

        def check(_keep: Any = event) -> None:
            code = int(record[:1].view(np.int32)[0])
            if code and raised == self._raised:
                self._clear()
                name = list(self._codes)[code - 1]
                raise DeviceIndexError(f"{name}: index {record[1]} is out of range for a dimension of size "
                                       f"{record[2]}")

        return check

    def _clear(self) -> None:
        self._raised += 1
        commands.enqueue(self._device, commands.FILL, 24, cl.enqueue_fill_buffer, self._handle, np.zeros(1, np.int64),
                         0, 24)

    def check(self) -> None:
        """Wait for the device, if there can be anything to find, and raise it.

        Raises:
            DeviceIndexError: an index was out of range.
        """
        if self.pending:
            check = self.ask()
            self._device.finish()
            check()
