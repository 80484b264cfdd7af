"""Recordings as traces, files that chrome://tracing, Perfetto and TensorBoard show."""

from __future__ import annotations

import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .recorder import Recorder
from .spans import Kind, Span


def export(recorder: Recorder, path: str, metadata: Mapping[str, Any]) -> None:
    """Write a recording to a file; compressed, if its name ends with ``.gz``."""
    opened: Any = gzip.open if path.endswith(".gz") else open
    devices = [{"id": i, "name": device.name, "platform": device.platform, "computeUnits": device.compute_units,
                "totalGlobalMem": device.memory} for i, device in enumerate(recorder.devices)]
    whole = {"schemaVersion": 1, "displayTimeUnit": "ms", "host_name": socket.gethostname(), "traceName": path,
             "baseTimeNanoseconds": time.time_ns() - time.perf_counter_ns() + recorder.start,
             "deviceProperties": devices, **metadata, "traceEvents": list(_events(recorder))}
    with opened(path, "wt", encoding="utf-8") as file:
        json.dump(whole, file)


def _events(recorder: Recorder) -> Iterator[dict[str, Any]]:
    host = os.getpid()
    yield from _labels(recorder, host)
    numbers = {id(span): number for number, span in enumerate(recorder.spans)}

    def moment(t: int) -> float:
        return (t - recorder.start) / 1000

    def place(span: Span) -> dict[str, Any]:
        return {"pid": host, "tid": span.thread}

    made_by: dict[int, Span] = {}
    for span in recorder.spans:
        about: dict[str, Any] = {"External id": numbers[id(span)], **span.about}
        if span.shapes:
            about["Input Dims"] = span.shapes
        if span.sequence >= 0:
            about["Sequence number"] = span.sequence
        if span.flops:
            about["flops"] = span.flops
        if recorder.memory:
            about["Bytes"] = span.memory
        category = Kind.OPERATION if span.kind is Kind.BACKWARD else span.kind
        yield {"ph": "X", "cat": category.value, "name": span.name, **place(span), "ts": moment(span.start),
               "dur": (span.end - span.start) / 1000, "args": about}
        if span.sequence >= 0 and span.kind is Kind.OPERATION:
            made_by[span.sequence] = span
        elif span.sequence in made_by:
            for end, at in (("s", made_by[span.sequence]), ("f", span)):
                yield _arrow("fwdbwd", span.sequence, end, place(at), moment(at.start))
    for number, (command, run) in enumerate(recorder.finished(), 1):
        there = {"pid": recorder.devices.index(command.device), "tid": 0}
        yield {"ph": "X", "cat": command.category, "name": command.name, **there, "ts": moment(run.start),
               "dur": (run.end - run.start) / 1000,
               "args": {"External id": numbers[id(command.span)], "correlation": number, **command.about}}
        yield _arrow("ac2g", number, "s", place(command.span), moment(command.span.start))
        yield _arrow("ac2g", number, "f", there, moment(run.start))
    for t, allocated in recorder.samples:
        yield {"ph": "C", "name": "Device memory", "pid": host, "ts": moment(t), "args": {"allocated": allocated}}


def _arrow(name: str, number: int, end: str, place: dict[str, Any], t: float) -> dict[str, Any]:
    """One end of an arrow between two events."""
    return {"ph": end, "id": number, "cat": name, "name": name, **place, "ts": t, **({"bp": "e"} if end == "f" else {})}


def _labels(recorder: Recorder, host: int) -> Iterator[dict[str, Any]]:
    """The names of the rows: the process' threads, and each device, with its position for a process' number."""
    def label(what: str, pid: int, tid: int, **args: Any) -> dict[str, Any]:
        return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": args}

    yield label("process_name", host, 0, name="python")
    yield label("process_labels", host, 0, labels="CPU")
    for thread in {span.thread for span in recorder.spans}:
        yield label("thread_name", host, thread, name=f"thread {thread} (python)")
    for i, device in enumerate(recorder.devices):
        yield label("process_name", i, 0, name=f"{device}: {device.name}")
        yield label("process_labels", i, 0, labels=f"OpenCL {i}")
        yield label("process_sort_index", i, 0, sort_index=5_000_000 + i)
        yield label("thread_name", i, 0, name="queue")


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False,
                              use_python_export: bool = False) -> Callable[[Any], None]:
    """A function for ``on_trace_ready`` that writes a trace into a folder, where TensorBoard finds it.

    Args:
        dir_name: the folder; made if there is none.
        worker_name: the beginning of the file's name; the host's name and the process' number if None.
        use_gzip: whether to compress the file.
        use_python_export: accepted as PyTorch has it; there is one way here.

    Raises:
        RuntimeError: from the function, where the folder cannot be made.

    Example:
        >>> from genesis.profiler import profile, tensorboard_trace_handler
        >>> with profile(on_trace_ready=tensorboard_trace_handler("log", worker_name="me")):
        ...     x = genesis.ones(3).sum().item()
        >>> from pathlib import Path
        >>> [path.name.split(".", 1)[0] for path in Path("log").glob("*.pt.trace.json")]
        ['me']
    """
    def handler(prof: Any) -> None:
        try:
            os.makedirs(dir_name, exist_ok=True)
        except OSError as error:
            raise RuntimeError(f"Can't create directory: {dir_name}") from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json" + ".gz" * use_gzip
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return handler
