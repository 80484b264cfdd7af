"""What was recorded, as PyTorch's profiler shows it: events, their sums by name, and lists of either."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import table as tables
from .kinds import DeviceType

DEVICE = "opencl"       # what tables call the devices


class Interval(NamedTuple):
    """A time from ``start`` to ``end``, in microseconds since the recording began."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        """Its length."""
        return self.end - self.start


class Kernel(NamedTuple):
    """What a device did for an event: its name, the device's number, microseconds."""

    name: str
    device: int
    duration: float


class EventMetadata(NamedTuple):
    """What else is known of a command of a device: of a kernel its sizes, of a copy its bytes."""

    global_size: tuple[int, ...] | None = None
    local_size: tuple[int, ...] | None = None
    bytes: int | None = None


def attribute(name: str) -> str:
    """The name of a number of an event without the device's: ``self_cuda_time_total`` is ``self_device_time_total``."""
    for device in (DEVICE, "cuda", "xpu", "privateuse1"):
        name = name.replace(device, "device")
    return name


class _Times:
    """What events and their sums have in common: averages, times as text, and older names."""

    count: int

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_str"):
            return tables.time_text(getattr(self, name.removesuffix("_str")))
        if name in ("cpu_time", "device_time"):
            return getattr(self, f"{name}_total") / self.count if self.count else 0.0
        if (newer := attribute(name)) != name:
            if "cuda" in name:
                warnings.warn(f"`{name}` is deprecated, please use `{newer}` instead.", FutureWarning, stacklevel=2)
            return getattr(self, newer)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class FunctionEvent(_Times):
    """Something that took time: an operation, a part of the program that has a name, a command of a device.

    Times are microseconds, memory is bytes. Those with ``self_`` are without what the events inside, and for the device
    what the kernels that these launched, took.

    Attributes:
        id: a number.
        name: of an operation, such as ``"aten::add"`` or ``"AddBackward"``; of a kernel, with its file; what the user
            said.
        trace_name: the same, with the number of a step.
        time_range: `Interval`, in microseconds since the recording began.
        thread: the number that the system has for the thread; of a command, that of the thread that enqueued it.
        kernels: what devices did for it directly, as `Kernel`.
        count: 1.
        cpu_parent, cpu_children: the event in which it took place, and those that took place in it.
        input_shapes: of the tensors it was given; empty for numbers; all empty without ``record_shapes=True``.
        concrete_inputs: the numbers it was given.
        stack: the lines of the program that led to it, innermost first, with ``with_stack=True``.
        scope: 0; 1 for backward; 7 for what the user named.
        sequence_nr: a number that an operation and its backward share; -1 where there is none.
        use_device: ``"opencl"`` where devices were recorded, else None.
        device_type, device_index: where it took place.
        cpu_memory_usage: 0; memory of the host is not recorded.
        device_memory_usage: by how much device memory in use grew, with ``profile_memory=True``.
        flops: floating-point operations, with ``with_flops=True``.
        is_user_annotation: whether the user, or an optimizer, named it.
        event_metadata: `EventMetadata` of a command.
        node_id, is_async, is_remote, overload_name: as PyTorch has them where they mean nothing.
    """

    node_id = -1
    is_async = is_remote = is_legacy = False
    overload_name = ""
    cpu_memory_usage = self_cpu_memory_usage = 0

    def __init__(self, id: int, name: str, thread: int, start: float, end: float, use_device: str | None):
        self.id = id
        self.name = "ProfilerStep*" if name.startswith("ProfilerStep#") else name
        self.trace_name = name
        self.thread = thread
        self.time_range = Interval(start, end)
        self.use_device = use_device
        self.count = 1
        self.kernels: list[Kernel] = []
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []
        self.input_shapes: list[Any] = []
        self.concrete_inputs: list[Any] = []
        self.stack: list[str] = []
        self.scope = 0
        self.sequence_nr = -1
        self.device_type = DeviceType.CPU
        self.device_index = 0
        self.device_memory_usage = 0
        self.flops = 0
        self.is_user_annotation = False
        self.event_metadata: EventMetadata | None = None

    @property
    def key(self) -> str:
        """By what events are grouped."""
        return self.name

    @property
    def cpu_time_total(self) -> float:
        """The host's time."""
        return self.time_range.elapsed_us() if self.device_type is DeviceType.CPU else 0.0

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time without that of the events inside."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def device_time_total(self) -> float:
        """The time that a command took, or that devices took for what was enqueued here."""
        if self.device_type is not DeviceType.CPU:
            return self.time_range.elapsed_us()
        return self.self_device_time_total + sum(child.device_time_total for child in self.cpu_children)

    @property
    def self_device_time_total(self) -> float:
        """The same without what was enqueued in the events inside."""
        if self.device_type is not DeviceType.CPU:
            return self.time_range.elapsed_us()
        return sum(kernel.duration for kernel in self.kernels)

    @property
    def self_device_memory_usage(self) -> int:
        """By how much device memory grew outside of the events inside."""
        return self.device_memory_usage - sum(child.device_memory_usage for child in self.cpu_children)

    def __repr__(self) -> str:
        return (f"<FunctionEvent id={self.id} name={self.name} device_type={self.device_type} "
                f"cpu_time={self.cpu_time_str} start_us={self.time_range.start} end_us={self.time_range.end} "
                f"cpu_children={[child.id for child in self.cpu_children]} "
                f"{self.use_device}_time={self.device_time_str} thread={self.thread} input_shapes={self.input_shapes} "
                f"{self.use_device}_memory_usage={self.device_memory_usage} seq_nr={self.sequence_nr}>")


