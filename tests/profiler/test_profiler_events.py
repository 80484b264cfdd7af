"""What is recorded: operations, annotations, and the commands of devices."""

import itertools
import threading

import numpy as np
import pyopencl as cl
import pytest

import genesis
from genesis import nn, tracing
from genesis.opencl import stopwatch
from genesis.ops.operation import Operation
from genesis.profiler import DeviceType, EventList, ProfilerActivity, names, profile, record_function

KEEPS = cl.command_queue_properties.PROFILING_ENABLE

# What is said where the driver does not tell times; see test_devices_that_do_not_tell_times_are_timed_from_outside.
pytestmark = pytest.mark.filterwarnings("ignore:.*waited for one by one:UserWarning")


@pytest.fixture
def default():
    before = genesis.device()
    yield before
    genesis.set_default_device(before)


def trained(steps=2, **options):
    """A profile of some training steps of a small model, which has been trained before."""
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = genesis.optim.AdamW(model.parameters())
    x, y = genesis.randn(5, 8), genesis.tensor([0, 1, 2, 0, 1])

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    step()
    with profile(**options) as prof:
        for _ in range(steps):
            step()
    return prof


def calls(prof, kind=DeviceType.CPU):
    return [event.name for event in prof.events() if event.device_type is kind]


def outermost(prof):
    return [event for event in prof.events() if event.device_type is DeviceType.CPU and event.cpu_parent is None]


def test_training_step_shows_forward_backward_and_optimizer():
    prof = trained(1)
    named = [name for name in calls(prof) if not name.startswith(("cl", "torch::"))]
    assert named == ["Optimizer.zero_grad#AdamW.zero_grad", "aten::linear", "aten::relu", "aten::linear",
                     "aten::cross_entropy_loss", "CrossEntropyBackward", "LinearBackward", "ReluBackward",
                     "LinearBackward", "Optimizer.step#AdamW.step", "aten::item"]
    kernels = calls(prof, DeviceType.OPENCL)
    assert kernels.count("optim/adamw.cl:update") == 1
    assert "Memcpy DtoH" in kernels
    assert calls(prof).count("clEnqueueNDRangeKernel") == sum(".cl:" in name for name in kernels)
    scopes = {event.name: event.scope for event in prof.events()}
    assert (scopes["aten::relu"], scopes["ReluBackward"], scopes["Optimizer.step#AdamW.step"]) == (0, 1, 7)
    numbers = {event.name: event.sequence_nr for event in prof.events()}
    assert numbers["aten::relu"] == numbers["ReluBackward"] >= 0


def test_times_add_up():
    prof = trained(3)
    events, sums = prof.events(), prof.key_averages()
    commands = sorted((e for e in events if e.device_type is DeviceType.OPENCL), key=lambda e: e.time_range.start)
    assert all(command.time_range.elapsed_us() >= 0 for command in commands)
    for one, after in itertools.pairwise(commands):          # the queue is in order: nothing overlaps
        assert after.time_range.start >= one.time_range.end - 0.01
    busy = sum(command.device_time_total for command in commands)
    first, last = (min(e.time_range.start for e in events), max(e.time_range.end for e in events))
    assert 0 < busy <= last - first
    on_device = [row for row in sums if row.device_type is DeviceType.OPENCL]
    on_host = [row for row in sums if row.device_type is DeviceType.CPU]
    assert sum(row.self_device_time_total for row in on_device) == pytest.approx(busy)
    assert sum(row.self_device_time_total for row in on_host) == pytest.approx(busy)
    assert sum(event.device_time_total for event in outermost(prof)) == pytest.approx(busy)
    assert sums.self_cpu_time_total == pytest.approx(sum(event.cpu_time_total for event in outermost(prof)))
    assert sum(row.count for row in sums) == len(events)
    for event in events:
        for child in event.cpu_children:
            assert event.time_range.start <= child.time_range.start <= child.time_range.end <= event.time_range.end
            assert child.cpu_parent is event


def test_commands_run_after_they_were_enqueued():
    prof = trained(1)
    calls = [e for e in prof.events() if e.name.startswith("clEnqueue")]
    commands = [e for e in prof.events() if e.device_type is DeviceType.OPENCL]
    assert len(calls) == len(commands)
    for call, command in zip(calls, sorted(commands, key=lambda e: e.id)):
        assert command.time_range.start >= call.time_range.start


