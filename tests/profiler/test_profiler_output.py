"""Tables, traces and signatures."""

import gzip
import inspect
import json

import pytest

import genesis
from genesis.profiler import (
    DeviceType,
    EventList,
    ProfilerActivity,
    profile,
    record_function,
    tensorboard_trace_handler,
)
from genesis.profiler.table import cut, memory_text, time_text

pytestmark = pytest.mark.filterwarnings("ignore:.*waited for one by one:UserWarning")


@pytest.fixture(scope="module")
def prof():
    x, w = genesis.ones(4, 6), genesis.ones(6, 3, requires_grad=True)
    with profile(record_shapes=True, profile_memory=True, with_flops=True) as prof, record_function("step", "some"):
        (x @ w).relu().sum().backward()
    return prof


def rows(table):
    """The rows of a table between its rules, each by its first column."""
    lines = table.splitlines()
    first, _, last = (i for i, line in enumerate(lines) if line.startswith("--"))
    return lines[first + 1], [line.split()[0] for line in lines[first + 3:last]]


def test_table_shows_names_numbers_and_totals(prof):
    sums = prof.key_averages()
    header, names = rows(sums.table(row_limit=-1))
    assert names == [row.key.split()[0] for row in sums]
    for column in ("Name", "Self CPU %", "CPU time avg", "Self OPENCL", "OPENCL total", "Self Mem", "# of Calls",
                   "Total FLOPs"):
        assert column in header, column
    assert "Input Shapes" not in header
    assert "Input Shapes" in rows(prof.key_averages(group_by_input_shape=True).table(row_limit=1))[0]
    total = sum(row.self_device_time_total for row in sums if row.device_type is DeviceType.OPENCL)
    assert sums.table(time_unit="us").endswith(f"\nSelf OPENCL time total: {total:.3f}us\n")


@pytest.mark.parametrize("key", ["cpu_time_total", "self_cuda_time_total", "self_opencl_time_total", "count", "flops",
                                 "xpu_time", "self_device_memory_usage"])
def test_table_is_sorted(prof, key):
    sums = prof.key_averages()
    name = key.replace("cuda", "device").replace("opencl", "device").replace("xpu", "device")
    wanted = sorted(sums, key=lambda row: getattr(row, name), reverse=True)
    assert rows(sums.table(sort_by=key))[1] == [row.key.split()[0] for row in wanted]


def test_table_takes_limits_and_units(prof):
    sums = prof.key_averages()
    table = sums.table(row_limit=2, header="what it is", time_unit="us", max_name_column_width=8)
    assert len(rows(table)[1]) == 2
    assert table.splitlines()[1] == "what it is"
    assert "ms" not in table
    assert all(len(name) <= 8 for name in rows(table)[1])
    top = prof.events().table(top_level_events_only=True)
    assert "step" in rows(top)[1]
    assert "aten::relu" not in rows(top)[1]
    assert EventList().table() == ""
    assert str(sums) == sums.table()


@pytest.mark.parametrize("package", ["genesis", "torch"])
def test_texts_of_numbers(package):
    if package == "torch":
        util = pytest.importorskip("torch.autograd.profiler_util")
        time, memory = util._format_time, util._format_memory
    else:
        time, memory = time_text, memory_text
    assert [time(t) for t in (0, 12.3456, 1234.5, 2.5e6)] == ["0.000us", "12.346us", "1.234ms", "2.500s"]
    assert [memory(n) for n in (0, -1, 1024, -3 << 20, 5 << 30)] == ["0 B", "-1 B", "1.00 KB", "-3.00 MB", "5.00 GB"]


def test_long_texts_are_cut():
    assert cut("a long name", 8) == "a lon..."
    assert cut("a long name", 8, keep_end=True) == "... name"
    assert cut("a long name", None) == "a long name"


