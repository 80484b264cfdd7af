"""Which steps are recorded: schedules, and what a profiler does from step to step, beside PyTorch's."""

import pytest

import genesis
from genesis import tracing
from genesis.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule

SCHEDULES = [{"wait": 1, "warmup": 1, "active": 2}, {"wait": 3, "warmup": 1, "active": 4},
             {"wait": 0, "warmup": 1, "active": 1, "repeat": 2, "skip_first": 3},
             {"wait": 2, "warmup": 3, "active": 1, "repeat": 1, "skip_first": 1, "skip_first_wait": 1}]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("arguments", SCHEDULES)
def test_schedule_is_that_of_torch(arguments, torch):
    mine, its = schedule(**arguments), torch.profiler.schedule(**arguments)
    assert [mine(step).name for step in range(40)] == [its(step).name for step in range(40)]


@pytest.mark.parametrize("wrong", [{"wait": -1}, {"warmup": -1}, {"active": 0}, {"repeat": -1}, {"skip_first": -1}])
def test_schedule_refuses_what_torch_refuses(wrong, torch):
    arguments = {"wait": 1, "warmup": 1, "active": 1, **wrong}
    for function in (schedule, torch.profiler.schedule):
        with pytest.raises(AssertionError, match="Invalid profiler schedule arguments"):
            function(**arguments)
    with pytest.raises(AssertionError, match="non-negative"):
        schedule(wait=1, warmup=1, active=1)(-1)


def test_schedule_without_warmup_warns():
    with pytest.warns(UserWarning, match="warmup"):
        assert schedule(wait=0, warmup=0, active=1)(0) is ProfilerAction.RECORD_AND_SAVE


def cycles(arguments, steps):
    """For each call of on_trace_ready: the number of the step, and the steps in the trace."""
    found, x = [], genesis.ones(2)
    with profile(activities=[ProfilerActivity.CPU], schedule=schedule(**arguments), on_trace_ready=lambda prof: (
            found.append((prof.step_num, [e.trace_name for e in prof.events() if e.name == "ProfilerStep*"])))) as prof:
        for _ in range(steps):
            x.exp()
            prof.step()
    return found


def wanted(actions):
    """The same from the actions of all steps: a cycle ends after its last step, or with the program."""
    found, names = [], []
    for step, action in enumerate(actions):
        if action.startswith("RECORD"):
            names.append(f"ProfilerStep#{step}")
            if action == "RECORD_AND_SAVE" or step == len(actions) - 1:
                found.append((min(step + 1, len(actions) - 1), names))
                names = []
    return found


@pytest.mark.parametrize("arguments", SCHEDULES)
@pytest.mark.parametrize("steps", [3, 6, 13])
def test_profiler_records_the_steps_of_its_schedule(arguments, steps):
    actions = [schedule(**arguments)(step).name for step in range(steps + 1)]
    assert cycles(arguments, steps) == wanted(actions)


def test_profiler_without_schedule_records_all_and_calls_back_once():
    calls, x = [], genesis.ones(2)
    with profile(activities=[ProfilerActivity.CPU], on_trace_ready=calls.append) as prof:
        for _ in range(3):
            x.exp()
            prof.step()
    assert calls == [prof]
    assert prof.step_num == 3
    assert [event.name for event in prof.events()] == ["aten::exp"] * 3
    prof.stop()
    assert calls == [prof]


@pytest.mark.parametrize(("actions", "said"), [("RECORD NONE", "RECORD followed by NONE"),
                                           ("RECORD WARMUP RECORD", "RECORD followed by WARMUP"),
                                           ("WARMUP NONE", "WARMUP followed by NONE")])
def test_schedules_that_make_no_sense_are_warned_of(actions, said):
    plan = [ProfilerAction[name] for name in actions.split()]
    prof = profile(activities=[ProfilerActivity.CPU], schedule=lambda step: plan[step])
    prof.start()
    with pytest.warns(UserWarning, match=f"Incorrect schedule: {said}"):
        prof.step()
    for _ in plan[2:]:
        prof.step()
    prof.stop()
    assert tracing.recorder is None


def test_schedule_must_not_stop_devices():
    def plan(step):
        return ProfilerAction.DEVICE_STOPPED if step else ProfilerAction.RECORD

    with pytest.raises(ValueError, match="DEVICE_STOPPED"):
        profile(schedule=lambda step: ProfilerAction.DEVICE_STOPPED)
    with profile(activities=[ProfilerActivity.CPU], schedule=plan) as prof, pytest.raises(ValueError, match="STOPPED"):
        prof.step()
    assert (prof.step_num, tracing.recorder) == (0, None)


def test_events_of_earlier_cycles_are_kept_on_request():
    for kept, count in ((False, 1), (True, 3)):
        prof = profile(activities=[ProfilerActivity.CPU], acc_events=kept)
        for _ in range(3):
            prof.start()
            with record_function("cycle"):
                pass
            prof.stop()
        assert [event.name for event in prof.events()] == ["cycle"] * count


def test_observers_and_identifiers_follow_the_recording():
    class Observer:
        def __init__(self):
            self.calls = []

        def __getattr__(self, name):
            return lambda: self.calls.append(name)

    observer, names = Observer(), iter("ab")
    with profile(activities=[ProfilerActivity.CPU], execution_trace_observer=observer,
                 custom_trace_id_callback=lambda: next(names)) as prof:
        assert prof.get_trace_id() == "a"
    assert observer.calls == ["start", "stop", "cleanup"]


def test_errors_of_what_is_called_leave_nothing_behind():
    def fail(*_):
        raise KeyError("mine")

    class Observer:
        start = stop = fail

        def cleanup(self): ...

    with pytest.raises(KeyError, match="mine"), profile(
            activities=[ProfilerActivity.CPU], schedule=schedule(wait=0, warmup=1, active=1),
            on_trace_ready=fail) as prof:
        prof.step()
        prof.step()
    assert tracing.recorder is None
    with pytest.raises(KeyError, match="mine"):
        profile(execution_trace_observer=Observer()).start()
    assert tracing.recorder is None
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as prof:
        genesis.addmm(genesis.ones(3, 5), genesis.ones(3, 4), genesis.ones(4, 5))
    assert sum(event.flops or 0 for event in prof.events()) == 120
