"""Schedulers: closed forms, exact resumption of any nesting, and PyTorch's values."""

import copy
import gc
import inspect
import json
import math
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import examples
from hypothesis import given
from hypothesis import strategies as st

from genesis.optim import lr_scheduler as ours

# -- a stand-in for an optimizer ---------------------------------------------------------------------------------


class Optimizer:
    """Groups, state and post-step hooks as in PyTorch; `step` only calls the hooks."""

    def __init__(self, lrs=(0.5,), **defaults):
        self.defaults = {"lr": 1e-3, **(defaults or {"momentum": 0.9})}
        self.param_groups = []
        self.hooks = {}
        for lr in lrs:
            self.add_param_group({"params": [object()], "lr": lr})

    def add_param_group(self, group):
        self.param_groups.append({**self.defaults, **group})

    def state_dict(self):
        groups = [{key: value for key, value in g.items() if key != "params"} for g in self.param_groups]
        return {"state": {}, "param_groups": copy.deepcopy(groups)}

    def load_state_dict(self, state):
        saved = copy.deepcopy(state["param_groups"])
        self.param_groups = [{**new, "params": old["params"]} for new, old in zip(saved, self.param_groups)]

    def register_step_post_hook(self, hook):
        key = object()
        self.hooks[key] = hook
        optimizer = self

        class Handle:
            def remove(self):
                del optimizer.hooks[key]

        return Handle()

    def step(self):
        for hook in self.hooks.values():
            hook(self, (), {})


class Quiet(Optimizer):
    """Without hooks: nothing watches the order of the calls to `step`."""

    register_step_post_hook = None


# -- schedules as data, so that they can be drawn by chance and built again elsewhere ------------------------------


class Decay:
    """A callable with state: each call takes it one further."""

    def __init__(self, rate):
        self.rate, self.calls, self.window = rate, 0, (0, 0)

    def __call__(self, t):
        self.calls += 1
        self.window = (self.window[1], t)
        return self.rate**t / (1 + 0.01 * self.calls)


FUNCTIONS = {
    "inverse": lambda t: 1 / (1 + t),
    "stairs": lambda t: 0.5 ** (t // 3),
    "wave": lambda t: 1 + 0.5 * math.sin(t),
}


def build(module, spec, optimizer):
    """Construct ``[name, arguments]``, or a composite ``[name, [spec, ...], milestones]``, from ``module``."""
    name, arguments = spec[0], spec[1]
    if name == "ChainedScheduler":
        return module.ChainedScheduler([build(module, child, optimizer) for child in arguments])
    if name == "SequentialLR":
        return module.SequentialLR(optimizer, [build(module, child, optimizer) for child in arguments], spec[2])
    arguments = dict(arguments)
    if "fn" in arguments:
        arguments["lr_lambda"] = FUNCTIONS[arguments.pop("fn")]
    if "rates" in arguments:
        rates = arguments.pop("rates")
        arguments["lr_lambda"] = [Decay(rates[i % len(rates)]) for i in range(len(optimizer.param_groups))]
    return getattr(module, name)(optimizer, **arguments)


def metric(t):
    return 2.0 + math.cos(1.7 * t) / (1 + t % 4)


def advance(scheduler, t):
    scheduler.step(metric(t)) if type(scheduler).__name__ == "ReduceLROnPlateau" else scheduler.step()


def reading(optimizer):
    """What training sees of the groups."""
    return [(g["lr"], g.get("momentum"), *g.get("betas", ())) for g in optimizer.param_groups]


steps = st.integers(1, 7)
gammas = st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.1])
momentum = st.fixed_dictionaries({"cycle_momentum": st.booleans()})


def leaf(name, **arguments):
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


