"""Random configurations, groups and patterns of gradients against the float64 references."""

import math

import numpy as np
from helpers import examples
from hypothesis import given
from hypothesis import strategies as st
from support import OPTIMIZERS, Reference, defaults, gradient, leaf, values

import genesis

SHAPES = st.sampled_from([(), (0,), (1,), (31,), (33,), (5, 13), (1023,), (1025,), (2, 3, 4)])
CHOICES = {
    "lr": st.sampled_from([0.0, 1e-4, 0.01, 0.1]),
    "betas": st.tuples(st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 0.9, 0.999])),
    "eps": st.sampled_from([1e-8, 1e-3]),
    "alpha": st.sampled_from([0.5, 0.9, 0.99]),
    "etas": st.sampled_from([(0.5, 1.2), (0.1, 3.0)]),
    "step_sizes": st.sampled_from([(1e-6, 50.0), (0.001, 0.01)]),
    "lambd": st.sampled_from([0.0, 1e-4, 0.5]),
    "t0": st.sampled_from([0.0, 2.0, 1e6]),
    "rho": st.sampled_from([0.5, 0.9, 0.99]),
    "lr_decay": st.sampled_from([0.0, 0.1]),
    "initial_accumulator_value": st.sampled_from([0.0, 0.5]),
    "weight_decay": st.sampled_from([0.0, 0.01, 0.1]),
    "momentum_decay": st.sampled_from([0.0, 0.004, 0.5]),
    "momentum": st.sampled_from([0.0, 0.5, 0.9]),
    "dampening": st.sampled_from([0.0, 0.5]),
    "nesterov": st.booleans(),
    "amsgrad": st.booleans(),
    "centered": st.booleans(),
    "decoupled_weight_decay": st.booleans(),
    "maximize": st.booleans(),
}


@st.composite
def configurations(draw, name):
    """The hyperparameters of a group."""
    own = {key: draw(CHOICES[key]) for key in ["lr", *defaults(name)]}
    if own.get("nesterov") and (not own["momentum"] or own["dampening"]):
        own["nesterov"] = False
    if own.get("weight_decay") and own.get("betas", (0, 1))[1] == 0:
        own["betas"] = (0.0, 0.0)      # else an average is divided by a square that decay and gradient nearly cancel in
    return own


@st.composite
def runs(draw):
    """An optimizer's name, its groups (hyperparameters and shapes), and what happens in each step."""
    name = draw(st.sampled_from(sorted(OPTIMIZERS)))
    groups = draw(st.lists(st.tuples(configurations(name), st.lists(SHAPES, min_size=1, max_size=3)),
                           min_size=1, max_size=4))
    limit = draw(st.sampled_from([None, 1.0, 50.0, math.inf]))
    count = sum(len(shapes) for _, shapes in groups)
    event = st.tuples(st.sampled_from(["backward", "assign", "mixed", "nan" if limit else "assign"]),
                      st.lists(st.booleans(), min_size=count, max_size=count),
                      st.sampled_from(["", "", "", "lr", "zero", "save", "add"]))
    return name, groups, limit, draw(st.lists(event, min_size=1, max_size=12)), draw(st.integers(0, 2 ** 31))


@examples(40)
@given(run=runs())
def test_random_runs_equal_the_reference(run):
    name, groups, limit, events, seed = run
    rng = np.random.default_rng(seed)
    made = [{"params": [leaf(rng.standard_normal(shape)) for shape in shapes], **own} for own, shapes in groups]
    late = []
    if len(made) > 1 and any(what == "add" for _, _, what in events):
        late = [made.pop()]
    optimizer = OPTIMIZERS[name](made, lr=0.1, max_grad_norm=limit)
    reference = Reference(optimizer)
    for kind, present, what in events:
        if what == "lr":
            optimizer.param_groups[0]["lr"] = 0.03
        if what == "save":
            optimizer.load_state_dict(optimizer.state_dict())
        if what == "add" and late:
            optimizer.add_param_group(late.pop())
            new = Reference(optimizer)
            old = len(reference.params)
            for attribute in ("tensors", "params", "states", "size", "path"):
                getattr(reference, attribute).extend(getattr(new, attribute)[old:])
        optimizer.zero_grad(set_to_none=what != "zero")
        params = [p for p, _ in reference.tensors]
        gradients = [gradient(rng, p.shape) if there else None for p, there in zip(params, present)]
        if kind == "nan":
            for g in gradients:
                if g is not None and g.size:
                    g.reshape(-1)[-1] = math.nan
        for i, (p, g) in enumerate(zip(params, gradients)):
            if g is None:
                continue
            if kind == "backward" or (kind == "mixed" and i % 2):
                half = genesis.tensor(g / 2)
                p.backward(half)
                p.backward(half)
            else:
                p.grad = genesis.tensor(g)
        if what == "zero":      # what has a gradient of 0 takes part as well
            gradients = [None if p.grad is None else values(p.grad) for p in params]
        optimizer.step()
        norm = math.sqrt(sum((np.float64(g) ** 2).sum() for g in gradients if g is not None))
        if limit is not None and not math.isfinite(norm):
            continue
        factor = 1.0 if limit is None else min(1.0, limit / (norm + 1e-6))
        reference.step([None if g is None else np.float64(g) * factor for g in gradients])
    assert reference.error() < 60
    if optimizer.counts_steps:
        for (p, _), state in zip(reference.tensors, reference.states):
            assert optimizer.state[p].get("step", 0) == state.get("step", 0)
