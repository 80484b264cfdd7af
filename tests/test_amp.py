"""autocast: regions, the table of precisions, gradients of float32 parameters, cached copies; against PyTorch."""

import importlib
import pkgutil
import re
import threading

import numpy as np
import pytest
from helpers import f32, leaf, normal, run_python

import genesis
from genesis import nn
from genesis.data.datasets import digits
from genesis.nn import functional as F
from genesis.ops import elementwise, precision
from genesis.ops.operation import Operation

HALVES = [genesis.bfloat16, genesis.float16]


@pytest.fixture(autouse=True)
def switched_off():
    """A test that fails leaves autocast off behind."""
    yield
    genesis.enable_autocast = False
    assert not genesis.is_autocast_enabled()


def product():
    """The type that a matrix product has here."""
    return (f32(np.eye(2)) @ f32(np.eye(2))).dtype


# Regions -------------------------------------------------------------------------------------------------------


def test_regions_nest_and_restore():
    region = genesis.autocast(dtype=genesis.float16)
    with genesis.autocast():
        assert product() is genesis.bfloat16
        with region, region:
            assert product() is genesis.float16
            assert genesis.get_autocast_dtype() is genesis.float16
            with genesis.autocast():                     # without a type: that of the region around it
                assert product() is genesis.float16
            with genesis.autocast(enabled=False):
                assert product() is genesis.float32
                with region:
                    assert product() is genesis.float16
                assert not genesis.is_autocast_enabled()
            assert product() is genesis.float16
        assert product() is genesis.bfloat16
    assert product() is genesis.float32
    assert genesis.get_autocast_dtype() is genesis.bfloat16


def test_exception_ends_a_region():
    with pytest.raises(ZeroDivisionError), genesis.autocast(), genesis.autocast(dtype=genesis.float16):
        1 / 0
    assert product() is genesis.float32
    assert genesis.get_autocast_dtype() is genesis.bfloat16


def test_enable_autocast_works_outside_regions_and_can_be_overruled():
    assert genesis.enable_autocast is False
    genesis.enable_autocast = True
    assert genesis.is_autocast_enabled()
    assert product() is genesis.bfloat16
    with genesis.autocast(enabled=False):
        assert product() is genesis.float32
        with genesis.autocast(dtype=genesis.float16):
            assert product() is genesis.float16
    genesis.enable_autocast = False
    assert product() is genesis.float32
    with genesis.autocast():
        genesis.enable_autocast = False
        assert product() is genesis.bfloat16


def test_enable_autocast_of_a_fresh_process():
    run_python("""
        import genesis
        genesis.enable_autocast = True
        x = genesis.ones(2, 2)
        assert (x @ x).dtype is genesis.bfloat16
        from genesis import *
        assert enable_autocast is True
    """)


def test_regions_are_a_threads_own():
    seen = {}
    region = genesis.autocast()

    def work(name, inside, done):
        seen[name] = product()
        with region:
            seen[name + " inside"] = product()
            inside.set()
            done.wait()

    inside, done = threading.Event(), threading.Event()
    with genesis.autocast(dtype=genesis.float16), region:
        thread = threading.Thread(target=work, args=("other", inside, done))
        thread.start()
        inside.wait()
    assert product() is genesis.float32       # this thread's way out is not the other's
    done.set()
    thread.join()
    assert seen == {"other": genesis.float32, "other inside": genesis.bfloat16}


def test_decorators():
    @genesis.autocast
    def bare():
        return product()

    @genesis.autocast(dtype=genesis.float16)
    def called(again=True):
        return [product(), *(called(False) if again else [])]

    assert bare() is genesis.bfloat16
    assert bare.__name__ == "bare"
    assert called() == [genesis.float16] * 2
    assert product() is genesis.float32


def test_decorated_generator_keeps_the_mode_to_its_own_steps():
    @genesis.autocast()
    def steps():
        received = yield product()
        try:
            yield received
        except KeyError:
            yield product()

    generator = steps()
    assert next(generator) is genesis.bfloat16
    assert product() is genesis.float32
    assert generator.send("message") == "message"
    assert generator.throw(KeyError()) is genesis.bfloat16
    assert product() is genesis.float32
    with pytest.raises(StopIteration):
        next(generator)


