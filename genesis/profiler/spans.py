"""What is written down: spans of the host's time, and commands of devices."""

from __future__ import annotations

import enum
import threading
from typing import TYPE_CHECKING, Any

from ..opencl import Device
from ..opencl.stopwatch import Run, now

if TYPE_CHECKING:
    from .recorder import Recorder


class Kind(enum.Enum):
    """What a span of the host's time is; the value is what traces call it."""

    OPERATION = "cpu_op"
    BACKWARD = "backward"
    ANNOTATION = "user_annotation"
    MODULE = "python_function"
    CALL = "opencl_runtime"


class Span:
    """A span of the host's time, in nanoseconds of its clock.

    Attributes:
        parent: the span in which it began, on the same thread.
        shapes: of the inputs, where they are recorded.
        stack: the lines of the program that led here, innermost first, where they are recorded.
        sequence: the number of the autograd node that an operation made, or whose backward this is; -1 for none.
        memory: bytes that device memory grew by meanwhile, where that is recorded.
        flops: floating-point operations, where they are counted.
        about: what else is known, for traces.
    """

    __slots__ = ("_recorder", "about", "end", "flops", "kind", "memory", "name", "parent", "sequence", "shapes",
                 "stack", "start", "thread")

    def __init__(self, recorder: Recorder, name: str, kind: Kind, parent: Span | None):
        self._recorder = recorder
        self.name = name
        self.kind = kind
        self.parent = parent
        self.thread = threading.get_native_id()
        self.shapes: list[Any] = []
        self.stack: list[str] = []
        self.sequence = -1
        self.flops = 0
        self.about: dict[str, Any] = {}
        self.memory = -recorder.allocated()
        self.start = now()
        self.end = 0

    def close(self) -> None:
        """End it, and with it those inside that an exception has left open."""
        self._recorder.close(self)


class Command:
    """A command of a device.

    Attributes:
        name: the kernel's, with its file, or what else the device does.
        category: `opencl.commands.Kind.category`.
        about: what is known about it.
        span: the call that enqueued it.
        run: when it ran; None if it has not.
    """

    __slots__ = ("about", "category", "device", "name", "run", "span")

    def __init__(self, name: str, category: str, about: dict[str, Any], device: Device, span: Span):
        self.name = name
        self.category = category
        self.about = about
        self.device = device
        self.span = span
        self.run: Run | None = None
