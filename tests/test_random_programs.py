"""Random programs over tensor operations: values and types against NumPy, gradients and types against PyTorch.

`random_programs` says how they are compared, and how much may differ.
"""

import numpy as np
import pytest
from helpers import examples
from hypothesis import given, note
from hypothesis import strategies as st
from random_operations import KINDS, Draws, shapes
from random_programs import FLOATS, Machine, torch


@examples(60)
@given(data=st.data())
def test_random_programs_have_the_values_of_numpy_and_the_gradients_of_torch(data):
    machine = Machine(data.draw(st.integers(0, 999), "seed"))
    draws = Draws(data.draw, machine)
    draws._new(data.draw(shapes(), "shape"), data.draw(st.sampled_from(FLOATS), "dtype"), needs=True)
    for _ in range(data.draw(st.integers(0, 2), "more")):
        draws._new(data.draw(shapes(), "shape"))
    for kind in data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9), "kinds"):
        getattr(draws, kind)()
    note("\n".join(machine.log))
    if torch:
        results = [v for v in machine.values if v.floating]
        machine.check_gradients(results[-3:])


def test_a_wrong_value_or_type_is_noticed():
    machine = Machine(0)
    x = machine.leaf(np.arange(3.0), "float32")
    for right, wrong in ((lambda t: t.sin(), lambda a: np.sin(a) * (1 + 1e-4)), (lambda t: t.neg(), np.abs),
                         (lambda t: t.sum(0, keepdim=True), lambda a: a.sum(0)), (lambda t: t > 1, np.negative)):
        with pytest.raises(AssertionError):
            machine.run("wrong", lambda lib, t, right=right: right(t), wrong, x)
    with pytest.raises(AssertionError):
        machine.change("wrong", lambda lib, t: t[1:].mul_(2), lambda a: a + 1, x)


@pytest.mark.skipif(torch is None, reason="needs PyTorch to compare gradients with")
def test_a_wrong_gradient_is_noticed():
    machine = Machine(0)
    x = machine.leaf(np.arange(3.0), "float32", needs=True)
    y = machine.run("square", lambda lib, t: t.square() if lib is torch else t.square() + t - t.detach(), np.square, x)
    with pytest.raises(AssertionError, match="gradient of float32"):
        machine.check_gradients([y])