def test_arguments_as_torch_orders_them():
    for arguments, named in ((("cpu",), {}), (("cuda", genesis.bfloat16, True), {}), ((), {"device_type": "cpu"}),
                             ((True, genesis.bfloat16), {"cache_enabled": False}), ((genesis.device(),), {})):
        with genesis.autocast(*arguments, **named):
            assert product() is genesis.bfloat16
    with genesis.autocast("cpu", genesis.float16, False):
        assert product() is genesis.float32
    for wrong in (genesis.float32, genesis.int64):
        with pytest.raises(ValueError, match="bfloat16 or float16"):
            genesis.autocast(dtype=wrong)
    assert genesis.is_autocast_enabled("cpu") is False
    assert genesis.get_autocast_dtype("cuda") is genesis.bfloat16


# The table -----------------------------------------------------------------------------------------------------


def test_table_is_in_the_docstring():
    text = " ".join(genesis.autocast.__doc__.split())
    for table in (precision.LOW, precision.FLOAT32):
        for entry in table:
            assert entry in text


def test_every_class_in_the_table_has_its_policy():
    for module in pkgutil.iter_modules(genesis.ops.__path__):
        importlib.import_module(f"genesis.ops.{module.name}")
    found = {}
    waiting = [Operation]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("genesis.ops."):
            found[cls.__name__] = cls.autocast
    for policy, table in (("low", precision.LOW), ("float32", precision.FLOAT32)):
        for classes in table.values():
            for name in classes:
                assert found.get(name) == policy, f"{name} is {found.get(name, 'no operation')}, not {policy}"


def test_classes_of_users_are_left_alone():
    class Linear(Operation):
        pass

    assert Linear.autocast is None


LOW_CASES = {
    "matmul": lambda x, m: x @ m, "mm": lambda x, m: x.mm(m), "bmm": lambda x, m: x[None].bmm(m[None]),
    "vector": lambda x, m: x[0] @ m, "linear": lambda x, m: F.linear(x, m), "bias": lambda x, m: F.linear(x, m, m[0]),
}
FLOAT32_CASES = {
    "exp": lambda x: x.exp(), "expm1": lambda x: x.expm1(), "log": lambda x: x.log(), "log1p": lambda x: x.log1p(),
    "pow": lambda x: x ** 3, "square": lambda x: x.square(), "rsqrt": lambda x: x.rsqrt(),
    "sum": lambda x: x.sum(), "sum over": lambda x: x.sum(1, keepdim=True), "mean": lambda x: x.mean(0),
    "var": lambda x: x.var(1), "std": lambda x: x.std(), "norm": lambda x: x.norm(),
    "logsumexp": lambda x: x.logsumexp(1), "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "cross_entropy": lambda x: F.cross_entropy(x, genesis.tensor([0, 1, 2])),
    "mse_loss": lambda x: F.mse_loss(x, x * 2), "l1_loss": lambda x: F.l1_loss(x, x * 2),
}
OTHER_CASES = {
    "relu": lambda x: x.relu(), "add": lambda x: x + x, "mul": lambda x: x * 2, "neg": lambda x: -x,
    "cat": lambda x: genesis.cat([x, x]), "where": lambda x: genesis.where(x > 0, x, 0.0), "reshape": lambda x: x.T,
    "tanh": lambda x: x.tanh(), "sigmoid": lambda x: x.sigmoid(), "sqrt": lambda x: x.sqrt(), "max": lambda x: x.amax(),
    "clamp": lambda x: x.clamp(0, 1), "index": lambda x: x[1:],
}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", LOW_CASES)
@pytest.mark.parametrize("given", [genesis.float32, *HALVES], ids=str)
def test_products_run_in_16_bits(name, half, given):
    x, m = leaf(normal(3, 3), given), leaf(normal(3, 3, seed=1), genesis.float32)
    with genesis.autocast(dtype=half):
        y = LOW_CASES[name](x, m)
    assert y.dtype is half
    y.sum().backward()
    assert x.grad.dtype is given
    assert m.grad.dtype is genesis.float32


