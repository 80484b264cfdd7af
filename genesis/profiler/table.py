"""Events as a table of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .kinds import DeviceType

_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}
_WIDTH = 12          # characters of a column of numbers
_GAP = "  "


def time_text(us: float, unit: str | None = None) -> str:
    """A time given in microseconds, in a unit or in the one that suits it."""
    unit = unit if unit in _UNITS else "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / _UNITS[unit]:.3f}{unit}"


def memory_text(nbytes: int) -> str:
    """Bytes, in the unit that suits them."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(nbytes) >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} B"


def share_text(part: float, whole: float) -> str:
    """A part in per cent."""
    return f"{part * 100 / whole:.2f}%" if whole else "NaN"


def cut(text: str, width: int | None, keep_end: bool = False) -> str:
    """A text that fits into a column, without its end or its beginning."""
    if width is None or len(text) <= width:
        return text
    return "..." + text[len(text) - width + 3:] if keep_end else text[:width - 3] + "..."


def _flops_unit(events: Sequence[Any]) -> tuple[str, float]:
    """The unit in which the smallest number of operations is at least 1, and its size."""
    least = min(event.flops for event in events if event.flops)
    power = min(int(math.log10(least)) // 3, 5)
    return f"{('', 'K', 'M', 'G', 'T', 'P')[power]}FLOPs", 1000.0**power


_Column = tuple[str, Callable[[Any], str]]


def _columns(events: Sequence[Any], unit: str | None, memory: bool, flops: bool) -> list[_Column]:
    """The columns of numbers: header, and the text of an event."""
    host, device = _host_total(events), _device_total(events)

    def time(name: str) -> Callable[[Any], str]:
        return lambda event: time_text(getattr(event, name), unit)

    found: list[_Column] = [
        ("Self CPU %", lambda event: share_text(event.self_cpu_time_total, host)),
        ("Self CPU", time("self_cpu_time_total")),
        ("CPU total %", lambda event: share_text(event.cpu_time_total, host)),
        ("CPU total", time("cpu_time_total")),
        ("CPU time avg", time("cpu_time"))]
    if device:
        label = _device_label(events)
        found += [(f"Self {label}", time("self_device_time_total")),
                  (f"Self {label} %", lambda event: share_text(event.self_device_time_total, device)),
                  (f"{label} total", time("device_time_total")),
                  (f"{label} time avg", time("device_time"))]
    if memory:
        found += [("Device Mem", lambda event: memory_text(event.device_memory_usage)),
                  ("Self Mem", lambda event: memory_text(event.self_device_memory_usage))]
    found.append(("# of Calls", lambda event: str(event.count)))
    if flops and any(event.flops for event in events):
        name, size = _flops_unit(events)
        found.append((f"Total {name}", lambda event: f"{event.flops / size:.3f}" if event.flops else "--"))
    return found


def build(events: Sequence[Any], *, row_limit: int, source_width: int | None, name_width: int | None,
          shapes_width: int | None, header: str | None, top_level: bool, unit: str | None, memory: bool,
          flops: bool) -> str:
    """A table of events or of their sums; see `EventList.table`."""
    if not events:
        return ""
    shown = [event for event in events if not (top_level and event.cpu_parent is not None)]
    shown = shown if row_limit < 0 else shown[:row_limit]
    numbers = _columns(events, unit, memory, flops)
    columns = [["Name", *(cut(event.key, name_width) for event in shown)]]
    columns += [[f"{cell:>{_WIDTH}}" for cell in (name, *map(text, shown))] for name, text in numbers]
    if any(event.input_shapes for event in events):
        columns.append(["Input Shapes", *(cut(str(event.input_shapes), shapes_width) for event in shown)])
    widths = [max(map(len, column)) for column in columns]
    lines = [_GAP.join(f"{cell:>{width}}" for cell, width in zip(row, widths)) for row in zip(*columns)]
    rule = _GAP.join("-" * width for width in widths)
    if any(event.stack for event in events):
        sources = [["Source Location"], *([cut(line, source_width, keep_end=True) for line in event.stack]
                                          for event in shown)]
        rule += _GAP + "-" * max(len(line) for source in sources for line in source)
        lines = [_beside(line, source) for line, source in zip(lines, sources)]
    result = ["=" * len(rule), header] if header is not None else []
    if top_level:
        result += ["=" * len(rule), "This report only display top-level ops statistics"]
    result += [rule, lines[0], rule, *lines[1:], rule]
    result.append(f"Self CPU time total: {time_text(_host_total(events), unit)}")
    if _device_total(events):
        result.append(f"Self {_device_label(events)} time total: {time_text(_device_total(events), unit)}")
    return "\n".join(result) + "\n"


def _beside(line: str, source: Sequence[str]) -> str:
    """A line of the table and, in a last column, any number of lines."""
    first, *rest = source or [""]
    return "\n".join([line + _GAP + first, *(" " * len(line) + _GAP + more for more in rest)])


def _host_total(events: Sequence[Any]) -> float:
    return sum(event.self_cpu_time_total for event in events)


def _device_total(events: Sequence[Any]) -> float:
    return sum(event.self_device_time_total for event in events if event.device_type is not DeviceType.CPU)


def _device_label(events: Sequence[Any]) -> str:
    return (events[0].use_device or "device").upper()
