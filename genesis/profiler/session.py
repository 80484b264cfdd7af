"""The profiler that users meet."""

from __future__ import annotations

import json
import os
import uuid
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from .. import tracing
from . import trace
from .annotation import record_function
from .build import build
from .events import EventList, FunctionEvent
from .kinds import ProfilerAction, ProfilerActivity, checked
from .recorder import Recorder

NONE, WARMUP, RECORD, SAVE = (ProfilerAction.NONE, ProfilerAction.WARMUP, ProfilerAction.RECORD,
                              ProfilerAction.RECORD_AND_SAVE)


class Recording:
    """One recording after the other, and what can be asked about the last: what `profile` and its older form share.

    Args:
        host, device: whether to record the host's work, and that of devices.
        options: `Recorder`'s others.
        accumulate: whether events of earlier recordings are kept.
    """

    def __init__(self, host: bool, device: bool, options: dict[str, bool], accumulate: bool = False):
        self._make: Callable[[], Recorder] = lambda: Recorder(host, device, **options)
        self._options = options
        self._accumulate = accumulate
        self._recorder: Recorder | None = None
        self._events: list[FunctionEvent] | None = None
        self._earlier: list[FunctionEvent] = []

    @property
    def running(self) -> bool:
        """Whether it records at the moment."""
        return self._recorder is not None and tracing.recorder is self._recorder

    def prepare(self) -> None:
        """Get ready.

        Raises:
            RuntimeError: another profiler is at work.
        """
        if tracing.recorder is not None:
            raise RuntimeError("a profiler is at work already; stop it before another one starts")
        if self._accumulate and self._recorder is not None:
            self._earlier = self._all_events()
        self._recorder, self._events = self._make(), None
        self._recorder.prepare()

    def start(self) -> None:
        """Begin to record; `prepare` was called before."""
        if tracing.recorder is not None:
            raise RuntimeError("a profiler is at work already; stop it before another one starts")
        recorder = self._asked("starting trace")
        recorder.begin()
        tracing.recorder = recorder

    def stop(self) -> None:
        """Stop recording, and wait for the devices."""
        recorder = self._asked("stopping trace")
        if tracing.recorder is recorder:
            tracing.recorder = None
        recorder.finish()

    def _asked(self, what: str) -> Recorder:
        if self._recorder is None:
            raise AssertionError(f"Profiler must be initialized before {what}")
        return self._recorder

    def _all_events(self) -> list[FunctionEvent]:
        recorder = self._asked("accessing events")
        if self.running:
            raise RuntimeError("the profiler is still recording; ask for events when it has stopped")
        if self._events is None:
            self._events = [*self._earlier, *build(recorder)]
        return self._events

    def events(self) -> EventList:
        """All events, in the order in which they began."""
        return EventList(self._all_events(), profile_memory=self._options["memory"],
                         with_flops=self._options["counts"])

    def export(self, path: str | os.PathLike[str], metadata: dict[str, Any]) -> None:
        """Write the last recording as a trace."""
        trace.export(self._asked("exporting chrome trace"), os.fspath(path), metadata)

    def export_stacks(self, path: str, metric: str) -> None:
        """Write the events' stacks."""
        self._asked("exporting stacks")
        if not self._options["stacks"]:
            raise AssertionError("export_stacks() requires with_stack=True")
        self.events().export_stacks(path, metric)


