"""Every operation of the table of `operations`, over generated shapes, types and layouts, against PyTorch.

Values and gradients are compared with PyTorch's in float64, from the same numbers; types and shapes with what PyTorch
gives for the same types. What lies in memory between the elements of a layout is NaN, so that reading it is noticed.
"""

import inspect

import layers
import movements
import numpy as np
import products
import pytest
import specials
from helpers import examples
from hypothesis import given, note
from hypothesis import strategies as st
from operations import CASES, Draws

import genesis

torch = pytest.importorskip("torch")

EPS = {"float16": 2.0 ** -11, "bfloat16": 2.0 ** -8, "float32": 2.0 ** -24, "float64": 2.0 ** -53}
WHOLE = ("bool", "uint8", "int8", "int16", "int32", "int64")
FLOATS = tuple(t for t in EPS if t != "float64" or genesis.device().fp64)

# Public, and without a row in the table, because: ...
WITHOUT = {
    "it has no gradient, and its own tests": """allclose argwhere bincount bitwise_not broadcast_shapes bucketize equal
        gcd histc histogram is_complex is_floating_point is_nonzero is_same_size is_signed is_tensor isclose isin lcm
        multinomial nextafter nonzero numel searchsorted tril_indices triu_indices unique unique_consecutive
        F.one_hot""",
    "tests/test_linalg.py compares it": """cholesky cholesky_inverse cholesky_solve det inverse logdet matrix_exp
        pinverse qr slogdet svd""",
    "PyTorch's derivative has ten right digits in float64; tests/test_special.py compares it": "digamma",
    "it is another name of one that has a row": """F.upsample F.upsample_nearest F.upsample_bilinear narrow_copy
        unsafe_chunk unsafe_split unsafe_split_with_sizes""",
    "tests/ops/test_edge_cases.py compares it": "gradient igamma igammac",
    "tests/nn/test_nn_losses.py compares it": "F.linear_cross_entropy",
    "it draws random numbers, which differ from PyTorch's": """bernoulli F.dropout F.dropout1d F.dropout2d F.dropout3d
        F.alpha_dropout F.feature_alpha_dropout F.gumbel_softmax""",
    "it writes into its input, as a test of its own checks": """F.relu_ F.leaky_relu_ F.rrelu_ F.elu_ F.celu_ F.selu_
        F.hardtanh_ F.threshold_""",
    "it helps others": "F.check_reduction",
    "its layer's tests compare it": """F.multi_head_attention_forward F.ctc_loss F.fractional_max_pool2d
        F.fractional_max_pool3d""",
    "it is for complex numbers, with which tests/test_complex.py compares it": """angle conj_physical is_conj is_neg
        isreal resolve_conj resolve_neg""",
}
# Layers work on floating-point numbers and may refuse others; so may products booleans, which PyTorch takes when empty.
PRODUCTS = ("matmul", "mm", "bmm", "dot", "einsum", "tensordot", "addmm", "addmv", "addr", "baddbmm", "addbmm", "mv",
            "vdot", "inner", "kron", "trace", "matrix_power", "cross")
# PyTorch records them and fails in backward; genesis does not record them.
NO_DERIVATIVE = {"floor_divide", "heaviside"}



def layout(draw, shape):
    """A way to lay out a tensor: the shape of what it is a view of, and the view."""
    n = len(shape)
    kind = draw(st.sampled_from(["whole", "transposed", "steps", "offset", "expanded"]))
    if kind == "transposed" and n > 1:
        order = draw(st.permutations(range(n)))
        inverse = [order.index(i) for i in range(n)]
        return tuple(shape[i] for i in order), lambda x: x.permute(*inverse)
    if kind == "steps" and n:
        step = draw(st.sampled_from([2, 3]))
        before = draw(st.tuples(*[st.integers(0, 2)] * n))
        parts = tuple(slice(b, b + (m - 1) * step + 1 if m else b, step) for b, m in zip(before, shape))
        return tuple(b + m * step for b, m in zip(before, shape)), lambda x: x[parts]
    if kind == "offset":
        size = int(np.prod(shape))
        return (size + 5,), lambda x: x[3:3 + size].reshape(shape)
    if kind == "expanded" and n:
        axis = draw(st.integers(0, n - 1))
        if shape[axis]:
            return (*shape[:axis], 1, *shape[axis + 1:]), lambda x: x.expand(*shape)
    return shape, lambda x: x