def test_clocks_that_were_badly_compared_are_set_right(monkeypatch):
    mark = stopwatch.Stopwatch._mark

    def wrong(watch):
        found = mark(watch)
        return found and found._replace(ahead=found.ahead - 5_000_000)

    monkeypatch.setattr(stopwatch.Stopwatch, "_mark", wrong)
    test_commands_run_after_they_were_enqueued()


def test_kernels_have_sizes_and_copies_bytes():
    with profile() as prof:
        x = genesis.tensor(np.arange(70, dtype=np.float32))
        (x * 2).numpy()
        x.sum().item()
    about = {e.name: e.event_metadata for e in prof.events() if e.device_type is DeviceType.OPENCL}
    assert about["ops/elementwise.cl:elementwise"].global_size
    assert about["Memcpy HtoD"].bytes == 280
    assert "Memcpy DtoH" in about


def test_shapes_are_those_of_the_inputs():
    rows = trained(1, record_shapes=True).key_averages(group_by_input_shape=True)
    assert [row.input_shapes for row in rows if row.key == "aten::linear"] == [[[5, 8], [16, 8], [16]],
                                                                              [[5, 16], [3, 16], [3]]]
    assert [row.input_shapes for row in rows if row.key == "ReluBackward"] == [[[5, 16]]]
    rows = trained(1, record_shapes=True).key_averages()
    assert [(row.count, row.input_shapes) for row in rows if row.key == "aten::linear"] == [(2, [])]
    assert "[[5, 8], [16, 8], [16]]" not in str(trained(1).events())


def test_compiling_is_told_apart():
    programs = genesis.opencl.Device(genesis.device().handle).programs
    with profile() as prof:
        programs.kernel("ops/elementwise.cl", "nothing", "P", text="kernel void nothing(global float *x) {}")
    assert calls(prof) == ["clBuildProgram"] * (len(programs.compiled) + len(programs.loaded)) != []


def test_memory_is_what_operations_leave():
    with profile(profile_memory=True) as prof:
        x = genesis.ones(1000)
        y = x.exp()
        del y
        with record_function("kept"):
            z = x.exp().exp()
    first, *others = [event for event in prof.events() if event.name == "aten::exp"]
    assert first.device_memory_usage >= z.nbytes
    kept = next(event for event in prof.events() if event.name == "kept")
    assert kept.device_memory_usage == others[1].device_memory_usage       # the one in between went
    assert kept.self_device_memory_usage == -others[0].device_memory_usage
    assert all(event.device_memory_usage == 0 for event in trained(1).events())


def test_flops_are_those_that_torch_counts():
    torch = pytest.importorskip("torch")

    def total(package):
        a, b = package.ones(4, 5), package.ones(5, 6)
        with package.autograd.profiler.profile(with_flops=True) as prof:      # quicker to start than torch.profiler's
            (a @ b) * 2 + 1
        return sum(row.flops for row in prof.key_averages())

    assert total(genesis) == total(torch) == 2 * 4 * 5 * 6 + 2 * 4 * 6


def test_flops_of_convolutions():
    x, w = genesis.ones(2, 3, 8, 8), genesis.ones(4, 3, 3, 3)
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as prof:
        y = nn.functional.conv2d(x, w)
        nn.functional.conv_transpose2d(y, w)
        nn.functional.linear(genesis.ones(5, 7), genesis.ones(2, 7), genesis.ones(2))
    one = 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)           # a product and a sum for each weight of each element
    assert [e.flops for e in prof.events() if e.flops] == [one, one, 2 * 5 * 7 * 2]


def inner():
    return genesis.ones(3).exp()


def test_stacks_lead_through_the_program(tmp_path):
    with profile(with_stack=True) as prof:
        x = genesis.ones(3, requires_grad=True)
        inner()
        x.exp().sum().backward()
    exps = [event for event in prof.events() if event.name == "aten::exp"]
    assert exps[0].stack[0].endswith("): inner")
    assert exps[0].stack[1].endswith("): test_stacks_lead_through_the_program")
    assert next(event for event in prof.events() if event.name == "ExpBackward").stack == exps[1].stack
    prof.export_stacks(tmp_path / "stacks.txt")
    line = next(line for line in (tmp_path / "stacks.txt").read_text().splitlines() if line.rpartition(" ")[0].endswith(
        "_inner"))
    assert int(line.rpartition(" ")[2]) > 0
    table = prof.key_averages(group_by_stack_n=1).table()
    assert table.count("test_profiler_events.py") >= 2
    with pytest.raises(ValueError, match="metric should be one of"):
        prof.events().export_stacks(tmp_path / "stacks.txt", "time")