LEAVES = [
    leaf("StepLR", step_size=steps, gamma=gammas),
    leaf("MultiStepLR", milestones=st.lists(st.integers(0, 12), max_size=4), gamma=gammas),
    leaf("ConstantLR", factor=st.sampled_from([0.25, 1 / 3, 1.0]), total_iters=st.integers(0, 7)),
    leaf(
        "LinearLR",
        start_factor=st.sampled_from([0.1, 1 / 3, 1.0]),
        end_factor=st.sampled_from([0.0, 0.3, 1.0]),
        total_iters=st.integers(0, 7),
    ),
    leaf("ExponentialLR", gamma=gammas),
    leaf("PolynomialLR", total_iters=steps, power=st.sampled_from([0.5, 1.0, 2.0])),
    leaf("CosineAnnealingLR", T_max=steps, eta_min=st.sampled_from([0.0, 0.01])),
    leaf("CosineAnnealingWarmRestarts", T_0=steps, T_mult=st.integers(1, 3), eta_min=st.sampled_from([0.0, 0.01])),
    leaf(
        "CyclicLR",
        base_lr=st.just(0.1),
        max_lr=st.just(0.7),
        step_size_up=steps,
        step_size_down=st.none() | steps,
        mode=st.sampled_from(["triangular", "triangular2", "exp_range"]),
        gamma=gammas,
        cycle_momentum=st.booleans(),
    ),
    leaf(
        "OneCycleLR",
        max_lr=st.just(0.7),
        total_steps=st.integers(27, 32),
        pct_start=st.sampled_from([0.0, 0.3, 0.45]),
        anneal_strategy=st.sampled_from(["cos", "linear"]),
        three_phase=st.booleans(),
        cycle_momentum=st.booleans(),
    ),
    leaf("LambdaLR", fn=st.sampled_from(sorted(FUNCTIONS))),
    leaf("MultiplicativeLR", fn=st.sampled_from(sorted(FUNCTIONS))),
]
STATEFUL = [leaf(name, rates=st.just([0.9, 0.8])) for name in ("LambdaLR", "MultiplicativeLR")]
PLATEAU = leaf(
    "ReduceLROnPlateau",
    mode=st.sampled_from(["min", "max"]),
    factor=st.just(0.5),
    patience=st.integers(0, 2),
    threshold=st.sampled_from([0.0, 0.1]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    cooldown=st.integers(0, 2),
    min_lr=st.sampled_from([0, 0.05]),
)


def composites(children):
    def in_sequence(some):
        milestones = st.lists(st.integers(0, 20), min_size=len(some) - 1, max_size=len(some) - 1).map(sorted)
        return st.tuples(st.just("SequentialLR"), st.just(some), milestones)

    some = st.lists(children, min_size=2, max_size=3)
    return st.tuples(st.just("ChainedScheduler"), some) | some.flatmap(in_sequence)


def nestings(*leaves):
    single = st.one_of(*leaves)
    pairs = composites(single)
    return single | pairs | composites(single | pairs) | composites(pairs)


optimizers = st.fixed_dictionaries(
    {
        "lrs": st.lists(st.sampled_from([0.5, 1e-3, 1, 3.0]), min_size=1, max_size=3),
        "defaults": st.sampled_from([{"momentum": 0.9}, {"betas": (0.9, 0.999)}]),
    }
)
edits = st.dictionaries(st.integers(0, 24), st.sampled_from([0.3, 2.0]), max_size=2)  # at step t, lr *= ... by hand
modest = examples(200)


def edit(optimizer, changes, t):
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * changes.get(t, 1.0)


# -- resuming ------------------------------------------------------------------------------------------------------


def resume(spec, make_optimizer, optimizer_state, scheduler_state, order):
    """Construct everything anew and load it."""
    optimizer = make_optimizer()
    if order == "optimizer before construction":
        optimizer.load_state_dict(optimizer_state)
        scheduler = build(ours, spec, optimizer)
        scheduler.load_state_dict(scheduler_state)
        return optimizer, scheduler
    scheduler = build(ours, spec, optimizer)
    if order == "optimizer first":
        optimizer.load_state_dict(optimizer_state)
    scheduler.load_state_dict(scheduler_state)
    if order == "scheduler first":
        optimizer.load_state_dict(optimizer_state)
    return optimizer, scheduler


ORDERS = ["optimizer first", "scheduler first", "optimizer before construction", "scheduler only"]


@modest
@given(
    spec=nestings(*LEAVES, *STATEFUL) | PLATEAU,
    setup=optimizers,
    stop=st.integers(0, 24),
    order=st.sampled_from(ORDERS),
    changes=edits,
)
def test_resuming_anywhere_equals_not_stopping(spec, setup, stop, order, changes):
    def make_optimizer():
        return Quiet(setup["lrs"], **setup["defaults"])

    optimizer = make_optimizer()
    scheduler = build(ours, spec, optimizer)
    for t in range(stop):
        advance(scheduler, t)
        edit(optimizer, changes, t)
    saved = json.loads(json.dumps(scheduler.state_dict()))
    optimizer_saved = optimizer.state_dict()  # in memory: JSON has no tuples, and betas are one
    optimizer2, scheduler2 = resume(spec, make_optimizer, optimizer_saved, saved, order)
    assert reading(optimizer2) == reading(optimizer)
    assert scheduler2.get_last_lr() == scheduler.get_last_lr()
    for t in range(stop, 27):
        advance(scheduler, t)
        advance(scheduler2, t)
        edit(optimizer, changes, t)
        edit(optimizer2, changes, t)
        assert reading(optimizer2) == reading(optimizer), f"step {t}"
        assert scheduler2.get_last_lr() == scheduler.get_last_lr()
    assert scheduler2.state_dict() == scheduler.state_dict()


EXAMPLES = {
    "StepLR": ["StepLR", {"step_size": 3, "gamma": 0.5}],
    "MultiStepLR": ["MultiStepLR", {"milestones": [7, 2, 2], "gamma": 0.5}],
    "ConstantLR": ["ConstantLR", {"factor": 0.25, "total_iters": 4}],
    "LinearLR": ["LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 6}],
    "ExponentialLR": ["ExponentialLR", {"gamma": 0.8}],
    "PolynomialLR": ["PolynomialLR", {"total_iters": 9, "power": 2.0}],
    "CosineAnnealingLR": ["CosineAnnealingLR", {"T_max": 6, "eta_min": 0.02}],
    "CosineAnnealingWarmRestarts": ["CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2, "eta_min": 0.02}],
    "CyclicLR": ["CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "step_size_down": 2,
                              "mode": "exp_range", "gamma": 0.9}],
    "OneCycleLR": ["OneCycleLR", {"max_lr": 0.7, "total_steps": 30, "three_phase": True}],
    "LambdaLR": ["LambdaLR", {"fn": "inverse"}],
    "MultiplicativeLR": ["MultiplicativeLR", {"fn": "wave"}],
    "ReduceLROnPlateau": ["ReduceLROnPlateau", {"factor": 0.5, "patience": 1, "cooldown": 1}],
    "warmup, then cosine": ["SequentialLR", [["LinearLR", {"start_factor": 0.1, "total_iters": 4}],
                                             ["CosineAnnealingLR", {"T_max": 10}]], [4]],
    "restarts, then steps": ["SequentialLR", [["CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2}],
                                              ["StepLR", {"step_size": 2, "gamma": 0.5}]], [5]],
    "chained": ["ChainedScheduler", [["ConstantLR", {"factor": 0.25, "total_iters": 4}],
                                     ["ExponentialLR", {"gamma": 0.8}]]],
}  # fmt: skip
NESTED = ["SequentialLR", [EXAMPLES["chained"], EXAMPLES["chained"], EXAMPLES["OneCycleLR"],
                           ["LambdaLR", {"rates": [0.9]}]], [3, 8, 14]]  # fmt: skip
ALL = [*EXAMPLES.values(), NESTED]
names = [*EXAMPLES, "nested"]


def test_every_public_scheduler_is_in_the_examples():
    classes = {name for name in ours.__all__ if isinstance(getattr(ours, name), type)}
    assert classes - {"LRScheduler"} == {spec[0] for spec in ALL}


def test_resuming_in_a_new_process_equals_not_stopping():
    jobs, expected = [], []
    for i, spec in enumerate(ALL):
        optimizer = Quiet((0.5, 0.2))
        scheduler = build(ours, spec, optimizer)
        for t in range(i):
            advance(scheduler, t)
        jobs.append([spec, i, optimizer.state_dict(), scheduler.state_dict()])
        trace = []
        for t in range(i, 20):
            advance(scheduler, t)
            trace.append(reading(optimizer))
        expected.append(trace)
    root = str(Path(ours.__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    answer = subprocess.run(
        [sys.executable, __file__], input=json.dumps(jobs), capture_output=True, text=True, env=environment, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == json.loads(json.dumps(expected))


def continue_jobs(jobs):
    traces = []
    for spec, begin, optimizer_state, scheduler_state in jobs:
        optimizer, scheduler = resume(spec, lambda: Quiet((0.5, 0.2)), optimizer_state, scheduler_state, ORDERS[2])
        trace = []
        for t in range(begin, 20):
            advance(scheduler, t)
            trace.append(reading(optimizer))
        traces.append(trace)
    return traces


OTHER = {"gamma": 0.3, "total_iters": 2, "power": 1.0, "T_max": 4, "eta_min": 0.1, "T_0": 3, "T_mult": 1,
         "max_lr": 0.9, "base_lr": 0.3, "step_size_up": 4, "step_size_down": 1, "mode": "triangular",
         "total_steps": 40, "three_phase": False, "step_size": 2, "milestones": [1], "factor": 0.9,
         "start_factor": 0.5, "end_factor": 0.7, "patience": 0, "cooldown": 0}  # fmt: skip


def with_other_settings(spec):
    if isinstance(spec[1], list):
        return [spec[0], [with_other_settings(child) for child in spec[1]], *spec[2:]]
    return [spec[0], {key: OTHER.get(key, value) for key, value in spec[1].items()}]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spec", list(EXAMPLES.values()), ids=list(EXAMPLES))
def test_settings_come_from_the_state(spec, order):
    optimizer = Quiet()
    scheduler = build(ours, spec, optimizer)
    for t in range(4):
        advance(scheduler, t)
    states = optimizer.state_dict(), scheduler.state_dict()
    optimizer2, scheduler2 = resume(with_other_settings(spec), Quiet, *states, order)
    for t in range(4, 16):
        advance(scheduler, t)
        advance(scheduler2, t)
        assert reading(optimizer2) == reading(optimizer)


def test_two_schedulers_side_by_side_resume_in_any_order():
    def make():
        optimizer = Quiet((0.5,))
        return optimizer, [ours.ExponentialLR(optimizer, 0.9), ours.LinearLR(optimizer, 0.1, total_iters=9)]

    optimizer, schedulers = make()
    for _ in range(4):
        for scheduler in schedulers:
            scheduler.step()
    states = [scheduler.state_dict() for scheduler in schedulers]
    for order in ([0, 1], [1, 0]):
        optimizer2, schedulers2 = make()
        for i in order:
            schedulers2[i].load_state_dict(states[i])
        assert reading(optimizer2) == reading(optimizer)


def test_lr_changed_by_hand_after_loading_is_kept():
    optimizer = Quiet((0.5,))
    scheduler = ours.ExponentialLR(optimizer, 0.5)
    scheduler.load_state_dict(scheduler.state_dict())
    optimizer.param_groups[0]["lr"] = 8.0
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 4.0


def test_callables_are_saved_only_if_they_are_objects():
    scheduler = ours.LambdaLR(Quiet((1.0, 1.0)), [FUNCTIONS["inverse"], Decay(0.9)])
    scheduler.step()
    saved = scheduler.state_dict()["lr_lambdas"]
    assert saved == [None, {"rate": 0.9, "calls": 2, "window": [0, 1]}]
    other = ours.LambdaLR(Quiet((1.0, 1.0)), [FUNCTIONS["stairs"], Decay(0.1)])
    other.load_state_dict(scheduler.state_dict())
    assert vars(other.lr_lambdas[1]) == vars(scheduler.lr_lambdas[1])  # the tuple is one again
    assert other.lr_lambdas[0] is FUNCTIONS["stairs"]
    functions = ours.LambdaLR(Quiet((1.0, 1.0)), FUNCTIONS["inverse"])
    with pytest.raises(ValueError, match=r"lr_lambda\[1\]"):
        functions.load_state_dict(scheduler.state_dict())
    assert functions.last_epoch == 0


def test_scale_fn_of_cyclic_is_saved_only_if_it_is_an_object():
    def make(rate):
        return ours.CyclicLR(Quiet(), 0.1, 0.5, step_size_up=2, scale_fn=Decay(rate), scale_mode="iterations")

    scheduler, other = make(0.5), make(0.9)
    for _ in range(3):
        scheduler.step()
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    assert other.preview(5) == scheduler.preview(5)
    assert ours.CyclicLR(Quiet(), 0.1, 0.5, scale_fn=abs).state_dict()["_scale_fn_custom"] is None


# -- state dicts ---------------------------------------------------------------------------------------------------


def is_plain(value):
    if isinstance(value, dict):
        return type(value) is dict and all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return type(value) in (int, float, str, bool, type(None))


@pytest.mark.parametrize("spec", ALL, ids=names)
def test_state_dict_is_a_plain_copy(spec):
    scheduler = build(ours, spec, Quiet((0.5, 1)))
    advance(scheduler, 0)
    state = scheduler.state_dict()
    assert is_plain(state)
    assert json.loads(json.dumps(state)) == state

    def spoil(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            if isinstance(value[key], (dict, list)):
                spoil(value[key])
            else:
                value[key] = "spoiled"

    before = copy.deepcopy(state)
    scheduler.load_state_dict(state)
    assert state == before, "loading must not change what it is given"
    spoil(state)
    assert scheduler.state_dict() == before, "the state dict shares memory with the scheduler"


def test_state_of_another_shape_is_refused_and_changes_nothing():
    def chain(*children):
        optimizer = Quiet()
        return ours.ChainedScheduler([build(ours, EXAMPLES[name], optimizer) for name in children])

    scheduler = chain("StepLR", "LambdaLR", "chained")
    scheduler.step()
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match="2 schedulers"):
        scheduler.load_state_dict(chain("StepLR", "LambdaLR").state_dict())
    with pytest.raises(KeyError, match="_schedulers"):
        scheduler.load_state_dict(chain("StepLR", "LambdaLR", "StepLR").state_dict())
    with pytest.raises(KeyError, match="last_epoch"):
        ours.StepLR(Quiet(), 3).load_state_dict(Quiet().state_dict())
    with pytest.raises(TypeError, match="must be a dict"):
        scheduler.load_state_dict([1, 2])
    assert scheduler.state_dict() == before


# -- previews, repr, copies ----------------------------------------------------------------------------------------


@modest
@given(spec=nestings(*LEAVES, *STATEFUL), setup=optimizers, begin=st.integers(0, 12))
def test_preview_tells_what_comes_and_touches_nothing(spec, setup, begin):
    optimizer = Quiet(setup["lrs"], **setup["defaults"])
    scheduler = build(ours, spec, optimizer)
    for _ in range(begin):
        scheduler.step()
    groups = list(optimizer.param_groups)
    before = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    ahead = scheduler.preview(12)
    assert (optimizer.state_dict(), scheduler.state_dict()) == before
    assert all(a is b for a, b in zip(groups, optimizer.param_groups))
    for lrs in ahead:
        scheduler.step()
        assert scheduler.get_last_lr() == lrs == [group["lr"] for group in optimizer.param_groups]


class Uncopyable:
    def __deepcopy__(self, memo):
        raise AssertionError("a preview must not copy parameters")


def test_preview_leaves_the_optimizer_alone_and_checks_n():
    optimizer = Optimizer()
    optimizer.param_groups[0]["params"] = [Uncopyable()]
    scheduler = ours.StepLR(optimizer, 2)
    hooks = dict(optimizer.hooks)
    assert scheduler.preview(0) == []
    scheduler.preview(3)
    assert optimizer.hooks == hooks
    with pytest.raises(ValueError, match="n must be"):
        scheduler.preview(-1)


def test_plateau_preview_assumes_no_improvement_or_takes_metrics():
    scheduler = ours.ReduceLROnPlateau(Quiet((8.0,)), factor=0.5, patience=1)
    scheduler.step(-3.0)
    before = scheduler.state_dict()
    assert scheduler.preview(4) == [[8.0], [4.0], [4.0], [2.0]]
    assert scheduler.preview(3, metrics=[-1, -9, -1]) == [[8.0]] * 3
    assert scheduler.state_dict() == before
    with pytest.raises(ValueError, match="metrics must have n=3"):
        scheduler.preview(3, metrics=[1])


@pytest.mark.parametrize("spec", ALL, ids=names)
def test_repr_names_the_class_the_settings_and_the_state(spec):
    scheduler = build(ours, spec, Quiet((0.5, 0.25)))
    advance(scheduler, 0)
    text = repr(scheduler)
    assert text.startswith(spec[0] + "(")
    assert "last_epoch=1" in text
    assert f"{scheduler.get_last_lr()[1]:.6g}" in text
    if not isinstance(spec[1], list):
        assert any(f"{key}=" in text for key in [*spec[1], "lr_lambda", "base_lrs"])
    else:
        assert all(child[0] in text for child in spec[1])


def test_repr_of_a_single_group():
    assert repr(ours.StepLR(Quiet((0.5,)), 3)) == "StepLR(step_size=3, gamma=0.1, last_epoch=0, lr=0.5)"
    warm = ours.get_linear_schedule_with_warmup(Quiet(), 2, 9)
    assert "linear_with_warmup(num_warmup_steps=2, num_training_steps=9)" in repr(warm)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_scheduler_and_optimizer_can_be_copied_together(duplicate):
    optimizer = Quiet()
    scheduler = build(ours, EXAMPLES["warmup, then cosine"], optimizer)
    optimizer2, scheduler2 = duplicate((optimizer, scheduler))
    for _ in range(6):
        scheduler2.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    for _ in range(6):
        scheduler.step()
    assert reading(optimizer) == reading(optimizer2)


@pytest.mark.parametrize("name", ours.__all__)
def test_every_public_name_has_an_example(name):
    assert ">>> " in getattr(ours, name).__doc__


# -- closed forms, without PyTorch ---------------------------------------------------------------------------------


def cosine(t, length, low, high):
    return low + (high - low) * (1 + math.cos(math.pi * t / length)) / 2


def restarts(t, low=0.02):  # T_0 = 2, T_mult = 2
    run = int(math.log2(t / 2 + 1))
    return cosine(t - 2 * (2**run - 1), 2 * 2**run, low, 0.5)


def triangle(t):  # 3 up, 2 down
    t %= 5
    return t / 3 if t <= 3 else (5 - t) / 2


def onecycle(t):  # three phases of 30 steps: up to 8, down to 16, out at 29
    low = 0.7 / 25
    if t <= 8:
        return cosine(t, 8, 0.7, low)
    return cosine(t - 8, 8, low, 0.7) if t <= 16 else cosine(t - 16, 13, low / 1e4, low)


CLOSED_FORMS = {
    "StepLR": lambda t: 0.5 * 0.5 ** (t // 3),
    "MultiStepLR": lambda t: 0.5 * 0.5 ** (2 * (t >= 2) + (t >= 7)),
    "ConstantLR": lambda t: 0.5 * (0.25 if t < 4 else 1),
    "LinearLR": lambda t: 0.5 * (0.2 + 0.7 * min(t, 6) / 6),
    "ExponentialLR": lambda t: 0.5 * 0.8**t,
    "PolynomialLR": lambda t: 0.5 * (1 - min(t, 9) / 9) ** 2,
    "CosineAnnealingLR": lambda t: cosine(t, 6, 0.02, 0.5),
    "CosineAnnealingWarmRestarts": restarts,
    "CyclicLR": lambda t: 0.1 + 0.6 * triangle(t) * 0.9**t,
    "OneCycleLR": onecycle,
    "LambdaLR": lambda t: 0.5 / (1 + t),
    "MultiplicativeLR": lambda t: 0.5 * math.prod(1 + 0.5 * math.sin(i) for i in range(1, t + 1)),
    "warmup, then cosine": lambda t: 0.5 * (0.1 + 0.9 * t / 4) if t < 4 else cosine(t - 4, 10, 0, 0.5),
    "restarts, then steps": lambda t: restarts(t, 0) if t < 5 else 0.5 * 0.5 ** ((t - 5) // 2),
    "chained": lambda t: 0.5 * (0.25 if t < 4 else 1) * 0.8**t,
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_learning_rates_follow_the_closed_form(name):
    optimizer = Quiet((0.5,))
    scheduler = build(ours, EXAMPLES[name], optimizer)
    formula = CLOSED_FORMS[name]
    for t in range(30):
        (lr,) = scheduler.get_last_lr()
        assert type(optimizer.param_groups[0]["lr"]) is float
        assert lr == optimizer.param_groups[0]["lr"] == pytest.approx(formula(t), rel=1e-12, abs=1e-15), f"step {t}"
        scheduler.step()


@pytest.mark.parametrize("defaults", [{"momentum": 0.5}, {"betas": (0.5, 0.99)}])
def test_momentum_is_cycled_against_the_learning_rate(defaults):
    optimizer = Quiet((0.5,), **defaults)
    scheduler = build(ours, EXAMPLES["OneCycleLR"], optimizer)
    low = 0.7 / 25
    for t in range(17):
        part = (onecycle(t) - low) / (0.7 - low)
        assert reading(optimizer)[0][1 if "momentum" in defaults else 2] == pytest.approx(0.95 - 0.1 * part)
        scheduler.step()
    if "betas" in defaults:
        assert optimizer.param_groups[0]["betas"][1] == 0.99


@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (3, 10), (10, 10), (5, 3), (0, 0)])
def test_warmup_schedules_have_hugging_face_values(warmup, total):
    linear = ours.get_linear_schedule_with_warmup(Quiet((2.0,)), warmup, total)
    waves = ours.get_cosine_schedule_with_warmup(Quiet((2.0,)), num_warmup_steps=warmup, num_training_steps=total)
    cycles = ours.get_cosine_schedule_with_warmup(Quiet((2.0,)), warmup, total, num_cycles=2)
    for t in range(14):
        if t < warmup:
            expected = [2 * t / warmup] * 3
        else:
            x = (t - warmup) / max(1, total - warmup)
            line = max(0.0, (total - t) / max(1, total - warmup))
            expected = [2 * line, 1 + math.cos(math.pi * x), 1 + math.cos(4 * math.pi * x)]
        lrs = [scheduler.get_last_lr()[0] for scheduler in (linear, waves, cycles)]
        assert lrs == pytest.approx(expected, rel=1e-12, abs=1e-15)
        for scheduler in (linear, waves, cycles):
            scheduler.step()


def test_learning_rates_are_plain_floats_and_not_shared():
    optimizer = Quiet((1,))
    scheduler = ours.LambdaLR(optimizer, lambda t: np.float64(1 / (1 + t)))
    scheduler.step()
    assert type(optimizer.param_groups[0]["lr"]) is float
    scheduler.get_last_lr()[0] = 7.0
    assert scheduler.get_last_lr() == [0.5]


def test_plateau_counts_patience_and_cooldown():
    optimizer = Quiet((8.0, 4.0))
    scheduler = ours.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, min_lr=[0, 3.0])
    lrs = []
    for loss in [1.0, 1.0, math.nan, 1.0, 1.0, 1.0, 1.0, 0.5]:
        scheduler.step(loss)
        lrs.append(scheduler.get_last_lr())
    #   best, bad, bad: reduced, two of cooldown, bad, bad: reduced, best
    assert lrs == [[8.0, 4.0]] * 2 + [[4.0, 3.0]] * 4 + [[2.0, 3.0]] * 2
    assert (scheduler.best, scheduler.num_bad_epochs, scheduler.in_cooldown) == (0.5, 0, True)


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "better", "worse"),
    [("min", "rel", 7.1, 7.3), ("max", "rel", 8.9, 8.7), ("min", "abs", 7.8, 8.0), ("max", "abs", 8.2, 8.0)],
)
def test_plateau_threshold_must_be_beaten(mode, threshold_mode, better, worse):
    for metric, expected in [(better, [1.0]), (worse, [0.5])]:
        scheduler = ours.ReduceLROnPlateau(Quiet((1.0,)), mode, 0.5, 0, 0.1, threshold_mode)
        scheduler.step(8.0)
        scheduler.step(metric)
        assert scheduler.get_last_lr() == expected


def test_plateau_makes_no_reduction_of_eps_or_less():
    optimizer = Quiet((1.0, 0.1))
    scheduler = ours.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, eps=0.05)
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.5, 0.1]


def test_constant_zero_factor_comes_back_to_the_initial_lr():
    assert ours.ConstantLR(Quiet((0.5,)), 0, total_iters=2).preview(3) == [[0.0], [0.5], [0.5]]
    assert ours.ConstantLR(Quiet((0.5,)), 0, total_iters=0).get_last_lr() == [0.0]


def test_onecycle_phase_of_no_length_is_over_at_once():
    scheduler = ours.OneCycleLR(Quiet(), 1.0, total_steps=10, pct_start=0.1, anneal_strategy="linear", div_factor=2)
    assert scheduler.get_last_lr() == [1.0]
    assert scheduler.preview(9)[-1] == [pytest.approx(0.5 / 1e4)]


def test_composites_can_take_over_at_a_milestone():
    optimizer = Quiet((8.0,))
    inner = ours.SequentialLR(
        optimizer, [ours.ConstantLR(optimizer, 0.5, total_iters=9), ours.ExponentialLR(optimizer, 0.5)], [2]
    )
    chain = ours.ChainedScheduler([ours.LinearLR(optimizer, 0.5, total_iters=1), ours.ExponentialLR(optimizer, 0.5)])
    outer = ours.SequentialLR(optimizer, [ours.StepLR(optimizer, 1), inner, chain], [1, 5])
    lrs = [outer.get_last_lr(), *outer.preview(7)]
    assert lrs == [[8.0], [4.0], [4.0], [8.0], [4.0], [4.0], [4.0], [2.0]]


# -- the user's own scheduler --------------------------------------------------------------------------------------


def test_subclass_with_get_lr_alone_steps_saves_and_nests():
    class Countdown(ours.LRScheduler):
        def __init__(self, optimizer, start, last_epoch=-1):
            self.start = start
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            return [base_lr * max(0, self.start - self.last_epoch) for base_lr in self.base_lrs]

    scheduler = Countdown(Quiet((1,)), 3)
    assert scheduler.preview(4) == [[2.0], [1.0], [0.0], [0.0]]
    other = Countdown(Quiet((1,)), 9)
    other.load_state_dict(scheduler.state_dict())
    assert other.preview(4) == scheduler.preview(4)
    both = ours.SequentialLR(scheduler.optimizer, [ours.StepLR(scheduler.optimizer, 9), scheduler], [2])
    assert both.preview(4) == [[1.0], [3.0], [2.0], [1.0]]
    with pytest.raises(NotImplementedError, match="must define get_lr"):
        ours.LRScheduler(Quiet())


# -- errors and warnings -------------------------------------------------------------------------------------------

BAD = [
    (TypeError, "not an Optimizer", lambda: ours.StepLR(object(), 3)),
    (TypeError, "not an Optimizer", lambda: ours.LambdaLR([], FUNCTIONS["inverse"])),
    (TypeError, "not an Optimizer", lambda: ours.OneCycleLR(None, 1.0, total_steps=3)),
    (ValueError, "step_size must be .* got 0", lambda: ours.StepLR(Quiet(), 0)),
    (ValueError, "step_size must be an integer, got 2.5", lambda: ours.StepLR(Quiet(), 2.5)),
    (TypeError, "step_size must be a number, got '3'", lambda: ours.StepLR(Quiet(), "3")),
    (ValueError, "gamma must be .* got nan", lambda: ours.ExponentialLR(Quiet(), math.nan)),
    (ValueError, "gamma must be .* got -1", lambda: ours.StepLR(Quiet(), 3, -1)),
    (TypeError, "gamma must be a number, got True", lambda: ours.StepLR(Quiet(), 3, True)),
    (TypeError, "milestones must be a list, got 3", lambda: ours.MultiStepLR(Quiet(), 3)),
    (ValueError, "factor must be .* got 2", lambda: ours.ConstantLR(Quiet(), 2)),
    (ValueError, "start_factor must be .* got 0", lambda: ours.LinearLR(Quiet(), 0)),
    (ValueError, "end_factor must be .* got 1.5", lambda: ours.LinearLR(Quiet(), 0.5, 1.5)),
    (ValueError, "total_iters must be .* got -1", lambda: ours.PolynomialLR(Quiet(), -1)),
    (ValueError, "power must be .* got -1", lambda: ours.PolynomialLR(Quiet(), 3, -1)),
    (ValueError, "T_max must be .* got 0", lambda: ours.CosineAnnealingLR(Quiet(), 0)),
    (ValueError, "eta_min must be .* got inf", lambda: ours.CosineAnnealingLR(Quiet(), 3, math.inf)),
    (ValueError, "positive integer T_0, but got 1.5", lambda: ours.CosineAnnealingWarmRestarts(Quiet(), 1.5)),
    (ValueError, "T_mult must be .* got 0", lambda: ours.CosineAnnealingWarmRestarts(Quiet(), 1, 0)),
    (ValueError, "epoch must be .* got -1", lambda: ours.CosineAnnealingWarmRestarts(Quiet(), 1).step(-1)),
    (ValueError, "max_lr must have the same length", lambda: ours.CyclicLR(Quiet(), 0.1, [0.2, 0.3])),
    (ValueError, r"base_lr\[0\] must be .* got -1", lambda: ours.CyclicLR(Quiet(), [-1], 0.1)),
    (ValueError, "step_size_up must be .* got 0", lambda: ours.CyclicLR(Quiet(), 0.1, 0.2, 0)),
    (ValueError, "mode must be .* got 'square'", lambda: ours.CyclicLR(Quiet(), 0.1, 0.2, mode="square")),
    (TypeError, "scale_fn must be a function, got 3", lambda: ours.CyclicLR(Quiet(), 0.1, 0.2, scale_fn=3)),
    (ValueError, "scale_mode must be .* got 'x'", lambda: ours.CyclicLR(Quiet(), 0.1, 0.2, scale_mode="x")),
    (ValueError, "must support momentum", lambda: ours.CyclicLR(Quiet(alpha=0.9), 0.1, 0.2)),
    (ValueError, "must support momentum", lambda: ours.OneCycleLR(Quiet(alpha=0.9), 0.1, total_steps=3)),
    (ValueError, "total_steps OR .* epochs=3", lambda: ours.OneCycleLR(Quiet(), 0.1, epochs=3)),
    (ValueError, "total_steps must be .* got 0", lambda: ours.OneCycleLR(Quiet(), 0.1, total_steps=0)),
    (ValueError, "integer total_steps, but got 2.5", lambda: ours.OneCycleLR(Quiet(), 0.1, total_steps=2.5)),
    (ValueError, "pct_start must be .* got 1.5", lambda: ours.OneCycleLR(Quiet(), 0.1, 9, pct_start=1.5)),
    (ValueError, "anneal_strategy .* got 'exp'", lambda: ours.OneCycleLR(Quiet(), 0.1, 9, anneal_strategy="exp")),
    (ValueError, "div_factor must be .* got 0", lambda: ours.OneCycleLR(Quiet(), 0.1, 9, div_factor=0)),
    (ValueError, "Tried to step 4 times", lambda: ours.OneCycleLR(Quiet(), 0.1, 3).preview(4)),
    (TypeError, "lr_lambda must be a function, got 0.5", lambda: ours.LambdaLR(Quiet(), 0.5)),
    (ValueError, "Expected 1 lr_lambdas, .* got 2", lambda: ours.MultiplicativeLR(Quiet(), [abs, abs])),
    (ValueError, "factor must be .* got 1", lambda: ours.ReduceLROnPlateau(Quiet(), factor=1.0)),
    (ValueError, "mode must be .* got 'least'", lambda: ours.ReduceLROnPlateau(Quiet(), "least")),
    (ValueError, "threshold_mode .* got 'x'", lambda: ours.ReduceLROnPlateau(Quiet(), threshold_mode="x")),
    (ValueError, "min_lr must have the same length", lambda: ours.ReduceLROnPlateau(Quiet(), min_lr=[0, 0])),
    (TypeError, "float", lambda: ours.ReduceLROnPlateau(Quiet()).step([1.0])),
    (ValueError, "at least one scheduler", lambda: ours.ChainedScheduler([])),
    (TypeError, "got 3 of type int at index 0", lambda: ours.ChainedScheduler([3])),
    (TypeError, "schedulers must be a list", lambda: ours.ChainedScheduler(ours.StepLR(Quiet(), 3))),
    (ValueError, "ReduceLROnPlateau", lambda: ours.ChainedScheduler([ours.ReduceLROnPlateau(Quiet())])),
    (ValueError, "at index 1", lambda: ours.ChainedScheduler([ours.StepLR(Quiet(), 3), ours.StepLR(Quiet(), 3)])),
    (ValueError, "last_epoch must be .* got -2", lambda: ours.StepLR(Quiet(), 3, last_epoch=-2)),
    (KeyError, "initial_lr", lambda: ours.StepLR(Quiet(), 3, last_epoch=5)),
    (KeyError, "max_lr", lambda: ours.OneCycleLR(with_initial_lr(), 0.1, 9, last_epoch=5)),
    (ValueError, "num_warmup_steps must be .* got -1", lambda: ours.get_linear_schedule_with_warmup(Quiet(), -1, 3)),
    (TypeError, "num_cycles", lambda: ours.get_cosine_schedule_with_warmup(Quiet(), 1, 3, "two")),
]


def with_initial_lr():
    optimizer = Quiet()
    optimizer.param_groups[0]["initial_lr"] = 0.5
    return optimizer


@pytest.mark.parametrize(("error", "message", "make"), BAD, ids=[f"{e.__name__}: {m}" for e, m, _ in BAD])
def test_bad_arguments_are_named(error, message, make):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("count", "milestones", "message"),
    [(2, [], "2 schedulers and 0"), (1, [3], "1 schedulers and 1"), (3, [4, 2], "decrease"), (2, [-1], "got -1")],
)
def test_sequential_refuses_milestones_that_do_not_fit(count, milestones, message):
    optimizer = Quiet()
    with pytest.raises(ValueError, match=message):
        ours.SequentialLR(optimizer, [ours.StepLR(optimizer, 3) for _ in range(count)], milestones)


def test_group_added_later_is_scheduled_or_refused_with_a_message():
    optimizer = Quiet((1.0,))
    chainable, absolute = ours.ExponentialLR(optimizer, 0.5), ours.LambdaLR(optimizer, FUNCTIONS["inverse"])
    plateau = ours.ReduceLROnPlateau(optimizer, min_lr=[0.1], patience=0)
    plateau.step(1.0)
    optimizer.add_param_group({"params": [], "lr": 4.0})
    chainable.step()
    assert chainable.get_last_lr() == [0.5, 2.0]
    with pytest.raises(ValueError, match="1 parameter groups, but the optimizer now has 2"):
        absolute.step()
    with pytest.raises(RuntimeError, match="min_lrs"):
        plateau.step(2.0)


def test_stepping_before_the_optimizer_warns_once():
    optimizer = Optimizer()
    scheduler = ours.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    scheduler.step()
    assert not optimizer.hooks


@pytest.mark.parametrize("spec", ALL, ids=names)
def test_stepping_after_the_optimizer_does_not_warn(spec):
    optimizer = Optimizer()
    step = optimizer.step
    scheduler = build(ours, spec, optimizer)
    optimizer.step()
    advance(scheduler, 0)
    advance(scheduler, 1)
    assert optimizer.step == step, "the optimizer's method was replaced"
    assert not optimizer.hooks


def test_optimizers_whose_hooks_are_removed_by_a_function_are_watched_too():
    class Other(Optimizer):
        def register_step_post_hook(self, hook):
            return super().register_step_post_hook(hook).remove

    optimizer = Other()
    scheduler = ours.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    assert not optimizer.hooks


def test_composite_warns_instead_of_its_parts_and_at_the_users_line():
    optimizer = Optimizer()
    scheduler = build(ours, NESTED, optimizer)
    assert len(optimizer.hooks) == 1
    with pytest.warns(UserWarning, match="before `optimizer.step") as caught:
        scheduler.step()
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]


