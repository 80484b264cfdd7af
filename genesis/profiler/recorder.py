"""What a profiler writes down while it runs: spans of the host's time, and commands of devices."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..opencl import Device, default_device
from ..opencl.stopwatch import Run, Stopwatch, now
from . import flops, names
from .spans import Command, Kind, Span

_LIBRARY = str(Path(__file__).resolve().parent.parent) + os.sep


class Recorder:
    """Listens at `genesis.tracing`.

    Args:
        host: whether to record operations and annotations.
        device: whether to record the commands of devices.
        shapes, memory, stacks, counts, modules: whether to record shapes of inputs, device memory, where in the program
            an operation was called, floating-point operations, and calls of modules.

    Attributes:
        spans: in the order in which they began.
        commands: of devices, in the order in which they were enqueued.
        samples: time and allocated bytes of device memory, where that is recorded.
    """

    def __init__(self, host: bool, device: bool, shapes: bool = False, memory: bool = False, stacks: bool = False,
                 counts: bool = False, modules: bool = False):
        self.host = host
        self.device = device
        self.shapes = shapes
        self.memory = memory
        self.stacks = stacks
        self.counts = counts
        self.modules = modules
        self.spans: list[Span] = []
        self.commands: list[Command] = []
        self.samples: list[tuple[int, int]] = []
        self.start = self.end = 0
        self._numbers: dict[type, dict[int, int]] = {}      # of the modules of a class
        self._watches: dict[Device, Stopwatch] = {}
        self._held: dict[Device, int] = {}                  # bytes in use when a device joined
        self._local = threading.local()
        self._lock = threading.RLock()

    # The whole -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Get ready for the devices in use, which takes a moment that is not to be recorded."""
        if self.device:
            self._watch(default_device())

    def begin(self) -> None:
        """The recording begins."""
        self.start = now()

    def finish(self) -> None:
        """Wait for the devices and note when commands ran."""
        clocks: dict[Device, Callable[[Run], Run]] = {}
        try:
            with contextlib.ExitStack() as all_of_them:          # also if one of them fails
                for device, watch in self._watches.items():
                    all_of_them.callback(lambda device, watch: clocks.__setitem__(device, watch.stop()), device, watch)
        finally:
            self.end = now()
            for span in self.spans:
                self._end(span)
            for device in self._watches:
                self._set_times([c for c in self.commands if c.device is device], clocks.get(device))

    @staticmethod
    def _set_times(commands: list[Command], clock: Callable[[Run], Run] | None) -> None:
        """Put the times of a device's commands on the host's clock; None where the device failed."""
        for command in commands:
            command.run = None if clock is None or command.run is None else clock(command.run)
        # Nothing begins before it was enqueued. Where it seems so, the clocks were compared in a busy moment.
        early = max((c.span.start - c.run.start for c in commands if c.run is not None), default=0)
        for command in commands if early > 0 else ():
            if command.run is not None:
                command.run = Run(command.run.start + early, command.run.end + early)

    def finished(self) -> list[tuple[Command, Run]]:
        """The commands that have run, and when."""
        return [(command, command.run) for command in self.commands if command.run is not None]

    @property
    def devices(self) -> list[Device]:
        """The devices that were used."""
        return list(self._watches) or [default_device()]

    def allocated(self) -> int:
        """Bytes of device memory in use, if memory is recorded; else 0.

        Of devices that join while it runs, those that were in use then do not count: no span has asked for them.
        """
        if not self.memory:
            return 0
        total = sum(device.pool.allocated - self._held.get(device, 0) for device in self.devices)
        self.samples.append((now(), total))
        return total

    def _watch(self, device: Device) -> Stopwatch:
        found = self._watches.get(device)
        if found is None:
            with self._lock:
                found = self._watches.get(device)
                if found is None:
                    if self.start:
                        self._held[device] = device.pool.allocated
                    found = self._watches[device] = Stopwatch(device)
        return found

    # Spans -----------------------------------------------------------------------------------------------------

    def _open(self) -> list[Span]:
        """The open spans of this thread, outermost first."""
        try:
            return self._local.spans
        except AttributeError:
            self._local.spans = []
            return self._local.spans

    def span(self, name: str, kind: Kind) -> Span:
        """Begin a span."""
        spans = self._open()
        span = Span(self, name, kind, spans[-1] if spans else None)
        spans.append(span)
        self.spans.append(span)
        return span

    def close(self, span: Span) -> None:
        """End a span; see `Span.close`."""
        spans = self._open()
        while span in spans:
            self._end(spans.pop())

    def _end(self, span: Span) -> None:
        if not span.end:
            span.end = self.end or now()
            span.memory += self.allocated()

    def annotate(self, name: str, args: str | None = None) -> Any:
        """Begin a span that the user, or an optimizer, named."""
        if not self.host:
            return _Nothing
        span = self.span(name, Kind.ANNOTATION)
        if args is not None:
            span.about["args"] = args
        return span

    # What calls from elsewhere -----------------------------------------------------------------------------------

    def takes(self) -> bool:
        """Whether an operation that begins is to be given to `operation`; not if that has just called it."""
        entering, self._local.entering = getattr(self._local, "entering", False), False
        return self.host and not entering

    def operation(self, apply: Callable[..., Any], operation: Any, *inputs: Any, **options: Any) -> Any:
        """Record ``apply(operation, *inputs, **options)``."""
        span = self._operation_on(names.of(operation, options), inputs)
        try:
            self._local.entering = True
            result = apply(operation, *inputs, **options)
            node = getattr(result[0] if isinstance(result, tuple) and result else result, "_node", None)
            if node is not None:
                span.sequence = node.sequence
            if self.counts:
                span.flops = flops.count(operation, inputs, result)
            return result
        finally:
            self._local.entering = False
            span.close()

    def function(self, name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Record ``function(*args, **options)`` as an operation that autograd does not know."""
        if not self.host:
            return function(*args, **options)
        span = self._operation_on(name, args)
        try:
            return function(*args, **options)
        finally:
            span.close()

    def method(self, name: str, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The same for a function that asks `takes` itself, and then calls this."""
        self._local.entering = True
        return self.function(name, method, *args, **options)

    def _operation_on(self, name: str, inputs: tuple[Any, ...]) -> Span:
        """Begin an operation."""
        span = self.span(name, Kind.OPERATION)
        if self.shapes:
            span.shapes = [_shape(x) for x in inputs]
            span.about["Input type"] = [str(getattr(x, "dtype", "Scalar" if x is not None else "")) for x in inputs]
            span.about["Concrete Inputs"] = [x if isinstance(x, int | float) else None for x in inputs]
        if self.stacks:
            span.stack = _stack()
        return span

    def module(self, module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Record ``module.forward(*args, **options)``, if calls of modules are recorded."""
        if not (self.host and self.modules):
            return module.forward(*args, **options)
        numbers = self._numbers.setdefault(type(module), {})
        number = numbers.setdefault(id(module), len(numbers))
        span = self.span(f"nn.Module: {type(module).__name__}_{number}", Kind.MODULE)
        try:
            return module.forward(*args, **options)
        finally:
            span.close()

    def backward(self, differentiate: Callable[..., Any], node: Any, context: Any, g: Any) -> Any:
        """Record ``differentiate(node, context, g)``."""
        if not self.host:
            return differentiate(node, context, g)
        span = self.span(node.name(), Kind.BACKWARD)
        span.sequence = node.sequence
        if self.shapes:
            span.shapes = [_shape(x) for x in (g if isinstance(g, list) else [g])]
        try:
            return differentiate(node, context, g)
        finally:
            span.close()

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        """Record ``function(*args)`` as an operation of backward that has no node."""
        if not self.host:
            return function(*args)
        span = self.span(name, Kind.BACKWARD)
        try:
            return function(*args)
        finally:
            span.close()

    def command(self, device: Device, kind: Any, about: dict[str, Any], function: Callable[..., Any], *args: Any,
                **options: Any) -> Any:
        """Enqueue a command, ``function(queue, *args, **options)``, and record it."""
        if not self.device:
            return function(device.queue, *args, **options)
        watch = self._watch(device)
        span = self.span(kind.call, Kind.CALL)
        command = Command(kind.name, kind.category, about, device, span)
        try:
            event = watch.run(command, function, *args, **options)
            self.commands.append(command)
            return event
        finally:
            span.close()

    def wait(self, call: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Record a function that waits for the device, or its compiler."""
        if not self.device:
            return function(*args, **options)
        span = self.span(call, Kind.CALL)
        try:
            return function(*args, **options)
        finally:
            span.close()


class _Nothing:
    """The span of what is not recorded."""

    @staticmethod
    def close() -> None:
        """Nothing."""


def _shape(x: Any) -> list[int]:
    return list(getattr(x, "shape", ()))


def _stack() -> list[str]:
    """The lines of the program that led here, without those of the library, innermost first."""
    lines = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_LIBRARY):
            lines.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return lines
