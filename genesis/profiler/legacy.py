"""The profiler in its older form, which PyTorch has in ``autograd.profiler``: one recording, and no steps."""

from __future__ import annotations

import warnings
from typing import Any

from .annotation import record_function
from .events import EventList, FunctionEvent, FunctionEventAvg
from .session import Recording

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "profile", "record_function"]


class profile:
    """Records a block; `genesis.profiler.profile` does more.

    Args:
        enabled: False to do nothing.
        use_cuda: an older way to ask for devices to be recorded.
        use_device: the name of a device of PyTorch's, ``"opencl"`` or another, to have devices recorded; None not to.
        record_shapes, with_flops, profile_memory, with_stack, with_modules: as of `genesis.profiler.profile`.
        use_kineto: accepted as PyTorch has it.
        use_cpu: whether to record the host's work.

    Raises:
        AssertionError: neither is to be recorded; from the methods, if nothing has been.
        RuntimeError: it is entered a second time, or while another profiler is at work.

    Example:
        >>> with genesis.autograd.profiler.profile(use_device="opencl") as prof:
        ...     x = genesis.ones(4, requires_grad=True)
        ...     x.exp().sum().backward()
        >>> [event.key for event in prof.key_averages() if event.key.endswith("Backward")]
        ['SumBackward', 'ExpBackward']
    """

    def __init__(self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
                 record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False,
                 with_stack: bool = False, with_modules: bool = False, use_kineto: bool = False, use_cpu: bool = True):
        self.enabled = enabled
        self.entered = False
        if use_cuda:
            warnings.warn("The attribute `use_cuda` will be deprecated soon, please use ``use_device = 'opencl'`` "
                          "instead.", FutureWarning, stacklevel=2)
        devices = use_cuda or use_device is not None
        if not use_cpu and not devices:
            raise AssertionError("No activities specified for the profiler")
        self._recording = Recording(use_cpu, devices, {"shapes": record_shapes, "memory": profile_memory,
                                                       "stacks": with_stack, "counts": with_flops,
                                                       "modules": with_modules})

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.entered = True
        self._recording.prepare()
        self._recording.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self._recording.stop()

    def __str__(self) -> str:
        return str(self.function_events)

    @property
    def function_events(self) -> EventList:
        """All events, in the order in which they began."""
        return self._recording.events()

    @property
    def self_cpu_time_total(self) -> float:
        """The host's time in all, in microseconds."""
        return self.function_events.self_cpu_time_total

    def table(self, *args: Any, **options: Any) -> str:
        """All events as a table; see `EventList.table`."""
        return self.function_events.table(*args, **options)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
                     group_by_overload_name: bool = False) -> EventList:
        """The sums of the events of each name; see `EventList.key_averages`."""
        return self.function_events.key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        return self.function_events.total_average()

    def export_chrome_trace(self, path: str) -> None:
        """Write a trace; see `genesis.profiler.profile.export_chrome_trace`."""
        self._recording.export(path, {})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write what led to each operation; see `EventList.export_stacks`."""
        self._recording.export_stacks(path, metric)