def test_dropped_and_resumed_schedulers_leave_no_hook():
    optimizer = Optimizer()
    scheduler = ours.StepLR(optimizer, 3)
    del scheduler
    gc.collect()
    assert not optimizer.hooks
    scheduler = ours.StepLR(optimizer, 3)
    scheduler.load_state_dict(scheduler.state_dict())
    assert not optimizer.hooks
    scheduler.step()  # no warning: filterwarnings makes it an error


def test_get_lr_outside_step_and_epoch_argument_warn():
    scheduler = ours.StepLR(Quiet(), 3)
    with pytest.warns(UserWarning, match="get_last_lr") as at_get_lr:
        scheduler.get_lr()
    with pytest.warns(UserWarning, match="epoch") as at_step:
        scheduler.step(7)
    assert {warning.filename for warning in [*at_get_lr, *at_step]} == {__file__}
    assert scheduler.last_epoch == 7
    with pytest.warns(UserWarning, match="epoch"):
        ours.ReduceLROnPlateau(Quiet()).step(1.0, epoch=3)


# -- PyTorch's values ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="the comparisons with PyTorch need it")


class Reference:
    """PyTorch's scheduler and optimizer for a spec; its warnings are not of interest here."""

    def __init__(self, torch, spec, lrs, defaults):
        params = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs]
        make = torch.optim.Adam if "betas" in defaults else torch.optim.SGD
        self.optimizer = make(params, **defaults)
        self.spec, self.module = spec, torch.optim.lr_scheduler

    def call(self, action, *args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action(*args)

    def build(self):
        self.scheduler = self.call(build, self.module, self.spec, self.optimizer)


def assert_same(optimizer, reference, where):
    for mine, theirs in zip(reading(optimizer), reading(reference), strict=True):
        assert [x is None for x in mine] == [x is None for x in theirs]
        numbers = [float(x) for x in theirs if x is not None]
        assert [x for x in mine if x is not None] == pytest.approx(numbers, rel=1e-12, abs=1e-30), where


# Where PyTorch itself fails: a composite started at a milestone, a quotient of 0, phases of no length.
GIVEN_UP = (NotImplementedError, ZeroDivisionError)


@modest
@given(spec=nestings(*LEAVES) | PLATEAU, setup=optimizers, changes=edits)
def test_nested_schedules_have_torch_values(torch, spec, setup, changes):
    theirs = Reference(torch, spec, setup["lrs"], setup["defaults"])
    try:
        theirs.build()
    except GIVEN_UP:
        return
    optimizer = Quiet(setup["lrs"], **setup["defaults"])
    scheduler = build(ours, spec, optimizer)
    assert_same(optimizer, theirs.optimizer, "constructed")
    for t in range(26):
        try:
            theirs.call(advance, theirs.scheduler, t)
        except GIVEN_UP:
            return
        advance(scheduler, t)
        assert_same(optimizer, theirs.optimizer, f"step {t}")
        assert scheduler.get_last_lr() == pytest.approx([float(lr) for lr in theirs.scheduler.get_last_lr()], rel=1e-12)
        edit(optimizer, changes, t)
        edit(theirs.optimizer, changes, t)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("offset", [2.0, 0.0, -2.0])
def test_plateau_has_torch_values(torch, mode, threshold_mode, offset):
    arguments = {"mode": mode, "threshold_mode": threshold_mode, "threshold": 0.1, "factor": 0.5, "patience": 1}
    theirs = Reference(torch, ["ReduceLROnPlateau", arguments], [0.5, 0.1], {"momentum": 0.9})
    theirs.build()
    optimizer = Quiet([0.5, 0.1], momentum=0.9)
    scheduler = build(ours, theirs.spec, optimizer)
    for t in range(40):
        current = offset + math.sin(1.7 * t) * (1 + 0.1 * t)
        theirs.call(theirs.scheduler.step, current)
        scheduler.step(current)
        assert_same(optimizer, theirs.optimizer, f"step {t}")
        assert (scheduler.best, scheduler.num_bad_epochs) == (theirs.scheduler.best, theirs.scheduler.num_bad_epochs)


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
@pytest.mark.parametrize("pct_start", [0.0, 0.25, 0.6])
def test_onecycle_has_torch_values_to_its_last_step(torch, three_phase, anneal_strategy, pct_start):
    arguments = {"max_lr": 0.7, "epochs": 3, "steps_per_epoch": 4, "div_factor": 10.0, "final_div_factor": 50.0}
    arguments |= {"three_phase": three_phase, "anneal_strategy": anneal_strategy, "pct_start": pct_start}
    arguments |= {"base_momentum": [0.6, 0.7], "max_momentum": 0.8}
    theirs = Reference(torch, ["OneCycleLR", arguments], [0.5, 0.1], {"momentum": 0.9})
    theirs.build()
    optimizer = Quiet([0.5, 0.1], momentum=0.9)
    scheduler = build(ours, theirs.spec, optimizer)
    for t in range(12):
        theirs.call(theirs.scheduler.step)
        scheduler.step()
        assert_same(optimizer, theirs.optimizer, f"step {t}")
    with pytest.raises(ValueError, match="Tried to step 13 times"):
        theirs.call(theirs.scheduler.step)
    with pytest.raises(ValueError, match="Tried to step 13 times"):
        scheduler.step()


def compare_at_epochs(torch, spec, epochs, setup):
    theirs = Reference(torch, spec, setup["lrs"], setup["defaults"])
    theirs.build()
    optimizer = Quiet(setup["lrs"], **setup["defaults"])
    scheduler = build(ours, spec, optimizer)
    for epoch in epochs:
        try:
            theirs.call(theirs.scheduler.step, epoch)
        except ZeroDivisionError:  # the closed form of PyTorch's LinearLR with total_iters=0
            return
        theirs.call(scheduler.step, epoch)
        assert scheduler.last_epoch == theirs.scheduler.last_epoch
        assert_same(optimizer, theirs.optimizer, f"epoch {epoch}")


@modest
@given(spec=st.one_of(*LEAVES), epochs=st.lists(st.none() | st.integers(0, 25), max_size=8), setup=optimizers)
def test_step_to_an_epoch_has_torch_values(torch, spec, epochs, setup):
    compare_at_epochs(torch, spec, epochs, setup)


@modest
@given(t_0=steps, t_mult=st.integers(1, 3), epochs=st.lists(st.none() | st.floats(0, 60), max_size=8))
def test_warm_restarts_at_fractions_of_epochs_have_torch_values(torch, t_0, t_mult, epochs):
    spec = ["CosineAnnealingWarmRestarts", {"T_0": t_0, "T_mult": t_mult}]
    compare_at_epochs(torch, spec, epochs, {"lrs": [0.5], "defaults": {"momentum": 0.9}})


@pytest.mark.parametrize("begin", [1, 9])
@pytest.mark.parametrize("spec", list(EXAMPLES.values()), ids=list(EXAMPLES))
def test_torch_optimizers_can_be_scheduled_and_torch_states_loaded(torch, spec, begin):
    lrs, defaults = [0.5, 0.01], {"lr": 0.1, "momentum": 0.9}
    theirs = Reference(torch, spec, lrs, defaults)
    theirs.build()
    theirs.optimizer.step()
    for t in range(begin):
        theirs.call(advance, theirs.scheduler, t)

    mine = Reference(torch, spec, lrs, defaults)
    step = mine.optimizer.step
    scheduler = build(ours, spec, mine.optimizer)
    mine.optimizer.step()
    for t in range(begin):
        advance(scheduler, t)
    assert_same(mine.optimizer, theirs.optimizer, "stepped")
    assert mine.optimizer.step == step
    assert not mine.optimizer._optimizer_step_post_hooks

    loaded = Reference(torch, spec, lrs, defaults)
    scheduler2 = build(ours, spec, loaded.optimizer)
    loaded.optimizer.load_state_dict(theirs.optimizer.state_dict())
    scheduler2.load_state_dict(theirs.scheduler.state_dict())
    for t in range(begin, 20):
        theirs.call(advance, theirs.scheduler, t)
        advance(scheduler2, t)
        assert_same(loaded.optimizer, theirs.optimizer, f"loaded, step {t}")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name[0].isupper() and name != "ReduceLROnPlateau"])