_SUMMED = ("count", "cpu_time_total", "device_time_total", "self_cpu_time_total", "self_device_time_total",
           "cpu_memory_usage", "device_memory_usage", "self_cpu_memory_usage", "self_device_memory_usage", "flops")
_SHARED = ("key", "node_id", "is_async", "is_remote", "use_device", "input_shapes", "overload_name", "stack", "scope",
           "cpu_parent", "cpu_children", "device_type", "is_legacy", "is_user_annotation")


class FunctionEventAvg(_Times):
    """The sum of events: their ``count``, and times, memory and ``flops`` under the names that events have.

    ``cpu_time`` and ``device_time`` are means. What the events have in common is that of the first of them.
    """

    def __init__(self, events: Iterable[Any] = ()):
        self.key: str | None = None
        for name in _SUMMED:
            setattr(self, name, 0)
        for event in events:
            self.add(event)

    def add(self, other: Any) -> FunctionEventAvg:
        """Add an event, or a sum of events, of the same ``key``; returns itself.

        Raises:
            AssertionError: it has another key.
        """
        if self.key is None:
            for name in _SHARED:
                setattr(self, name, getattr(other, name))
        if other.key != self.key:
            raise AssertionError(f"Expected keys to match, but got {other.key} vs {self.key}")
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    __iadd__ = add

    def __repr__(self) -> str:
        return (f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
                f"cpu_time={self.cpu_time_str} self_{self.use_device}_time={self.self_device_time_total_str} "
                f"{self.use_device}_time={self.device_time_str} input_shapes={self.input_shapes} "
                f"{self.use_device}_memory_usage={self.device_memory_usage}>")


class EventList(list[Any]):
    """A list of events, or of their sums by `key_averages`."""

    def __init__(self, events: Iterable[Any] = (), *, profile_memory: bool = False, with_flops: bool = False):
        super().__init__(events)
        self._profile_memory = profile_memory
        self._with_flops = with_flops

    def _like(self, events: Iterable[Any]) -> EventList:
        return EventList(events, profile_memory=self._profile_memory, with_flops=self._with_flops)

    def __str__(self) -> str:
        return self.table()

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time in all, in microseconds."""
        return sum(event.self_cpu_time_total for event in self)

    def table(self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int | None = 75,
              max_name_column_width: int | None = 55, max_shapes_column_width: int | None = 80,
              header: str | None = None, top_level_events_only: bool = False, time_unit: str | None = None) -> str:
        """The events as a table.

        Args:
            sort_by: a number of the events by which they are sorted, largest first: ``"cpu_time_total"``,
                ``"self_cpu_time_total"``, ``"device_time_total"``, ``"self_device_time_total"`` and the same with
                ``opencl``, ``cuda`` or ``xpu`` for ``device``, ``"self_device_memory_usage"``, ``"count"``,
                ``"flops"``, ...; None for the order in which they began.
            row_limit: how many rows there are at most; -1 for all.
            max_src_column_width, max_name_column_width, max_shapes_column_width: characters of the columns that hold
                lines of the program, names and shapes; None for as many as it takes.
            header: a line above the table.
            top_level_events_only: leave out events that took place inside of others.
            time_unit: ``"s"``, ``"ms"`` or ``"us"`` for all times; None for what suits each.

        Raises:
            AttributeError: there is no number of the name ``sort_by``.
        """
        events = self if sort_by is None else self._like(
            sorted(self, key=lambda event: getattr(event, attribute(sort_by)), reverse=True))
        return tables.build(events, row_limit=row_limit, source_width=max_src_column_width,
                            name_width=max_name_column_width, shapes_width=max_shapes_column_width, header=header,
                            top_level=top_level_events_only, unit=time_unit, memory=self._profile_memory,
                            flops=self._with_flops)

    def key_averages(self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0,
                     group_by_overload_name: bool = False) -> EventList:
        """The sums of the events of each name.

        Args:
            group_by_input_shapes: keep events apart whose inputs had other shapes.
            group_by_stack_n: keep events apart that other lines of the program led to, looking at as many.
            group_by_overload_name: accepted as PyTorch has it; there are no overloads here.

        Returns:
            `FunctionEventAvg`, in the order of the first event of each.
        """
        groups: dict[Any, list[Any]] = {}
        for event in self:
            key = (event.key, event.device_type, event.is_user_annotation,
                   str(event.input_shapes) if group_by_input_shapes else "", *event.stack[:group_by_stack_n])
            groups.setdefault(key, []).append(event)
        sums = self._like(FunctionEventAvg(events) for events in groups.values())
        for one in sums:
            one.stack = one.stack[:group_by_stack_n]
            if not group_by_input_shapes:
                one.input_shapes = []
        return sums

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events, with the key ``"Total"``."""
        total = FunctionEventAvg()
        for event in self:
            total.key = None
            total.add(event)
        total.key = "Total"
        return total

    def supported_export_stacks_metrics(self) -> list[str]:
        """The metrics that `export_stacks` takes."""
        return [f"self_{device}_time_total" for device in ("cpu", "device", DEVICE, "cuda", "xpu", "privateuse1")]

    def export_stacks(self, path: str, metric: str) -> None:
        """Write a line for each event, the lines of the program that led to it and a number, for a flame graph.

        Args:
            path: the file.
            metric: ``"self_cpu_time_total"`` or ``"self_device_time_total"``, in microseconds.

        Raises:
            ValueError: there is no such metric.
        """
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(f"metric should be one of: {self.supported_export_stacks_metrics()}")
        without = str.maketrans(" ;\t\n", "____")
        with open(path, "w", encoding="utf-8") as file:
            for event in self:
                value = int(getattr(event, attribute(metric)))
                if event.stack and value > 0:
                    file.write(";".join(line.translate(without) for line in reversed(event.stack)) + f" {value}\n")