@pytest.mark.parametrize("given", [genesis.float32, *HALVES], ids=str)
@pytest.mark.parametrize("name", FLOAT32_CASES)
def test_sums_and_functions_of_large_range_run_in_float32(name, given):
    x = leaf(np.abs(normal(3, 5)) + 0.5, given)
    with genesis.autocast():
        y = FLOAT32_CASES[name](x)
    assert y.dtype is genesis.float32
    y.sum().backward()
    assert x.grad.dtype is given
    expected = leaf(x.detach().float().numpy())
    z = FLOAT32_CASES[name](expected)
    z.sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-6)
    tolerance = 1e-5 if given is genesis.float32 else 2e-2
    np.testing.assert_allclose(x.grad.float().numpy(), expected.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("given", [genesis.float32, *HALVES], ids=str)
@pytest.mark.parametrize("name", OTHER_CASES)
def test_the_rest_keeps_its_type(name, given):
    x = leaf(np.abs(normal(3, 5)) + 0.5, given)
    with genesis.autocast(dtype=genesis.float16):
        y = OTHER_CASES[name](x)
    assert y.dtype is given
    y.sum().backward()
    assert x.grad.dtype is given


def test_mixed_types_promote_to_the_widest():
    x, y = leaf(np.ones(3), genesis.bfloat16), leaf(np.ones(3))
    with genesis.autocast():
        for z in (x + y, x * y, genesis.cat([x, y]), genesis.where(y > 0, x, y)):
            assert z.dtype is genesis.float32
        assert (x + x.detach().half()).dtype is genesis.float32


def test_float64_and_integers_stay():
    if genesis.device().fp64:
        x = leaf(normal(3, 3), genesis.float64)
        with genesis.autocast():
            for y in (x @ x, x @ x.detach().float(), x.float() @ x, x.exp(), x.softmax(0)):
                assert y.dtype is genesis.float64
    with genesis.autocast():
        assert genesis.arange(5).sum().dtype is genesis.int64
        assert genesis.tensor([True, False]).sum().dtype is genesis.int64


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", ["matmul", "linear", "bias", *FLOAT32_CASES, *OTHER_CASES])
def test_types_are_torchs(name, half):
    torch = pytest.importorskip("torch")
    if name in OTHER_CASES or name in FLOAT32_CASES:
        case = {**FLOAT32_CASES, **OTHER_CASES}[name]
        if name in ("where", "cat", "cross_entropy", "mse_loss", "l1_loss"):
            return
        inputs = [np.abs(normal(3, 5)) + 0.5]
    else:
        case, inputs = LOW_CASES[name], [normal(3, 3), normal(3, 3)]
        case = {"matmul": lambda x, m: x @ m, "linear": F.linear, "bias": lambda x, m: F.linear(x, m, m[0])}[name]
    with genesis.autocast(dtype=half):
        mine = case(*[f32(x) for x in inputs])
    torch_half = getattr(torch, half.name)
    its_case = {"linear": torch.nn.functional.linear,
                "bias": lambda x, m: torch.nn.functional.linear(x, m, m[0])}.get(name, case)
    with torch.autocast("cpu", dtype=torch_half):
        its = its_case(*[torch.tensor(x, dtype=torch.float32) for x in inputs])
    assert mine.dtype.name == str(its.dtype).removeprefix("torch.")
    np.testing.assert_allclose(mine.float().numpy(), its.float().numpy(), rtol=2e-2, atol=2e-2)


LAYERS = {
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3), (2, 3, 9), "low"),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 6, 5), "low"),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 2), (2, 3, 4, 5), "low"),
    "LayerNorm": (lambda: nn.LayerNorm(5), (4, 5), "float32"),
    "RMSNorm": (lambda: nn.RMSNorm(5), (4, 5), "float32"),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 5), "float32"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(5), (4, 5), "float32"),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(8, 2), (5, 2, 8), "low"),
    "LSTM": (lambda: nn.LSTM(5, 3), (4, 2, 5), "low"),
    "GRU": (lambda: nn.GRU(5, 3), (4, 2, 5), "low"),
}


