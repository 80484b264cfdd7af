"""From what was written down to events."""

from __future__ import annotations

from .events import DEVICE, EventMetadata, FunctionEvent, Kernel
from .kinds import DeviceType
from .recorder import Recorder
from .spans import Kind, Span


def build(recorder: Recorder) -> list[FunctionEvent]:
    """The events of a recording, in the order in which they began."""
    use_device = DEVICE if recorder.device else None
    found: dict[int, FunctionEvent] = {}

    def moment(t: int) -> float:
        return (t - recorder.start) / 1000

    for span in recorder.spans:
        event = FunctionEvent(len(found), span.name, span.thread, moment(span.start), moment(span.end), use_device)
        parent = found.get(id(span.parent))
        if parent is not None:
            event.cpu_parent = parent
            parent.cpu_children.append(event)
        event.input_shapes, event.concrete_inputs = span.shapes, span.about.get("Concrete Inputs", [])
        event.stack, event.sequence_nr, event.flops = span.stack, span.sequence, span.flops
        event.device_memory_usage = span.memory
        event.is_user_annotation = span.kind is Kind.ANNOTATION
        event.scope = {Kind.BACKWARD: 1, Kind.ANNOTATION: 7}.get(span.kind, 0)
        found[id(span)] = event
    events = list(found.values())
    for command, run in recorder.finished():
        event = FunctionEvent(len(events), command.name, command.span.thread, moment(run.start), moment(run.end),
                              use_device)
        event.device_type, event.device_index = DeviceType.OPENCL, recorder.devices.index(command.device)
        about = command.about
        event.event_metadata = EventMetadata(about.get("global size"), about.get("local size"), about.get("bytes"))
        events.append(event)
        home = found[id(_home(command.span))]
        home.kernels.append(Kernel(command.name, event.device_index, event.time_range.elapsed_us()))
    _lend_stacks(events)
    return sorted(events, key=lambda event: (event.time_range.start, -event.time_range.end))


def _home(call: Span) -> Span:
    """The span that a command is counted to: what made the call to OpenCL, or the call where nothing did."""
    return call.parent or call


def _lend_stacks(events: list[FunctionEvent]) -> None:
    """Give backward the lines of the program that its operation was called from."""
    stacks = {event.sequence_nr: event.stack for event in events if event.scope == 0 and event.stack}
    for event in events:
        if event.scope == 1:
            event.stack = stacks.get(event.sequence_nr, [])