def test_annotations_nest_and_survive_exceptions():
    x = genesis.ones(2)

    @record_function("again")
    def again(n):
        return again(n - 1) if n else x.exp()

    with profile(activities=[ProfilerActivity.CPU]) as prof:
        with record_function("outer", "about it"):
            again(2)
        with pytest.raises(ZeroDivisionError), record_function("failing"), record_function("inside"):
            1 / 0
        with record_function("after"):
            pass
    above = {event.name: event.cpu_parent and event.cpu_parent.name for event in prof.events()}
    assert above == {"outer": None, "again": "again", "aten::exp": "again", "failing": None, "inside": "failing",
                     "after": None}
    assert calls(prof).count("again") == 3
    assert all(event.is_user_annotation for event in prof.events() if event.name != "aten::exp")
    with record_function("nobody listens"):
        assert genesis.ones(1).item() == 1


def test_annotation_that_outlives_the_recording_ends_with_it():
    prof = profile(profile_memory=True)
    prof.start()
    with record_function("longer"):
        x = genesis.ones(1000)
        prof.stop()
        genesis.ones(100_000)
    (event,) = (event for event in prof.events() if event.name == "longer")
    assert event.device_memory_usage < 2 * x.nbytes


def test_operations_that_fail_are_closed():
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        with pytest.raises(RuntimeError):
            genesis.ones(2, 3) @ genesis.ones(2, 3)
        genesis.ones(2).exp()
    assert next(event for event in prof.events() if event.name == "aten::exp").cpu_parent is None


