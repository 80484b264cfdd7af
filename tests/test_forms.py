"""Names of PyTorch's top level beside the methods': aliases, functions, changes in place, old types, windows."""

import math

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64

import genesis

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 6)).astype(np.float32)
W, B, MEAN, VAR = RNG.uniform(0.5, 2, (4, 4)).astype(np.float32)


@pytest.fixture
def default_dtype():
    yield
    genesis.set_default_dtype(genesis.float32)


def test_other_names_of_types_and_constants():
    assert genesis.float is genesis.float32
    assert genesis.half is genesis.float16
    assert genesis.double is genesis.float64
    assert genesis.int is genesis.int32
    assert genesis.long is genesis.int64
    assert repr(genesis.long) == "genesis.int64"
    assert (genesis.pi, genesis.e, genesis.inf) == (torch.pi, torch.e, torch.inf)
    assert math.isnan(genesis.nan)
    assert isinstance(genesis.float16, genesis.dtype)
    assert not genesis.is_complex(f32([1.0]))
    assert f32([[1.0, 2.0]]).H.shape == f32([[1.0, 2.0]]).mH.shape == (2, 1)
    assert f32([1.0, 2.0])[:, genesis.newaxis].shape == (2, 1)


CALLS = {
    "dropout": lambda lib, t: lib.dropout(t(X), 0.5, False),
    "alpha_dropout": lambda lib, t: lib.alpha_dropout(t(X), 0.5, False),
    "feature_alpha_dropout": lambda lib, t: lib.feature_alpha_dropout(t(X), 0.5, False),
    "layer_norm": lambda lib, t: lib.layer_norm(t(X), (6,), t(X[0, 0]), None, 1e-3, False),
    "group_norm": lambda lib, t: lib.group_norm(t(X), 2, t(W), t(B)),
    "rms_norm": lambda lib, t: lib.rms_norm(t(X), (6,)),
    "batch_norm": lambda lib, t: lib.batch_norm(t(X), t(W), t(B), t(MEAN), t(VAR), False, 0.1, 1e-3, False),
    "instance_norm": lambda lib, t: lib.instance_norm(t(X), t(W), t(B), t(MEAN), t(VAR), False, 0.1, 1e-3, False),
    "binary_cross_entropy_with_logits":
        lambda lib, t: lib.binary_cross_entropy_with_logits(t(X), t(X > 0), None, lib.tensor(X[0, 0] ** 2), 2),
    "kl_div": lambda lib, t: lib.kl_div(t(X), t(X * X), 0),
    "ctc_loss": lambda lib, t: lib.ctc_loss(t(X).log_softmax(2), lib.tensor([[1, 2], [3, 1], [2, 2], [4, 1]]),
                                            [2] * 4, [1] * 4, 0, 2, True),
    "margin_ranking_loss": lambda lib, t: lib.margin_ranking_loss(t(X), t(X * X), t(np.sign(X)), 0.5, 0),
    "hinge_embedding_loss": lambda lib, t: lib.hinge_embedding_loss(t(X * X), t(np.sign(X)), 0.7, 2),
    "cosine_embedding_loss": lambda lib, t: lib.cosine_embedding_loss(t(X[0]), t(X[1]), t(np.sign(X[0, :, 0])), 0.1, 0),
    "triplet_margin_loss": lambda lib, t: lib.triplet_margin_loss(t(X[0]), t(X[1]), t(X[0] * 2), 1.5, 1, 1e-5, True, 2),
    "poisson_nll_loss": lambda lib, t: lib.poisson_nll_loss(t(X), t(X * X), True, False, 1e-8, 1),
    "conv1d": lambda lib, t: lib.conv1d(t(X), t(X[:, :, :3]), padding=1),
    "conv_transpose1d": lambda lib, t: lib.conv_transpose1d(t(X), t(X[0, :, :3].reshape(4, 1, 3)), stride=2),
    "max_pool1d": lambda lib, t: lib.max_pool1d(t(X), 2, 1),
    "cosine_similarity": lambda lib, t: lib.cosine_similarity(t(X[0]), t(X[1])),
    "threshold": lambda lib, t: lib.threshold(t(X), 0.1, 20),
    "clone": lambda lib, t: lib.clone(t(X)),
    "fill": lambda lib, t: lib.fill(t(X), 3),
    "rsub": lambda lib, t: lib.rsub(t(X), 2, alpha=3),
    "float_power": lambda lib, t: lib.float_power(t(X), 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_are_those_of_torch(name):
    if name == "float_power" and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    leaves: dict = {genesis: [], torch: []}

    def maker(lib):
        def make(values):
            values = np.asarray(values, np.float32)
            leaves[lib].append(lib.tensor(values, requires_grad=name not in ("batch_norm", "instance_norm", "kl_div")))
            return leaves[lib][-1]
        return make

    found, wanted = (CALLS[name](lib, maker(lib)) for lib in (genesis, torch))
    assert str(found.dtype).split(".")[-1] == str(wanted.dtype).split(".")[-1]
    close(found, wanted.detach(), rtol=2e-5)
    if wanted.requires_grad:
        found.sum().backward()
        wanted.sum().backward()
        for mine, its in zip(leaves[genesis], leaves[torch]):
            if its.grad is not None:
                close(mine.grad, its.grad, rtol=1e-4, atol=1e-5)


def test_every_change_in_place_is_made():
    extra = {"addmv_": (torch.ones(3, 2), torch.ones(2)), "clamp_": (0.2, 0.4), "clip_": (0.2,), "clamp_max_": (0.4,),
             "clamp_min_": (0.2,), "fill_": (2,), "as_strided_": ((3,), (1,)), "resize_as_": (torch.ones(3),),
             "gcd_": (torch.tensor([4, 6, 9]),), "lcm_": (torch.tensor([4, 6, 9]),),
             "index_put_": ((torch.tensor([0]),), torch.tensor(5.0)),
             "ldexp_": (torch.tensor([1, 2, 3]),), "xlogy_": (torch.tensor([0.1, 0.2, 3.0]),)}

    def mine(x):
        return tuple(map(mine, x)) if isinstance(x, tuple) else genesis.tensor(x.numpy()) if hasattr(x, "numpy") else x

    for name in genesis.forms.IN_PLACE:
        values = np.float32([1.1, 1.5, 2.5]) if "acosh" in name or "arccosh" in name else np.float32([0.1, 0.3, 0.6])
        values = np.array([2, 3, 6]) if name in ("gcd_", "lcm_") else values
        x, y = genesis.tensor(values), torch.tensor(values)
        assert getattr(genesis, name)(x, *mine(extra.get(name, ()))) is x, name
        getattr(torch, name)(y, *extra.get(name, ()))
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=2e-5, atol=1e-6, err_msg=name)
    with pytest.raises(TypeError, match="exp_"):
        genesis.exp_(3.0)
    x = genesis.ones(1000)
    assert genesis.dropout_(x, 0.5, True) is x
    assert set(x.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize(("name", "dtype"), [("FloatTensor", "float32"), ("HalfTensor", "float16"),
                                             ("LongTensor", "int64"), ("IntTensor", "int32"), ("ByteTensor", "uint8"),
                                             ("ShortTensor", "int16"), ("CharTensor", "int8"),
                                             ("BoolTensor", "bool"), ("BFloat16Tensor", "bfloat16")])
def test_old_types_make_tensors_of_data_or_sizes(name, dtype):
    old, wanted = getattr(genesis, name), getattr(torch, name)
    kind = getattr(genesis, dtype)
    for x in (old([0, 1]), old(2, 3), old(), old(genesis.Size([2, 1]))):
        assert x.dtype is kind
        assert isinstance(x, old)
    assert not isinstance(f32([1.0]) if dtype != "float32" else genesis.tensor(1), old)
    assert old(2, 3).shape == wanted(2, 3).shape
    assert old().shape == wanted().shape
    assert old(genesis.Size([2, 1])).shape == (2, 1)
    assert old([0, 1]).tolist() == wanted([0, 1]).tolist()


def test_tensor_takes_sizes_or_data_as_torch():
    for lib in (genesis, torch):
        assert tuple(lib.Tensor(2, 3).shape) == (2, 3)
        assert tuple(lib.Tensor(4).shape) == (4,)
        assert lib.Tensor([1, 2]).dtype is lib.float32
        assert lib.Tensor([[1], [2]]).tolist() == [[1.0], [2.0]]
    assert genesis.nn.Parameter(genesis.Tensor(2, 3)).shape == (2, 3)
    with pytest.raises(TypeError, match="sizes"):
        genesis.Tensor([1], [2])
    with pytest.raises(RuntimeError, match="negative"):
        genesis.Tensor(-1)


@pytest.mark.parametrize("kind", ["float16", pytest.param("float64", marks=needs_float64)])
def test_default_type_decides_what_floats_become(kind, default_dtype):
    made = []
    for lib in (genesis, torch):
        lib.set_default_dtype(getattr(lib, kind))
        x = lib.arange(3)
        made.append([str(y.dtype).split(".")[-1] for y in (
            lib.tensor(0.5), lib.tensor([1.0]), lib.zeros(2), lib.rand(2), lib.eye(2), lib.linspace(0, 1, 3), x / 2,
            x * 0.5, x.exp(), lib.full((1,), 0.5), lib.tensor(1), lib.Tensor(2), lib.tensor(np.float32(1)),
            lib.nn.Linear(1, 1).weight)])
        lib.set_default_dtype(lib.float32)
    assert made[0] == made[1]
    with pytest.raises(TypeError, match="floating"):
        genesis.set_default_dtype(genesis.int64)


def test_printing_follows_its_options():
    x = genesis.tensor([1 / 3, 1000.0])
    usual = repr(x)
    try:
        genesis.set_printoptions(precision=2, sci_mode=True)
        assert repr(x) == "tensor([3.33e-01, 1.00e+03])"
        genesis.set_printoptions(sci_mode=False)
        assert repr(x) == "tensor([0.33, 1000.00])"
        genesis.set_printoptions(edgeitems=1, threshold=4)
        assert repr(genesis.arange(9)) == "tensor([0, ..., 8])"
        genesis.set_printoptions(profile="full")
        assert "..." not in repr(genesis.zeros(2000))
        with pytest.raises(ValueError, match="profile"):
            genesis.set_printoptions(profile="long")
    finally:
        genesis.set_printoptions(profile="default")
    assert repr(x) == usual


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows_are_those_of_torch(name):
    mine, its = (getattr(lib, f"{name}_window") for lib in (genesis, torch))
    for n in (0, 1, 2, 5, 8):
        for periodic in (True, False):
            close(mine(n, periodic), its(n, periodic), rtol=1e-5, atol=1e-6)
    assert mine(3, dtype=genesis.float16).dtype is genesis.float16
    with pytest.raises(RuntimeError, match="floating"):
        mine(3, dtype=genesis.int64)
    with pytest.raises(RuntimeError, match="negative"):
        mine(-1)


def test_ranges_places_and_arrays():
    for arguments in ((1, 4), (0, 1, 0.25), (3, 0, -1), (2.5,)):
        with pytest.warns(UserWarning, match="deprecated"):
            close(genesis.range(*arguments), torch.range(*((0, *arguments) if len(arguments) == 1 else arguments)))
    with pytest.raises(RuntimeError, match="steps"):
        genesis.range(0, 1, 0)
    places = RNG.integers(0, 24, (3, 2))
    for found, wanted in zip(genesis.unravel_index(genesis.tensor(places), (2, 3, 4)),
                             torch.unravel_index(torch.tensor(places), (2, 3, 4)), strict=True):
        assert found.tolist() == wanted.tolist()
    with pytest.raises(TypeError, match="integers"):
        genesis.unravel_index(f32([1.0]), (2,))
    x = leaf([1.0, 2.0])
    same = genesis.asarray(x)
    assert same._array is x._array
    assert not same.requires_grad
    assert genesis.asarray(x, copy=True)._array.buffer is not x._array.buffer
    assert genesis.asarray([1, 2], dtype=genesis.float16).dtype is genesis.float16
    with pytest.raises(ValueError, match="copy"):
        genesis.asarray([1, 2], copy=False)
    assert x.is_cpu == (genesis.get_default_device().type == "cpu")
    assert x.get_device() == (-1 if x.is_cpu else x.device.index)


SHAPES = {"squeeze_": (), "unsqueeze_": (1,), "t_": (), "transpose_": (0, 1), "swapaxes_": (1, 0)}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("view", [False, True])
def test_the_tensor_itself_gets_another_shape(name, view):
    values = X[0, :, :1]
    gradients = []
    for lib in (genesis, torch):
        w = lib.tensor(values, requires_grad=True)
        whole = w * 2
        x = whole[1:] if view else whole
        assert getattr(x, name)(*SHAPES[name]) is x
        x.mul_(lib.tensor(np.arange(1, 1 + values[int(view):].size, dtype=np.float32)).reshape(tuple(x.shape)))
        y = x * x
        (y.sum() + (whole.sum() if view else 0)).backward()
        gradients.append((tuple(x.shape), tuple(x.stride()), y.detach().numpy(), w.grad.numpy()))
    assert gradients[0][:2] == gradients[1][:2]
    np.testing.assert_allclose(gradients[0][2], gradients[1][2], rtol=1e-5)
    np.testing.assert_allclose(gradients[0][3], gradients[1][3], rtol=1e-5)


def test_leaves_change_their_shape_only_unrecorded():
    x = leaf([[1.0, 2.0]])
    with pytest.raises(RuntimeError, match="leaf"):
        x.t_()
    with genesis.no_grad():
        x.t_()
    assert x.shape == (2, 1)
    assert x.is_leaf
    x.sum().backward()
    close(x.grad, [[1], [1]])
    spread = genesis.arange(6).reshape(2, 3)
    assert spread.resize_(4).tolist() == [0, 1, 2, 3]
    assert spread.resize_(3, 2).reshape(-1)[:4].tolist() == [0, 1, 2, 3]
    assert spread.resize_as_(x).shape == (2, 1)
    with pytest.raises(RuntimeError, match="gradients"):
        x.resize_(3)
