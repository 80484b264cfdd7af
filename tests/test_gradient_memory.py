"""The memory of ``.grad``: handed over by backward where nobody else looks at it, else a copy."""

import numpy as np
import pytest
from helpers import close, f32, leaf

import genesis
from genesis.autograd import Function
from genesis.nn import functional as F
from genesis.opencl.program import Kernel

N = 6


@pytest.fixture
def launched(monkeypatch):
    """The names of the kernels launched so far."""
    names = []
    original = Kernel.__call__

    def call(self, *arguments):
        names.append(self.name)
        return original(self, *arguments)

    monkeypatch.setattr(Kernel, "__call__", call)
    return names


class Double(Function):
    """2 x, whose backward remembers its result."""

    @staticmethod
    def forward(context, x, kept):
        context.kept = kept
        return x * 2

    @staticmethod
    def backward(context, g):
        context.kept.append(g * 2)
        return context.kept[-1], None


def hooked(y, kept, look=lambda g: g):
    y.register_hook(lambda g: kept.append(look(g)))
    return y


def retained(y, kept):
    y.retain_grad()
    y.register_hook(lambda g: kept.append(g))
    return y


# What makes a result of two leaves, and may add to a list what it sees of gradients.
PROGRAMS = {
    "of another leaf": lambda x, y, kept: x + y,
    "of the same leaf": lambda x, y, kept: x + x,
    "part of one": lambda x, y, kept: genesis.cat([x, y]),
    "parts of one": lambda x, y, kept: genesis.stack([y, x, y]),
    "seen by a hook": lambda x, y, kept: hooked(x.view(2, 3), kept) + y.view(2, 3),
    "seen by a hook further on": lambda x, y, kept: hooked(x * 3, kept) + 0,
    "a view of it": lambda x, y, kept: hooked(x.view(2, 3), kept, lambda g: g[1:]),
    "its elements": lambda x, y, kept: hooked(x.view(2, 3), kept, lambda g: g.detach()),
    "retained": lambda x, y, kept: retained(x.view(2, 3), kept),
    "of a function that keeps it": lambda x, y, kept: Double.apply(x, kept),
    "expanded": lambda x, y, kept: x.sum() + y.mean(),
    "turned": lambda x, y, kept: x.view(2, 3).T @ y.view(2, 3),
    "one element": lambda x, y, kept: x[2] * y[3],
    "in float16": lambda x, y, kept: x.half() * y.half(),
}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_nobody_elses_numbers_change_with_a_gradient(name, again):
    x, y, kept = leaf(np.arange(N) + 1.0), leaf(np.arange(N) - 2.5), []
    result = PROGRAMS[name](x, y, kept)
    given = f32(np.random.default_rng(0).integers(1, 9, tuple(result.shape))).to(result.dtype)
    result.backward(given, retain_graph=again)
    if again:
        kept.clear()
        first = x.grad.numpy()
        result.backward(given)
        np.testing.assert_array_equal(x.grad.numpy(), 2 * first)
    others = [given, *kept, *([y.grad] if y.grad is not None else [])]
    before = [other.numpy().copy() for other in others]
    x.grad.add_(1000)
    for other, values in zip(others, before):
        np.testing.assert_array_equal(other.numpy(), values)
    mine = x.grad.numpy().copy()
    for other in others:
        other.zero_()
    np.testing.assert_array_equal(x.grad.numpy(), mine)
    assert x.grad.is_contiguous()
    assert x.grad.dtype is x.dtype
    assert x.grad.shape == x.shape


def test_a_gradient_given_or_asked_for_stays_the_callers():
    x = leaf(np.ones(N))
    given = f32(np.arange(N))
    x.backward(given)
    x.grad.zero_()
    close(given, np.arange(N))
    x.grad = None
    (found,) = genesis.autograd.grad(x * 2, x, given)
    (x * 2).backward(given, inputs=[x])
    x.grad.zero_()
    close(found, 2 * np.arange(N))


@pytest.mark.parametrize("shape", [(64,), (64, 32)])
def test_a_fresh_gradient_is_not_copied(launched, shape):
    x, w = leaf(np.ones(shape)), leaf(np.ones(shape[-1]))
    y = F.layer_norm(x, (shape[-1],), w)
    g = f32(np.ones(shape))
    for _ in range(2):
        x.grad = w.grad = None
        launched.clear()
        y.backward(g, retain_graph=True)
        assert [name for name in launched if "elementwise" in name] == []
    y.backward(g)
    assert [name for name in launched if "elementwise" in name] != []      # the second time they are added


def test_only_whole_buffers_are_kept():
    """A part of a larger buffer would keep all of it."""
    x = leaf(np.ones(4))
    (genesis.cat([x, f32(np.ones(1000))]) * 2).sum().backward()
    assert x.grad._array.buffer.nbytes == 16