@pytest.mark.parametrize("given", [genesis.float32, genesis.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_follow_the_table(name, given):
    make, shape, policy = LAYERS[name]
    genesis.manual_seed(0)
    layer = make()
    x = leaf(normal(*shape), given)
    arguments = (x, x, x) if name == "MultiheadAttention" else (x,)
    results = []
    for on in (True, False):
        layer.zero_grad()
        x.grad = None
        with genesis.autocast(enabled=on):
            y = layer(*(arguments if on else [a.float() for a in arguments]))
        y = y[0] if isinstance(y, tuple) else y
        assert y.dtype is (genesis.bfloat16 if on and policy == "low" else genesis.float32)
        (y.float() ** 2).sum().backward()
        assert x.grad.dtype is given
        for p in layer.parameters():
            assert p.dtype is p.grad.dtype is genesis.float32
        results.append([y.detach().float().numpy(), *(p.grad.numpy() for p in layer.parameters())])
    for mixed, exact in zip(*results):
        np.testing.assert_allclose(mixed, exact, atol=4e-2 * max(1.0, np.abs(exact).max()))


# Gradients -----------------------------------------------------------------------------------------------------


def test_parameter_gradients_are_float32_and_lie_in_their_slots():
    model = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = genesis.optim.SGD(model.parameters(), lr=0.1)
    arena = optimizer._runners[0].arena
    x, target = f32(normal(11, 7)), genesis.tensor([0, 1, 2] * 3 + [0, 1])
    for _ in range(2):
        optimizer.zero_grad()
        with genesis.autocast():
            loss = F.cross_entropy(model(x), target)
        loss.backward()
        assert not arena.assigned
        assert arena.full(arena.present)
        buffer = arena.arena.buffers["grad"].handle
        for p in model.parameters():
            assert p.dtype is genesis.float32
            assert p.grad.dtype is genesis.float32
            assert p.grad._array.buffer.handle is buffer
        optimizer.step()


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_weight_gradient_is_not_rounded_to_16_bits(half):
    x, weight = leaf(normal(40, 7)), leaf(normal(5, 7, seed=1))
    optimizer = genesis.optim.SGD([weight], lr=0.1)
    g = normal(40, 5, seed=2).astype(half.numpy).astype(np.float64)
    with genesis.autocast(dtype=half):
        y = F.linear(x, weight)
    y.backward(genesis.tensor(g, dtype=half))
    stored = x.detach().numpy().astype(half.numpy).astype(np.float64)
    np.testing.assert_allclose(weight.grad.numpy(), g.T @ stored, rtol=1e-5, atol=1e-5)
    rounded = weight.grad.numpy().astype(half.numpy).astype(np.float32)
    assert (rounded != weight.grad.numpy()).any()
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_gradients_add_up_over_uses_and_passes():
    w = leaf(np.eye(3))
    x = f32(2 * np.eye(3))
    with genesis.autocast():
        y = (x @ w) @ w                    # 16-bit gradients of two uses
        loss = y.sum() + (w * 0.5).sum()     # and one in float32
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), np.full((3, 3), 4.5))
    with genesis.autocast():
        (x @ w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.full((3, 3), 6.5))


def test_gradient_of_what_is_not_a_leaf_comes_in_its_own_type():
    a = leaf(normal(3, 3))
    seen = []
    with genesis.autocast():
        x = a * 1.5                        # float32
        x.register_hook(lambda g: seen.append(g.dtype))
        y = x @ x                          # from 16 bits
        y.register_hook(lambda g: seen.append(g.dtype))
        z = y.sum()                        # from float32
    z.backward()
    assert seen == [genesis.bfloat16, genesis.float32]


def test_hooks_and_grad_see_float32():
    w, seen = leaf(normal(3, 3)), []
    w.register_hook(lambda g: seen.append(g.dtype))
    with genesis.autocast():
        loss = (f32(np.eye(3)) @ w).sum()
    loss.backward(retain_graph=True)
    assert seen == [genesis.float32]
    (g,) = genesis.autograd.grad(loss, w)
    assert g.dtype is genesis.float32
    np.testing.assert_array_equal(g.numpy(), np.ones((3, 3)))


def test_backward_follows_the_forward_pass():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s).astype(np.float32) for s in ((16, 9), (9,), (4, 16), (4,))]
    data = rng.standard_normal((33, 9)).astype(np.float32)
    target = rng.integers(0, 4, 33)
    weights = [(16, 9), (16,), (4, 16), (4,)]
    mine = [leaf(rng.standard_normal(s) * 0.3) for s in weights]
    its = [torch.tensor(p.detach().numpy(), requires_grad=True) for p in mine]
    del values

    def run(library, linear, cross_entropy, x, t, p):
        with library:
            h = linear(x, p[0], p[1]).relu()
            loss = cross_entropy(linear(h, p[2], p[3]), t)
        loss.backward()
        return loss

    a = run(genesis.autocast(), F.linear, F.cross_entropy, f32(data), genesis.tensor(target), mine)
    b = run(torch.autocast("cpu", dtype=torch.bfloat16), torch.nn.functional.linear, torch.nn.functional.cross_entropy,
            torch.tensor(data), torch.tensor(target), its)
    assert a.dtype is genesis.float32
    assert a.item() == pytest.approx(b.item(), rel=1e-2)
    for p, q in zip(mine, its):
        assert q.grad.dtype is torch.float32
        scale = np.abs(q.grad.numpy()).max()
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=2e-2 * scale)


def test_products_of_16_bits_accumulate_in_float32():
    n = 4096
    x = f32(np.full((1, n), 1.0))
    with genesis.autocast():
        y = x @ x.T
    assert y.item() == n            # adding ones in bfloat16 would stop at 256


# Cached copies -------------------------------------------------------------------------------------------------