def test_last_epoch_argument_has_torch_values(torch, name):
    spec, lrs, defaults = EXAMPLES[name], [0.5, 0.01], {"momentum": 0.9}
    first = Reference(torch, spec, lrs, defaults)
    first.build()
    for t in range(5):
        first.call(advance, first.scheduler, t)
    resumed_spec = [spec[0], {**spec[1], "last_epoch": 4}]
    theirs = Reference(torch, resumed_spec, lrs, defaults)
    theirs.optimizer.load_state_dict(first.optimizer.state_dict())
    theirs.build()
    optimizer = Quiet(lrs, **defaults)
    optimizer.load_state_dict(first.optimizer.state_dict())
    scheduler = build(ours, resumed_spec, optimizer)
    for t in range(12):
        assert scheduler.last_epoch == theirs.scheduler.last_epoch
        assert_same(optimizer, theirs.optimizer, f"step {t}")
        scheduler.step()
        theirs.call(advance, theirs.scheduler, t)


@pytest.mark.parametrize("name", EXAMPLES)
def test_group_added_later_has_torch_values_or_errors(torch, name):
    spec = EXAMPLES[name]
    theirs = Reference(torch, spec, [0.5], {"momentum": 0.9})
    theirs.build()
    optimizer = Quiet([0.5], momentum=0.9)
    scheduler = build(ours, spec, optimizer)
    for t in range(12):
        if t == 2:
            optimizer.add_param_group({"params": [], "lr": 0.2})
            theirs.optimizer.add_param_group({"params": [torch.ones(1)], "lr": 0.2})
        try:
            theirs.call(advance, theirs.scheduler, t)
        except (ValueError, KeyError) as error:
            with pytest.raises(type(error)):
                advance(scheduler, t)
            break
        advance(scheduler, t)
        assert_same(optimizer, theirs.optimizer, f"step {t}")


@pytest.mark.parametrize("name", [name for name in ours.__all__ if isinstance(getattr(ours, name), type)])
def test_signatures_are_torchs(torch, name):
    mine, theirs = (inspect.signature(getattr(m, name)) for m in (ours, torch.optim.lr_scheduler))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


if __name__ == "__main__":
    print(json.dumps(continue_jobs(json.load(sys.stdin))))
