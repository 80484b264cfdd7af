"""What the tests of the optimizers share: tables of cases, float64 references around the rules, counters."""

import contextlib
import inspect
import itertools

import numpy as np
import pytest

import genesis
from genesis.opencl.program import Kernel
from genesis.optim import Optimizer
from genesis.optim.implementation import DEFAULTS

# Those that update each element for itself. The others' launches and hyperparameters have little in common: they have
# tests of their own, in test_muon.py and test_adafactor.py.
OPTIMIZERS = {name: cls for name, cls in genesis.optim.OPTIMIZERS.items() if cls.between is Optimizer.between}

EPS = 2.0 ** -23               # spacing of float32 at 1
SHAPES = [(0,), (), (1,), (2,), (31,), (32,), (33,), (63,), (64,), (65,), (17, 59), (1024,), (70001,)]
SMALL_SHAPES = [(), (0,), (3,), (65,), (7, 11), (1100,)]

# For each argument the values whose combinations are tested; an optimizer's own default counts as one of them.
VALUES = {
    "betas": [(0.9, 0.999), (0.5, 0.8)],
    "eps": [1e-8],
    "lr_decay": [0, 0.01],
    "initial_accumulator_value": [0, 0.1],
    "alpha": [0.99, 0.9],
    "etas": [(0.5, 1.2), (0.7, 1.1)],
    "step_sizes": [(1e-6, 50), (0.002, 0.05)],
    "lambd": [1e-4, 0.1],
    "t0": [1e6, 7],
    "rho": [0.9, 0.99],
    "momentum": [0, 0.9],
    "dampening": [0, 0.3],
    "nesterov": [False, True],
    "amsgrad": [False, True],
    "centered": [False, True],
    "weight_decay": [0, 0.1],
    "momentum_decay": [4e-3, 0.1],
    "decoupled_weight_decay": [False, True],
    "maximize": [False, True],
}


def defaults(name):
    """An optimizer's hyperparameters beside lr, with their default values."""
    found = inspect.signature(OPTIMIZERS[name]).parameters
    return {k: v.default for k, v in found.items() if k not in ("params", "lr", "max_grad_norm", *DEFAULTS)}


def decaying(name, value):
    """An argument ``weight_decay``, for those that have one."""
    return {"weight_decay": value} if "weight_decay" in defaults(name) else {}


def combinations(name):
    """Every allowed combination of an optimizer's arguments from `VALUES`."""
    own = defaults(name)
    for values in itertools.product(*(VALUES.get(k, [v]) for k, v in own.items())):
        case = dict(zip(own, values))
        if case.get("nesterov") and (not case["momentum"] or case["dampening"]):
            continue
        if case.get("dampening") and not case["momentum"]:
            continue
        if case.get("decoupled_weight_decay") and not case["weight_decay"]:
            continue
        yield case


def extremes(name):
    """The defaults, and the combination in which everything is switched on that can be at once."""
    own = defaults(name)
    rich = {k: VALUES[k][-1] if k in VALUES else v for k, v in own.items()}
    if rich.get("nesterov"):
        rich["dampening"] = 0
    return [{}, rich]


def label(case):
    """A case as the name of a test."""
    own = ",".join(f"{k}={v}" for k, v in case.items() if v)
    return own or "defaults"


# What is around the rules is the same for all: on a GPU that a CPU imitates the tests of that leave these out.
ALIKE = ("adadelta", "adagrad", "adamax", "asgd", "radam", "rprop")


def marks(name):
    """The marks of a test of what is around an optimizer's rule."""
    return [pytest.mark.lengthy] if name in ALIKE else []


AROUND = [pytest.param(name, id=name, marks=marks(name)) for name in OPTIMIZERS]


def everything(table, around=False):
    """``pytest.param`` of (optimizer's name, case) for all optimizers; ``around`` for tests of what is around rules."""
    return [pytest.param(name, case, id=f"{name}-{label(case)}", marks=marks(name) if around else [])
            for name in OPTIMIZERS for case in table(name)]