def test_older_names_of_numbers(prof):
    row = prof.key_averages()[0]
    with pytest.warns(FutureWarning, match="self_cuda_time_total"):
        assert row.self_cuda_time_total == row.self_device_time_total
    assert row.opencl_time == row.device_time
    assert row.cpu_time == row.cpu_time_total / row.count
    assert row.cpu_time_total_str == time_text(row.cpu_time_total)
    with pytest.raises(AttributeError, match="has no attribute"):
        row.nothing
    with pytest.raises(AssertionError, match="keys to match"):
        row.add(prof.key_averages()[1])
    assert "step" in repr(prof.events()[0])
    assert "step" in repr(row)


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_trace_is_what_viewers_read(prof, name, tmp_path):
    prof.add_metadata("note", 'a "word"')
    prof.add_metadata_json("numbers", "[1, 2]")
    with pytest.raises(ValueError):
        prof.add_metadata_json("broken", "[1")
    prof.export_chrome_trace(str(tmp_path / name))
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt") as file:
        whole = json.load(file)
    assert (whole["note"], whole["numbers"], whole["record_shapes"]) == ('a "word"', [1, 2], 1)
    assert whole["trace_id"] == prof.get_trace_id()
    assert whole["deviceProperties"][0]["name"] == genesis.device().name
    spans = [event for event in whole["traceEvents"] if event["ph"] == "X"]
    assert len(spans) == len(prof.events())
    for place in {(span["pid"], span["tid"]) for span in spans}:
        nested(sorted((s for s in spans if (s["pid"], s["tid"]) == place), key=lambda s: (s["ts"], -s["dur"])))
    assert {span["cat"] for span in spans} >= {"cpu_op", "user_annotation", "opencl_runtime", "kernel"}
    multiplied = next(span for span in spans if span["name"] == "aten::matmul")
    assert multiplied["args"]["Input Dims"] == [[4, 6], [6, 3]]
    assert multiplied["args"]["flops"] == 2 * 4 * 6 * 3
    kernel = next(span for span in spans if span["cat"] == "kernel")
    assert kernel["args"]["global size"]
    counted = [event["args"]["allocated"] for event in whole["traceEvents"] if event["ph"] == "C"]
    assert max(counted) > 0
    for kind in ("ac2g", "fwdbwd"):
        ends = {end: sorted(event["id"] for event in whole["traceEvents"]
                            if event["ph"] == end and event["cat"] == kind) for end in "sf"}
        assert ends["s"] == ends["f"] != []


def nested(spans):
    """Of two spans one holds the other, or they do not touch."""
    open_ends = []
    for span in spans:
        end = span["ts"] + span["dur"]
        while open_ends and open_ends[-1] <= span["ts"] + 1e-3:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1] + 1e-3, span["name"]
        open_ends.append(end)


def test_handler_writes_traces_for_tensorboard(tmp_path):
    handler = tensorboard_trace_handler(str(tmp_path / "new" / "log"), "worker", use_gzip=True)
    with profile(activities=[ProfilerActivity.CPU], on_trace_ready=handler):
        genesis.ones(1).exp()
    (file,) = (tmp_path / "new" / "log").iterdir()
    assert file.name.startswith("worker.")
    assert file.name.endswith(".pt.trace.json.gz")
    assert "aten::exp" in gzip.decompress(file.read_bytes()).decode()
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="Can't create directory"):
        tensorboard_trace_handler(str(tmp_path / "file" / "log"))(None)


def arguments(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_arguments_are_those_of_torch():
    torch = pytest.importorskip("torch")
    mine, its = genesis.profiler, torch.profiler
    for name in ("schedule", "tensorboard_trace_handler", "record_function", "supported_activities", "profile"):
        assert arguments(getattr(mine, name)) == arguments(getattr(its, name)), name
    for name in ("start", "stop", "step", "events", "key_averages", "export_chrome_trace", "export_stacks",
                 "add_metadata", "add_metadata_json", "preset_metadata_json", "get_trace_id",
                 "set_custom_trace_id_callback"):
        assert arguments(getattr(mine.profile, name)) == arguments(getattr(its.profile, name)), name
    for name in ("table", "key_averages", "total_average", "export_stacks"):
        assert arguments(getattr(EventList, name)) == arguments(getattr(torch.autograd.profiler_util.EventList, name))
    assert {activity.name for activity in its.ProfilerActivity.__members__.values()} <= set(
        mine.ProfilerActivity.__members__)
    assert {action.name: action.value for action in its.ProfilerAction} == {
        action.name: action.value for action in mine.ProfilerAction}