def numbers(rng, wanted, shape, dtype):
    """Values for an input, as float64 holds them."""
    if wanted.distinct:
        size = int(np.prod(shape))
        return (rng.permutation(size).reshape(shape) - size // 2) / (8 if dtype in EPS else 1)
    if dtype in WHOLE:
        low, high = (0, 2) if dtype == "bool" else (max(int(wanted.low), 0 if dtype == "uint8" else -9), 9)
        return rng.integers(low, max(int(wanted.high) + 1, low + 1) if dtype != "bool" else high, shape)
    values = rng.uniform(wanted.low, wanted.high, shape)
    return np.round(values * 8) / 8 if wanted.grid else values


def made(draw, wanted, dtype, plain):
    """An input in both libraries: (genesis' base, PyTorch's in float64, PyTorch's in the type), and the view of them.

    Args:
        plain: without a layout.
    """
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    base, view = (wanted.shape, lambda x: x) if plain or wanted.distinct else layout(draw, wanted.shape)
    if wanted.values is not None:
        places = view(torch.arange(int(np.prod(base))).reshape(base)).numpy()
        array = np.zeros(base, wanted.values.dtype)
        np.put(array, places, wanted.values)
        array = np.where(np.isin(np.arange(array.size).reshape(base), places), array, 0).astype(array.dtype)
        if view(torch.tensor(array)).numpy().tolist() != wanted.values.tolist():      # expanded: not any values
            array, view = wanted.values, lambda x: x
        return (genesis.tensor(array), torch.tensor(array), torch.tensor(array)), view
    values = torch.tensor(numbers(rng, wanted, base, dtype)).to(getattr(torch, dtype))
    if dtype in EPS:
        seen = torch.zeros(values.numel(), dtype=torch.bool)
        seen[view(torch.arange(values.numel()).reshape(base)).reshape(-1)] = True
        values = values.masked_fill(~seen.reshape(base), float("nan"))
    array = values.double().numpy() if dtype in EPS else values.numpy()
    mine = genesis.tensor(array, dtype=getattr(genesis, dtype))
    return (mine, values.double() if dtype in EPS else values, values.clone()), view


def listed(results):
    return list(results) if isinstance(results, tuple | list) else [results]


def near(found, exact, eps, steps, what):
    """Assert that values are those of float64, but for roundings of the type, taken by the size of the largest."""
    found, exact = found.detach().numpy(), exact.detach().numpy(force=True)     # PyTorch may hold zeros back
    finite = np.abs(exact[np.isfinite(exact)])
    room = (64 if eps < 1e-5 else 4 * steps) * eps
    np.testing.assert_allclose(found.astype(exact.dtype), exact, rtol=room,
                               atol=room * max(1.0, finite.max() if finite.size else 0), err_msg=what)


def attempt(function):
    """What a function gives, or None where it refuses."""
    try:
        return listed(function())
    except (RuntimeError, NotImplementedError, TypeError, IndexError, ValueError):
        return None


@pytest.mark.parametrize("name", CASES)
@examples(2)
@given(data=st.data())
def test_operation_has_the_values_types_and_gradients_of_torch(name, data):
    dtype = data.draw(st.sampled_from(("float32", *FLOATS, *WHOLE)), "dtype")
    call = CASES[name](Draws(data.draw))
    if dtype == "bool" and any(wanted.distinct for wanted in call.inputs):
        return                           # there are only two
    plain = data.draw(st.booleans(), "plain")
    inputs = [made(data.draw, wanted, dtype, plain) for wanted in call.inputs]
    note(f"{name} {dtype} {[tuple(view(b[0]).shape) for b, view in inputs]}")
    needs = [dtype in EPS and wanted.values is None and data.draw(st.integers(0, 3)) > 0 for wanted in call.inputs]

    def run(library, which):
        bases = [b[which].requires_grad_() if need else b[which] for (b, _), need in zip(inputs, needs)]
        return call.function(library, *(view(x) for x, (_, view) in zip(bases, inputs)))

    exact = attempt(lambda: run(torch, 1))
    typed = attempt(lambda: run(torch, 2))
    if exact is None:
        if dtype in EPS and not name.startswith("bitwise"):
            run(torch, 1)                # a row of the table that PyTorch refuses is wrong: show its error
        return
    if (dtype in WHOLE and name.startswith("F.")) or (dtype == "bool" and name in PRODUCTS):
        results = attempt(lambda: run(genesis, 0))
        if results is None:
            return
    else:
        results = listed(run(genesis, 0))
    assert len(results) == len(exact)
    eps = EPS.get(dtype, 2.0 ** -24)
    for i, (mine, its) in enumerate(zip(results, exact)):
        assert tuple(mine.shape) == tuple(its.shape)
        if typed is not None and (genesis.device().fp64 or typed[i].dtype is not torch.float64):
            assert str(mine.dtype).split(".")[-1] == str(typed[i].dtype).split(".")[-1]
        near(mine, its, eps, call.steps, "values")
    if name in NO_DERIVATIVE:
        assert not any(r.requires_grad for r in results)
        return
    assert [r.requires_grad for r in results] == [r.requires_grad for r in exact]
    flowing = [i for i, r in enumerate(exact) if r.requires_grad]
    if not flowing:
        return
    rng = np.random.default_rng(1)
    gradients = [np.asarray(rng.integers(-8, 9, tuple(exact[i].shape)) / 4) for i in flowing]
    genesis.autograd.backward([results[i] for i in flowing],
                              [genesis.tensor(g, dtype=results[i].dtype) for i, g in zip(flowing, gradients)])
    torch.autograd.backward([exact[i] for i in flowing], [torch.tensor(g) for g in gradients])
    for k, ((mine, its, _), _) in enumerate(inputs):
        assert (mine.grad is None) == (its.grad is None), f"gradient {k}"
        if its.grad is not None:
            assert mine.grad.dtype is mine.dtype
            near(mine.grad, its.grad, eps, 2 * call.steps, f"gradient {k}")


def test_every_public_operation_has_a_row_or_a_reason():
    functional = {f"F.{n}" for n, f in vars(genesis.nn.functional).items()
                  if inspect.isfunction(f) and not n.startswith("_")}
    public = set(genesis.functions.__all__) | functional
    reasons = [name for names in WITHOUT.values() for name in names.split()]
    assert len(reasons) == len(set(reasons))
    assert not set(reasons) & set(CASES)
    assert public == (public & set(CASES)) | set(reasons)
    assert layers.case is movements.case is products.case is specials.case      # which enters their rows