def test_modules_are_recorded_on_request():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()), nn.Linear(3, 2))
    x = genesis.ones(1, 2)
    for asked in (True, False):
        with profile(activities=[ProfilerActivity.CPU], with_modules=asked) as prof:
            for _ in range(2):
                model(x)
        shown = [(e.name, e.cpu_parent and e.cpu_parent.name) for e in prof.events()][:len(prof.events()) // 2]
        assert shown == ([("nn.Module: Sequential_0", None), ("nn.Module: Linear_0", "nn.Module: Sequential_0"),
                          ("aten::linear", "nn.Module: Linear_0"),
                          ("nn.Module: Sequential_1", "nn.Module: Sequential_0"),
                          ("nn.Module: ReLU_0", "nn.Module: Sequential_1"), ("aten::relu", "nn.Module: ReLU_0"),
                          ("nn.Module: Linear_1", "nn.Module: Sequential_0"), ("aten::linear", "nn.Module: Linear_1")]
                         if asked else [("aten::linear", None), ("aten::relu", None), ("aten::linear", None)])


def test_users_functions_have_their_names():
    class Square(genesis.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = genesis.ones(2, requires_grad=True)
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        Square.apply(x).sum().backward()
    above = {event.name: event.cpu_parent and event.cpu_parent.name for event in prof.events()}
    assert above["Square"] is None
    assert above["aten::mul"] in ("Square", "SquareBackward")
    assert "SquareBackward" in above


def test_what_autograd_does_not_know_has_names_too():
    x = genesis.tensor([1.0, 2.0, 3.0])
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        (x.argmax() == 2).item()
        x += 1
        x[0] = 5
        x.clamp_(0, 1)
        genesis.zeros(2)
    shown = [(e.name, e.cpu_parent and e.cpu_parent.name) for e in prof.events()]
    assert shown == [("aten::argmax", None), ("aten::eq", None), ("aten::item", None), ("aten::add_", None),
                     ("aten::index_put_", None), ("aten::clamp_", None), ("aten::clamp", "aten::clamp_"),
                     ("aten::full", None)]
    assert [e.input_shapes for e in prof.events()][:4] == [[[3], [], []], [[], []], [[]], [[3], []]]


def test_backward_that_is_recorded_shows_its_operations():
    x = genesis.ones(2, requires_grad=True)
    y = x.exp().sum()
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        genesis.autograd.grad(y, x, create_graph=True)
    assert next(e for e in prof.events() if e.name == "aten::mul").cpu_parent.name == "ExpBackward"


def operations(cls=Operation):
    for below in cls.__subclasses__():
        yield below
        yield from operations(below)


def test_names_of_operations_are_those_of_torch():
    torch = pytest.importorskip("torch")
    found = {names.of(operation, {}) for operation in operations() if operation.__module__.startswith("genesis.ops.")}
    found |= {f"aten::{name}" for _, kinds in names.KINDS.values() for name in kinds.values()}
    known = {name for name in found if name.startswith("aten::")}
    families = {"Binary", "Several", "Unary"}            # which others are made of
    wrong = {name for name in known if not hasattr(torch.ops.aten, name.removeprefix("aten::"))}
    assert wrong <= {f"aten::{name.lower()}" for name in families} | {"aten::extreme", "aten::pair_loss",
                                                                     "aten::triangle"}
    assert len(known) > 120
    assert names.of(genesis.ops.argument.Extreme, {"op": "max"}) == "aten::max"
    assert set(names.THEIRS) | set(names.KINDS) | names.OWN <= {operation.__name__ for operation in operations()}


def test_threads_are_kept_apart():
    def work():
        with record_function("there"):
            genesis.ones(3).exp().sum().item()

    with profile() as prof, record_function("here"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    here, there = (next(event for event in prof.events() if event.name == name) for name in ("here", "there"))
    assert there.cpu_parent is None
    assert here.thread != there.thread
    assert {child.thread for child in there.cpu_children} == {there.thread}


@pytest.mark.parametrize(("activities", "host", "device"), [
    ([ProfilerActivity.CPU], True, False), ([ProfilerActivity.OPENCL], False, True), (None, True, True),
    ([ProfilerActivity.CUDA], False, True), ([ProfilerActivity.CPU, ProfilerActivity.XPU], True, True)])
def test_activities_choose_what_is_recorded(activities, host, device):
    prof = trained(1, activities=activities)
    assert ("aten::relu" in calls(prof)) is host
    assert ("Optimizer.step#AdamW.step" in calls(prof)) is host
    assert ("clEnqueueNDRangeKernel" in calls(prof)) is device
    assert bool(calls(prof, DeviceType.CUDA)) is device
    assert ("Self OPENCL" in prof.key_averages().table()) is device


def test_data_loaders_are_recorded():
    from genesis.data import DataLoader

    with profile(activities=[ProfilerActivity.CPU]) as prof:
        list(DataLoader(list(range(4)), batch_size=2))
    assert sum(name.startswith("enumerate(DataLoader)#") for name in calls(prof)) >= 2


# Before, after, and in between -----------------------------------------------------------------------------------


def test_nothing_is_left_behind():
    def now():
        return id(genesis.device().queue), genesis.device().queue.properties, tracing.recorder, genesis.zeros(1).item()

    before = now()
    with profile() as prof:
        x = genesis.ones(3)
        assert now() != before
    assert now() == before
    x.exp()
    assert "aten::exp" not in calls(prof)
    with pytest.raises(ZeroDivisionError), profile(profile_memory=True) as failed:
        x.exp()
        1 / 0
    assert now() == before
    assert calls(failed).count("aten::exp") == 1


def test_profilers_do_not_nest():
    with profile() as outer:
        with pytest.raises(RuntimeError, match="at work already"):
            profile().start()
        genesis.ones(2).exp()
        with pytest.raises(RuntimeError, match="still recording"):
            outer.events()
    assert calls(outer).count("aten::exp") == 1


def test_times_of_many_commands_are_noted_on_the_way(monkeypatch):
    monkeypatch.setattr(stopwatch, "_PENDING", 8)
    x = genesis.ones(5)
    with profile() as prof:
        for _ in range(40):
            x + 1
    assert calls(prof, DeviceType.OPENCL) == ["ops/elementwise.cl:elementwise"] * 40


def test_devices_that_do_not_tell_times_are_timed_from_outside(default):
    context = cl.Context([genesis.device().handle])
    genesis.opencl.use(cl.CommandQueue(context))
    with pytest.warns(UserWarning, match=r"adopted does not keep times.*waited for one by one"), profile() as prof:
        genesis.ones(2000).exp().sum().item()
    commands = [event for event in prof.events() if event.device_type is DeviceType.OPENCL]
    assert len(commands) >= 3
    assert all(event.device_time_total > 0 for event in commands)
    for call in (event for event in prof.events() if event.name == "clEnqueueNDRangeKernel"):
        (command,) = (c for c in commands if call.time_range.start <= c.time_range.start <= call.time_range.end)
        assert command.time_range.end <= call.time_range.end


def test_queue_that_keeps_times_is_not_changed(default):
    context = cl.Context([genesis.device().handle])
    queue = cl.CommandQueue(context, properties=KEEPS)
    device = genesis.opencl.use(queue)
    with profile() as prof:
        assert device.queue is queue
        genesis.ones(3).exp()
    assert device.queue is queue
    assert calls(prof, DeviceType.OPENCL).count("ops/elementwise.cl:elementwise") == 2       # ones and exp


def test_queue_that_the_program_holds_is_not_changed():
    queue = genesis.device().queue
    prof = profile()
    with pytest.warns(UserWarning, match="holds the device's queue"):
        prof.start()
    assert genesis.device().queue is queue
    genesis.ones(3).exp()
    prof.stop()
    assert sum(event.device_time_total for event in prof.events() if event.device_type is DeviceType.OPENCL) > 0


def test_queue_that_the_program_took_meanwhile_stays(default):
    context = genesis.device().context
    device = genesis.opencl.Device(genesis.device().handle)
    genesis.set_default_device(device)
    with profile():
        genesis.ones(3).exp()
        queue = device.queue
    kept = bool(queue.properties & KEEPS)
    assert device.queue is queue
    assert genesis.ones(3).exp().sum().item() == pytest.approx(3 * np.e)
    del queue, context
    with profile():
        genesis.ones(3).exp()
    assert bool(device.queue.properties & KEEPS) is kept


@pytest.mark.parametrize("package", ["genesis", "torch"])
def test_errors_before_anything_was_recorded(package, tmp_path):
    package = pytest.importorskip(package)
    prof = package.profiler.profile(activities=[package.profiler.ProfilerActivity.CPU])
    for ask, said in ((prof.events, "accessing events"), (prof.key_averages, "getting key averages"),
                      (lambda: prof.export_chrome_trace(str(tmp_path / "x.json")), "exporting chrome trace"),
                      (lambda: prof.export_stacks(str(tmp_path / "x.txt")), "exporting stacks"),
                      (prof.stop, "stopping trace")):
        with pytest.raises(AssertionError, match=f"Profiler must be initialized before {said}"):
            ask()
    activity = package.profiler.ProfilerActivity.CPU
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        package.profiler.profile(activities=[])
    with pytest.raises(ValueError, match="more than once"):
        package.profiler.profile(activities=[activity, activity])
    with pytest.raises(TypeError):
        package.profiler.profile(activities=[activity, "CPU"])


def test_errors_of_what_was_not_recorded(tmp_path):
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        genesis.ones(1)
    with pytest.raises(AssertionError, match="requires with_stack=True"):
        prof.export_stacks(str(tmp_path / "x.txt"))
    with pytest.raises(AttributeError, match="nothing"):
        prof.key_averages().table(sort_by="nothing")


def test_options_that_do_not_exist_here_are_refused():
    with pytest.raises(NotImplementedError, match="experimental_config"):
        profile(experimental_config=object())
    with pytest.raises(ValueError, match="post_processing_timeout_s"):
        profile(post_processing_timeout_s=-1.0)
    with pytest.warns(FutureWarning, match="use_cuda"):
        assert profile(use_cuda=False).activities == {ProfilerActivity.CPU}


def test_older_form_records_a_block():
    x = genesis.ones(3, requires_grad=True)
    older = genesis.autograd.profiler
    with older.profile(use_device="cuda", record_shapes=True) as prof, older.record_function("block"):
        x.exp().sum().backward()
    assert {"block", "aten::exp", "ExpBackward"} <= {row.key for row in prof.key_averages()}
    assert type(prof.function_events) is EventList is genesis.autograd.profiler_util.EventList
    assert prof.total_average().count == len(prof.function_events)
    assert "block" in prof.table(sort_by="cpu_time_total", row_limit=1)      # all else is inside
    assert str(prof) == prof.table()
    with pytest.raises(RuntimeError, match="not reentrant"):
        prof.__enter__()
    with genesis.autograd.profiler.profile(enabled=False):
        assert tracing.recorder is None
    with pytest.raises(AssertionError, match="No activities"):
        genesis.autograd.profiler.profile(use_cpu=False)