def torch_class(torch, name):
    """PyTorch's optimizer of the same name; skips the test where there is none."""
    cls = getattr(torch.optim, genesis.optim.ALGORITHMS[name].__name__, None)
    if cls is None:
        pytest.skip(f"PyTorch has no {genesis.optim.ALGORITHMS[name].__name__}")
    return cls


def leaf(values, dtype=None, device=None):
    """A tensor of the values that requires a gradient."""
    return genesis.tensor(np.asarray(values), dtype=dtype or genesis.float32, device=device, requires_grad=True)


def give(p, gradient):
    """Assign a gradient by hand; None takes it away."""
    p.grad = None if gradient is None else genesis.tensor(np.asarray(gradient), dtype=p.dtype, device=p.device)


def flow(*pairs):
    """Let backward compute the given gradients: one pass over pairs of parameter and gradient."""
    total = None
    for p, gradient in pairs:
        term = (p * genesis.tensor(np.asarray(gradient), dtype=p.dtype, device=p.device)).sum()
        total = term if total is None else total + term
    total.backward()


def values(x):
    """The values of a tensor, or of a number, in float64."""
    return np.float64(x) if isinstance(x, float) else x.detach().numpy().astype(np.float64)


def gradient(rng, shape):
    """Random numbers of either sign from 0.5 to 2, as float32 holds them.

    They keep the comparison well-conditioned: where a gradient and the weight decay nearly cancel in the first steps,
    an optimizer that divides by averages turns the rounding of the difference into a difference of its own size.
    """
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2, shape), np.float32)


def stored(x, dtype):
    """Values rounded to an element type, in float64."""
    return np.asarray(x).astype(dtype.numpy).astype(np.float64)


def expected_step(optimizer, group, param, grad, state):
    """One parameter's update in float64: the optimizer's reference with what ``update.h`` does around it."""
    if group["maximize"]:
        grad = -grad
    kind = optimizer._rule(group).weight_decay
    if kind == "L2":
        grad = grad + group["weight_decay"] * param
    elif kind == "DECOUPLED":
        param = param * (1 - group["lr"] * group["weight_decay"])
    return type(optimizer).reference(param, grad, state, group)


class Reference:
    """The parameters of an optimizer in float64, updated beside it.

    Attributes:
        params: current values.
        size: for each parameter, the largest absolute value it has had, plus the lengths of all its steps: the scale
            of the rounding errors that a float32 implementation must make.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.tensors = [(p, group) for group in optimizer.param_groups for p in group["params"]]
        self.params = [values(p) for p, _ in self.tensors]
        self.states = [{} for _ in self.tensors]
        self.size = [np.abs(p) for p in self.params]
        self.path = [np.zeros_like(p) for p in self.params]

    def step(self, gradients):
        """Update all parameters whose gradient is not None."""
        for i, (gradient, (_, group)) in enumerate(zip(gradients, self.tensors)):
            if gradient is None:
                continue
            new = expected_step(self.optimizer, group, self.params[i], np.asarray(gradient, np.float64), self.states[i])
            self.path[i] += np.abs(new - self.params[i])
            self.size[i] = np.maximum(self.size[i], np.abs(new))
            self.params[i] = new

    def error(self, eps=EPS):
        """The largest difference of any element, in units of eps times its size and path."""
        worst = 0.0
        for (p, _), new, size, path in zip(self.tensors, self.params, self.size, self.path):
            actual = values(p)
            assert actual.shape == new.shape
            assert np.isfinite(actual).all()
            if new.size:
                scale = eps * (size + path)
                assert (np.abs(actual - new)[scale == 0] == 0).all()
                worst = max(worst, (np.abs(actual - new) / np.where(scale == 0, 1, scale)).max())
        return worst


@contextlib.contextmanager
def launches():
    """A list that fills with the names of the kernels launched inside the block."""
    seen = []
    original = Kernel.__call__

    def counting(self, *args):
        seen.append(self.name)
        return original(self, *args)

    Kernel.__call__ = counting
    try:
        yield seen
    finally:
        Kernel.__call__ = original


def updates(names):
    """How many of the kernels are updates of an optimizer."""
    return sum(name.endswith(":update") for name in names)
