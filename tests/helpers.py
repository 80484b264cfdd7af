"""What several test files share."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import genesis
from genesis.ops.attention import supported

ROOT = Path(genesis.__file__).resolve().parent.parent

needs_float64 = pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
fused_attention = pytest.mark.skipif(not supported(genesis.device(), 8, 8),
                                     reason="attention is put together from matrix products here")

# Around the edges of work-groups and vectors, primes, and more than one block of a reduction.
EDGES = (1, 2, 31, 32, 33, 63, 64, 65, 1003, 70001)


def examples(n):
    """Hypothesis settings: so many examples, the same in each run; with ``--hypothesis-profile explore`` many others.

    ``GENESIS_EXAMPLES`` says how many times as many that is, 20 by default.
    """
    if settings.default.derandomize:
        return settings(max_examples=n)
    return settings(max_examples=n * int(os.environ.get("GENESIS_EXAMPLES", "20")))


def run_python(code, *, fails=False, timeout=300, **environment):
    """Run code in a new process, with the environment changed (None removes a variable); returns what it printed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))}
    for name, value in environment.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = str(value)
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", textwrap.dedent(code)], env=env, text=True,
                          capture_output=True, timeout=timeout, check=False)
    if fails:
        assert done.returncode != 0, done.stdout
        return done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def normal(*shape, seed=0):
    """Normal numbers that float32 holds exactly, as float64."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(np.float64)


def f32(values):
    """A float32 tensor of the values."""
    return genesis.tensor(np.asarray(values), dtype=genesis.float32)


def leaf(values, dtype=None):
    """A tensor of the values that requires a gradient."""
    return genesis.tensor(np.asarray(values), dtype=dtype or genesis.float32, requires_grad=True)


def close(actual, expected, rtol=1e-5, atol=1e-6):
    """Assert that a tensor has the shape of the expected array and, nearly, its values."""
    values = actual.detach().numpy() if isinstance(actual, genesis.Tensor) else np.asarray(actual)
    expected = np.asarray(expected)
    assert values.shape == expected.shape
    wide = np.float64 if values.dtype.kind in "fV" else values.dtype
    np.testing.assert_allclose(values.astype(wide), expected.astype(np.float64), rtol=rtol, atol=atol)


def check_gradients(function, reference, *inputs, rtol=1e-3, atol=1e-4, seed=0):
    """Compare values with a NumPy reference, and gradients with its central differences along random directions.

    Args:
        function: tensors -> tensor.
        reference: the same on float64 arrays.
        inputs: arrays.
    """
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(x, dtype=np.float64) for x in inputs]
    tensors = [leaf(x) for x in inputs]
    result = function(*tensors)
    expected = np.asarray(reference(*inputs))
    close(result, expected, rtol=max(1e-5, rtol / 10), atol=max(1e-6, atol / 10))
    g = rng.standard_normal(expected.shape).astype(np.float32)
    result.backward(genesis.tensor(g))
    for i, (x, tensor) in enumerate(zip(inputs, tensors)):
        assert tensor.grad.shape == x.shape
        assert tensor.grad.dtype is tensor.dtype
        gradient = tensor.grad.numpy().astype(np.float64)
        for _ in range(2):
            v = rng.standard_normal(x.shape)
            h = 1e-5
            up = reference(*inputs[:i], x + h * v, *inputs[i + 1:])
            down = reference(*inputs[:i], x - h * v, *inputs[i + 1:])
            slope = np.sum(g * (up - down)) / (2 * h)
            scale = np.sqrt(np.sum((gradient * v) ** 2)) + abs(slope)
            assert abs(np.sum(gradient * v) - slope) <= atol + rtol * scale, f"input {i}"


def check_against_torch(function, *inputs, rtol=2e-5, atol=2e-6, seed=0):
    """Compare values and gradients with PyTorch in float64; ``function`` uses only what both libraries have."""
    torch = pytest.importorskip("torch")
    mine = [leaf(x) for x in inputs]
    its = [torch.tensor(np.asarray(x, dtype=np.float64), requires_grad=True) for x in inputs]
    result, expected = function(*mine), function(*its)
    close(result, expected.detach().numpy(), rtol, atol)
    g = np.random.default_rng(seed).standard_normal(tuple(expected.shape)).astype(np.float32)
    result.backward(genesis.tensor(g))
    expected.backward(torch.tensor(g, dtype=torch.float64))
    for x, y in zip(mine, its):
        if y.grad is None:
            assert x.grad is None
        else:
            close(x.grad, y.grad.numpy(), rtol, atol)


def check_like_torch(function, *inputs, rtol=1e-5, atol=1e-5, gradients=None):
    """Call ``function(library, *tensors)`` with genesis and with PyTorch; compare types, shapes, values and gradients.

    Args:
        function: returns a tensor or a tuple of them; gradients flow from the first result that requires them.
        inputs: arrays, given to both in their own type.
        gradients: positions of the inputs that require a gradient; all floating-point ones by default.
    """
    torch = pytest.importorskip("torch")
    needs = [np.asarray(x).dtype.kind == "f" if gradients is None else i in gradients for i, x in enumerate(inputs)]
    mine = [genesis.tensor(np.asarray(x), requires_grad=need) for x, need in zip(inputs, needs)]
    its = [torch.tensor(np.asarray(x), requires_grad=need) for x, need in zip(inputs, needs)]
    results, expected = function(genesis, *mine), function(torch, *its)
    results, expected = [list(r) if isinstance(r, tuple | list) else [r] for r in (results, expected)]
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected):
        assert str(result.dtype).split(".")[-1] == str(wanted.dtype).split(".")[-1]
        assert tuple(result.shape) == tuple(wanted.shape)
        np.testing.assert_allclose(result.detach().numpy(), wanted.detach().numpy(), rtol=rtol, atol=atol)
    for result, wanted in zip(results, expected):
        assert result.requires_grad == wanted.requires_grad
        if wanted.requires_grad:
            g = np.random.default_rng(1).standard_normal(tuple(wanted.shape)).astype(wanted.detach().numpy().dtype)
            result.backward(genesis.tensor(g))
            wanted.backward(torch.tensor(g))
            break
    for x, y in zip(mine, its):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=10 * rtol, atol=10 * atol)