class profile:
    """Records where the time of a program goes, on the host and on its devices.

    A context manager; or `start`, `step` after each step, and `stop`. While it records, each operation, backward and
    optimizer step is noted with the host's time, and each kernel and copy with the time that the device says it took.
    What has run is not changed by that, but the host's work for an operation takes about twice as long.

    Devices get a queue that keeps times for as long as they are recorded. Start and stop where no other thread enqueues
    work, and let a program that works on ``device.queue`` itself fetch it anew. Where a queue cannot keep times each
    command is waited for and timed from outside, and a warning says so.

    Args:
        activities: what to record, of `ProfilerActivity`: ``CPU`` for the host's work, ``OPENCL`` (or PyTorch's names
            for devices) for that of devices; both if None.
        schedule: which steps to record, as `genesis.profiler.schedule` makes it; None records all, as one.
        on_trace_ready: called with the profiler when a cycle of the schedule, or the whole, has been recorded.
        record_shapes: note the shapes of operations' inputs.
        profile_memory: note by how much device memory in use grows in each event.
        with_stack: note the lines of the program that called each operation.
        with_flops: count the floating-point operations of forward's products and convolutions, and of sums and products
            of elements.
        with_modules: record each module's call, as ``"nn.Module: Linear_0"``, numbered by class in the order of first
            calls. (In PyTorch this only concerns TorchScript; calls of modules appear there with ``with_stack``.)
        experimental_config: None; PyTorch's options for its libraries do not exist here.
        execution_trace_observer: an object whose ``start``, ``stop`` and ``cleanup`` are called with the recording's.
        acc_events: keep the events of earlier cycles, which are otherwise forgotten.
        use_cuda: an older way to say in ``activities`` whether devices are recorded.
        custom_trace_id_callback: called for an identifier of each cycle; without it there is a random one.
        post_processing_timeout_s: accepted as PyTorch has it; events are made at once.

    Attributes:
        step_num: the number of the present step, from 0.
        current_action: what is done in it.

    Raises:
        AssertionError: no activities; from the methods that ask for results, if nothing has been recorded.
        RuntimeError: on starting, while another profiler is at work.
        TypeError, ValueError: something else than activities, or one twice.

    Example:
        >>> from genesis.profiler import ProfilerActivity, profile
        >>> layer = genesis.nn.Linear(8, 4)
        >>> with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.OPENCL], record_shapes=True) as prof:
        ...     layer(genesis.ones(2, 8)).sum().backward()
        >>> rows = {row.key: row for row in prof.key_averages()}
        >>> rows["aten::linear"].count, rows["LinearBackward"].count
        (1, 1)
        >>> rows["aten::linear"].self_device_time_total > 0
        True
        >>> table = prof.key_averages(group_by_input_shape=True).table(sort_by="self_device_time_total", row_limit=5)
    """

    def __init__(self, *, activities: Iterable[ProfilerActivity] | None = None,
                 schedule: Callable[[int], ProfilerAction] | None = None,
                 on_trace_ready: Callable[..., Any] | None = None, record_shapes: bool = False,
                 profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
                 with_modules: bool = False, experimental_config: Any = None, execution_trace_observer: Any = None,
                 acc_events: bool = False, use_cuda: bool | None = None,
                 custom_trace_id_callback: Callable[[], str] | None = None,
                 post_processing_timeout_s: float | None = None):
        self.activities = checked(activities)
        if use_cuda is not None:
            warnings.warn("`use_cuda` is deprecated, use `activities` argument instead", FutureWarning, stacklevel=2)
            self.activities = {ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if use_cuda else [])}
        if experimental_config is not None:
            raise NotImplementedError("experimental_config has options of PyTorch's libraries, which do not exist here")
        if post_processing_timeout_s is not None and post_processing_timeout_s < 0:
            raise ValueError("post_processing_timeout_s must be non-negative")
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.with_modules = with_modules
        self.execution_trace_observer = execution_trace_observer
        self.acc_events = acc_events
        self.on_trace_ready = on_trace_ready
        self.custom_trace_id_callback = custom_trace_id_callback
        self.schedule = schedule or (lambda step: RECORD)
        self.record_steps = schedule is not None
        self.step_num = 0
        self.current_action = self._action(0)
        devices = bool(self.activities - {ProfilerActivity.CPU})
        self.use_device = "opencl" if devices else None
        self._recording = Recording(ProfilerActivity.CPU in self.activities, devices, {
            "shapes": record_shapes, "memory": profile_memory, "stacks": with_stack, "counts": with_flops,
            "modules": with_modules}, acc_events)
        self._metadata: dict[str, Any] = {}
        self._trace_id: str | None = None
        self._step: record_function | None = None
        self._stopped = False

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        if self.execution_trace_observer is not None:
            self.execution_trace_observer.cleanup()

    # Steps -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin with the first step of the schedule."""
        self._change(NONE, self.current_action)
        self._stopped = False
        self._begin_step()

    def step(self) -> None:
        """Say that a step has ended and the next one begins.

        Raises:
            ValueError: the schedule returns ``ProfilerAction.DEVICE_STOPPED``.
        """
        self._end_step()
        before, after = self.current_action, self._action(self.step_num + 1)
        self.step_num += 1
        self.current_action = after
        self._change(before, after)
        self._begin_step()

    def stop(self) -> None:
        """Stop, and call ``on_trace_ready`` if something was recorded. A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self._end_step()
        self._change(self.current_action, None)

    def _action(self, step: int) -> ProfilerAction:
        action = self.schedule(step)
        if action is ProfilerAction.DEVICE_STOPPED:
            raise ValueError("a schedule must not return ProfilerAction.DEVICE_STOPPED")
        return action

    def _begin_step(self) -> None:
        if self.record_steps:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__()
            self._step = None

    def _change(self, before: ProfilerAction, after: ProfilerAction | None) -> None:
        """Do what lies between two actions; None is the end."""
        if before is SAVE or (before is RECORD and after is None):
            self.stop_trace()
            if self.on_trace_ready is not None:
                action, self.current_action = self.current_action, NONE        # there is nothing to stop if it raises
                self.on_trace_ready(self)
                self.current_action = action
            before = NONE
        elif before in (WARMUP, RECORD) and (after in (NONE, None) or (before, after) == (RECORD, WARMUP)):
            if after is not None:
                warnings.warn(f"Incorrect schedule: {before.name} followed by {after.name}", stacklevel=3)
            if before is WARMUP:
                self.start_trace()
            self.stop_trace()
            before = NONE
        if after in (NONE, None):
            return
        if before is NONE:
            self.prepare_trace()
        if before in (NONE, WARMUP) and after is not WARMUP:
            self.start_trace()

    # Recording, for those who do without a schedule ---------------------------------------------------------------

    def prepare_trace(self) -> None:
        """Get ready to record."""
        self._trace_id = (self.custom_trace_id_callback or (lambda: uuid.uuid4().hex.upper()))()
        self._recording.prepare()

    def start_trace(self) -> None:
        """Begin to record; after `prepare_trace`."""
        self._recording.start()
        try:
            if self.execution_trace_observer is not None:
                self.execution_trace_observer.start()
        except BaseException:
            self._recording.stop()
            raise

    def stop_trace(self) -> None:
        """Stop recording."""
        try:
            if self.execution_trace_observer is not None:
                self.execution_trace_observer.stop()
        finally:
            self._recording.stop()

    # Results -----------------------------------------------------------------------------------------------------

    def events(self) -> EventList:
        """The events of the last cycle, `FunctionEvent`, in the order in which they began."""
        return self._recording.events()

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
                     group_by_overload_name: bool = False) -> EventList:
        """The sums of the events of each name; see `EventList.key_averages`."""
        self._recording._asked("getting key averages")
        return self.events().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path: str, use_python_export: bool = False) -> None:
        """Write the last cycle as a trace for chrome://tracing, Perfetto or TensorBoard.

        Args:
            path: the file; compressed if its name ends with ``.gz``.
            use_python_export: accepted as PyTorch has it; there is one way here.
        """
        asked = {"record_shapes": self.record_shapes, "profile_memory": self.profile_memory,
                 "with_stack": self.with_stack, "with_flops": self.with_flops, "with_modules": self.with_modules}
        self._recording.export(path, {"trace_id": self._trace_id, **{name: 1 for name, on in asked.items() if on},
                                      **self._metadata})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write what led to each operation, for a flame graph; see `EventList.export_stacks`.

        Raises:
            AssertionError: nothing was recorded, or not with ``with_stack=True``.
        """
        self._recording.export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Add a text to the trace under a name."""
        self._metadata[key] = str(value)

    def add_metadata_json(self, key: str, value: str) -> None:
        """Add a value, given as JSON, to the trace under a name.

        Raises:
            ValueError: it is not JSON.
        """
        self._metadata[key] = json.loads(value)

    preset_metadata_json = add_metadata_json

    def set_custom_trace_id_callback(self, callback: Callable[[], str]) -> None:
        """Name the identifiers of later cycles."""
        self.custom_trace_id_callback = callback

    def get_trace_id(self) -> str | None:
        """The identifier of the present cycle; None before the first."""
        return self._trace_id