@pytest.fixture
def casts(monkeypatch):
    """A list that grows with each conversion to another type."""
    seen = []
    original = elementwise.cast

    def counting(x, dtype):
        if x.dtype is not dtype:
            seen.append((x.shape, dtype))
        return original(x, dtype)

    monkeypatch.setattr(elementwise, "cast", counting)
    return seen


def test_parameter_is_converted_once_a_region(casts):
    w, x = leaf(np.eye(3)), leaf(np.eye(3)).detach().bfloat16()

    def region(**options):
        casts.clear()
        with genesis.autocast(**options):
            for _ in range(3):
                x @ w
            with genesis.autocast():
                x @ w
        return len([c for c in casts if c[1] is genesis.bfloat16])

    assert region() == 1
    assert region() == 1            # a new region, a new copy
    assert region(cache_enabled=False) == 4
    casts.clear()
    genesis.enable_autocast = True
    x @ w
    x @ w
    assert len(casts) == 2          # no region, so nothing says when a copy would be let go


def test_cached_copy_is_never_stale():
    w, x = leaf(np.eye(2)), f32(np.eye(2))
    optimizer = genesis.optim.SGD([w], lr=1.0)

    def value():
        return (x @ w)[0, 0].item()

    with genesis.autocast():
        assert value() == 1
        with genesis.no_grad():
            w.mul_(2)
        assert value() == 2
        w.data = f32(np.full((2, 2), 3.0))
        assert value() == 3
        w.data = w.data.T
        w.grad = f32(np.full((2, 2), -1.0))
        optimizer.step()
        assert value() == 4
        w.data[0, 0] = 7
        assert value() == 7
        for i in range(20):         # objects at the same address as one before
            v = leaf(np.full((2, 2), float(i)))
            assert (x @ v)[0, 0].item() == i
        with genesis.autocast(dtype=genesis.float16):
            assert (x @ w).dtype is genesis.float16
        assert (x @ w).dtype is genesis.bfloat16


def test_cache_ends_with_the_outermost_region():
    from genesis.autograd import casting

    w = leaf(np.eye(2))
    with genesis.autocast():
        with genesis.autocast(enabled=False):
            pass
        w @ w
        assert casting.state.cache
    assert casting.state.cache is None


def test_in_no_grad_regions_work_too():
    w = leaf(np.eye(2))
    with genesis.no_grad(), genesis.autocast():
        y = w @ w
    assert y.dtype is genesis.bfloat16
    assert not y.requires_grad


# Training ------------------------------------------------------------------------------------------------------


@pytest.mark.lengthy
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_mixed_precision_learns_as_float32_does(half):
    images, labels = digits(train=True).tensors
    images, labels = images[:512].flatten(1), labels[:512]

    def train(mixed):
        genesis.manual_seed(1)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        optimizer = genesis.optim.Adam(model.parameters(), lr=0.01)
        scaler = genesis.amp.GradScaler(enabled=mixed and half is genesis.float16)
        for step in range(60):
            part = slice(128 * (step % 4), 128 * (step % 4) + 128)
            optimizer.zero_grad()
            with genesis.autocast(enabled=mixed, dtype=half):
                loss = F.cross_entropy(model(images[part]), labels[part])
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss.item()

    exact, mixed = train(False), train(True)
    assert exact < 0.3
    assert mixed == pytest.approx(exact, rel=0.2)


def test_names():
    assert genesis.amp.autocast is genesis.autocast
    assert re.fullmatch(r"autocast\(enabled=True, dtype=genesis.bfloat16\)", repr(genesis.autocast()))


@pytest.mark.parametrize("cast", [None, "float32"])
@pytest.mark.parametrize("on", [False, True])
def test_custom_functions_choose_their_precision(on, cast):
    torch = pytest.importorskip("torch")

    def run(library, region):
        class Product(library.autograd.Function):
            @staticmethod
            @library.amp.custom_fwd(device_type="cpu", cast_inputs=cast and getattr(library, cast))
            def forward(ctx, a, pair, factor=1.0):
                seen.append(str((a @ pair[0]).dtype))
                ctx.other = pair[0]
                return a @ pair[0] * factor

            @staticmethod
            @library.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                seen.append(str((ctx.other @ ctx.other).dtype))
                return g @ ctx.other.T, None, None

        seen = []
        a, b = library.ones(2, 2, requires_grad=True), library.eye(2)
        with region:
            y = Product.apply(a, [b], 2.0)
        y.float().sum().backward()
        return [name.split(".")[1] for name in (*seen, str(y.dtype), str(a.grad.dtype))]

    assert run(genesis, genesis.autocast(enabled=on)) == run(torch, torch.autocast("cpu", enabled=on))
