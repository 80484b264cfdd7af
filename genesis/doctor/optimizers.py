"""Checks of every optimizer against its float64 reference, and of what happens around their updates."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import genesis
from genesis.opencl import CHUNK
from genesis.ops import grad_norm
from genesis.optim import ALGORITHMS, Optimizer
from genesis.testing import rules

from .bench import Bench, Checks

AROUND = Checks()
_SMALL = ((), (33,), (1025,), (3, 5))
_SMALL_MATRICES = ((5, 3), (3, 33))


def optimizer(b: Bench, cls: type[Optimizer]) -> None:
    """An optimizer with its defaults, and with all that can be switched on at once."""
    shapes = rules.shapes_for(cls)
    if b.small:
        shapes = _SMALL_MATRICES if cls.matrices_only or cls.rows_only else _SMALL
    for case in list(rules.variants(cls))[:1 if b.small else None]:
        failures, worst = rules.compare(lambda params, case=case: cls(params, **case),  # type: ignore[misc]
                                        shapes=shapes, steps=_steps(b, cls), on=b.device)
        b.outcome.comparisons += len(shapes)
        b.outcome.worst = max(b.outcome.worst, worst / 40)
        b.outcome.failures += [f"{case or 'defaults'}: {line}" for line in failures]


def _steps(b: Bench, cls: type[Optimizer]) -> int:
    return 6 if not b.small else 1 if cls.matrices_only else 3       # a step of many products is enough


OPTIMIZER_CHECKS = Checks({f"optimizer {name}": functools.partial(optimizer, cls=cls)
                           for name, cls in ALGORITHMS.items()})


@AROUND.add("optimizer lbfgs")
def lbfgs(b: Bench) -> None:
    """L-BFGS with and without a line search: two iterations against the formula, and the way to a minimum."""
    shapes = [(), (1101,)] if b.small else [(), (33,), (70001,), (17, 5)]
    most = 1.1 if b.small else 3.0
    curvature = [b.rng.uniform(1, most, shape).astype(np.float32).astype(np.float64) for shape in shapes]
    targets = [b.normal(*shape) for shape in shapes]
    minimum = np.concatenate([x.ravel() for x in targets])
    bent = np.concatenate([c.ravel() for c in curvature])
    g = -bent * minimum
    total = float(np.abs(g).sum())      # by which the first step is divided
    for search, rate, count in ((None, 0.25 * total, 1), ("strong_wolfe", 1.0, 3 if b.small else 12)):
        params = [b.tensor(np.zeros(shape), pad=1, grad=True) for shape in shapes]
        rows = [(p, b.tensor(c), b.tensor(x)) for p, c, x in zip(params, curvature, targets)]
        stepper = genesis.optim.LBFGS(params, lr=rate, max_iter=count, max_eval=count + 12, line_search_fn=search,
                                      history_size=b.size(100, 4))

        def closure(stepper: Optimizer = stepper, rows: list[tuple[Any, Any, Any]] = rows) -> genesis.Tensor:
            stepper.zero_grad()
            loss = sum((0.5 * (c * (p - x) ** 2).sum() for p, c, x in rows), genesis.tensor(0.0, device=b.device))
            loss.backward()
            return loss

        stepper.step(closure)
        found = np.concatenate([p.detach().numpy().ravel() for p in params])
        if search is not None:
            b.compare("the minimum", found, minimum, 1e-2)
            continue
        stepper.param_groups[0]["lr"] = 0.5
        stepper.step(closure)
        s = -0.25 * g
        y, new = bent * s, bent * (s - minimum)
        alpha = s @ -new / (s @ y)
        direction = (s @ y) / (y @ y) * (-new - alpha * y)
        b.compare("the first step", found, s)
        b.compare("the second", np.concatenate([p.detach().numpy().ravel() for p in params]),
                  s + 0.5 * (direction + (alpha - y @ direction / (s @ y)) * s))


@AROUND.add("gradient clipping")
def clipping(b: Bench) -> None:
    """The norm of all gradients, clipping by it inside a step and beside one, and steps that are left out."""
    shapes = [(), (33,), (b.size(70001, 1101),), (17, 5)]
    gradients = [b.normal(*shape) for shape in shapes]
    total = float(np.sqrt(sum((g ** 2).sum() for g in gradients)))

    def given() -> list[genesis.Tensor]:
        params = [b.tensor(np.zeros(g.shape), pad=1, grad=True) for g in gradients]
        for p, g in zip(params, gradients):
            p.grad = b.tensor(g, pad=3)
        return params

    params = given()
    stepper = genesis.optim.SGD(params, lr=1.0, max_grad_norm=0.5)
    stepper.step()
    b.compare("the norm", stepper.grad_norm, np.array(total))
    for p, g in zip(params, gradients):
        b.compare(f"a clipped step of {g.shape}", p, -g * 0.5 / (total + 1e-6))
    squares = b.rng.uniform(0, 1, 4 * CHUNK + 5).astype(np.float32)      # more than one round joins
    control, norm = b.device.empty(12), b.tensor(np.zeros(1))
    b.device.fill(control, 0, 12, np.zeros(1, np.float32))
    grad_norm.Finish(b.tensor(squares)._array, control, norm._array.buffer, 2).run(np.inf)
    b.compare("the norm of millions", norm, np.sqrt([squares.astype(np.float64).sum()]))
    for p in params:
        assert p.grad is not None
        p.grad = b.tensor(np.full(p.shape, np.inf))
    before = [p.detach().numpy() for p in params]
    stepper.step()
    for p, old in zip(params, before):
        b.compare("a step that is left out", p, old, 0)
    params = given()
    b.compare("clip_grad_norm_", genesis.nn.utils.clip_grad_norm_(params, 0.5), np.array(total))
    for p, g in zip(params, gradients):
        b.compare(f"a clipped gradient of {g.shape}", p.grad, g * 0.5 / (total + 1e-6))


@AROUND.add("loss scaling")
def scaling(b: Bench) -> None:
    """Unscaling gradients, and the scale's growth and fall."""
    p = b.tensor(np.zeros(65), pad=1, grad=True)
    stepper = genesis.optim.SGD([p], lr=1.0)
    scaler = genesis.amp.GradScaler(device=b.device, init_scale=8.0, growth_interval=1)
    x = b.normal(65)
    for unscaled in (False, True):
        p.grad = None
        scaler.scale((p * b.tensor(x)).sum()).backward()
        if unscaled:
            scaler.unscale_(stepper)
            b.compare("unscaled gradients", p.grad, x)
        scaler.step(stepper)
        scaler.update()
    b.compare("two steps", p, -2 * x)
    b.compare("a scale that has grown", scaler.get_scale(), 32.0)
    p.grad = None
    scaler.scale((p * b.tensor(np.full(65, np.inf))).sum()).backward()
    scaler.step(stepper)
    scaler.update()
    b.compare("a step that is left out", p, -2 * x)
    b.compare("a scale that has fallen", scaler.get_scale(), 16.0)
