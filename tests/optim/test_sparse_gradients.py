"""Sparse gradients: what they hold, where they go, and the optimizers that take them, beside PyTorch."""

import copy

import numpy as np
import pytest
from helpers import close, f32, needs_float64, normal
from support import launches, updates, values

import genesis
from genesis import nn
from genesis.nn import functional as F
from genesis.optim import SGD, Adagrad, SparseAdam

ROWS = [3, 1, 3, 0, 3]
TYPES = [genesis.float16, genesis.bfloat16, pytest.param(genesis.float64, marks=needs_float64)]


def embedding(rows=7, width=3, **options):
    """A table with known values, sparse unless the options say otherwise."""
    return nn.Embedding.from_pretrained(f32(normal(rows, width)), freeze=False, **{"sparse": True, **options})


def table(index=ROWS, **options):
    """A table with a gradient: each row twice its values, as often as it is in the index."""
    layer = embedding(**options)
    layer(genesis.tensor(index)).square().sum().backward()
    return layer.weight


def same(mine, its):
    """Assert that two sparse tensors, ours and PyTorch's, hold the same."""
    assert mine.is_sparse
    assert its.is_sparse
    close(mine.to_dense(), its.to_dense().numpy())
    mine, its = mine.coalesce(), its.coalesce()
    assert mine.indices().tolist() == its.indices().tolist()
    close(mine.values(), its.values().numpy())


# What they hold -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bag", [None, "sum", "mean"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 3}, {"max_norm": 1.0}], ids=str)
def test_entries_like_torch(options, bag):
    torch = pytest.importorskip("torch")
    weight = normal(40, 5).astype(np.float32)
    index = np.random.default_rng(0).integers(0, 40, (9, 17))
    layers = []
    for lib in (genesis, torch):
        kind = lib.nn.Embedding if bag is None else lib.nn.EmbeddingBag
        layers.append(kind.from_pretrained(lib.tensor(weight), freeze=False, sparse=True, **options,
                                           **({"mode": bag} if bag else {})))
    for part in (index, index[:2]):                         # the second is added to the first
        for lib, layer in zip((genesis, torch), layers):
            (layer(lib.tensor(part)) ** 2).sum().backward()
        mine, its = (layer.weight.grad for layer in layers)
        if part is index:
            assert mine._indices().tolist() == its._indices().tolist()
            close(mine._values(), its._values().numpy())
        assert not mine.is_coalesced()
        same(mine, its)
    assert mine._nnz() == (index != options.get("padding_idx")).sum() + (index[:2] != options.get("padding_idx")).sum()


def test_what_it_is():
    g = table().grad
    assert isinstance(g, genesis.Tensor)
    assert (g.shape, g.ndim, g.numel(), g.dtype, g._nnz()) == ((7, 3), 2, 21, genesis.float32, 5)
    assert (g.layout, genesis.ones(1).layout) == (genesis.sparse_coo, genesis.strided)
    assert (g.sparse_dim(), g.dense_dim(), g.requires_grad, g.is_leaf) == (1, 1, False, True)
    assert repr(g.coalesce()).splitlines()[0] == "tensor(indices=tensor([[0, 1, 3]]),"
    assert repr(g).endswith("       size=(7, 3), nnz=5, layout=genesis.sparse_coo)")
    x = genesis.ones(2)
    assert x.to_dense() is x
    for part in (g.indices, g.values):
        with pytest.raises(RuntimeError, match="uncoalesced"):
            part()
    assert g.coalesce().is_coalesced()
    assert g.coalesce()._nnz() == 3
    assert not g.is_coalesced()


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda g: g.sum(), NotImplementedError, "to_dense"), (lambda g: g + 1, NotImplementedError, "shape"),
    (lambda g: g.clamp(-1, 1), NotImplementedError, "to_dense"), (lambda g: g[0], NotImplementedError, "to_dense"),
    (lambda g: g * genesis.ones(3), NotImplementedError, "numbers"), (lambda g: g.numpy(), TypeError, "to_dense"),
    (lambda g: g.add_(genesis.ones(7, 3)), NotImplementedError, "only a sparse"),
    (lambda g: type(g)(), TypeError, "sparse_coo_tensor")])
def test_what_it_does_not_do(call, error, match):
    with pytest.raises(error, match=match):
        call(table().grad)


def test_arithmetic():
    g = table().grad
    whole, ones = g.to_dense().numpy(), genesis.ones(7, 3)
    close(ones + g, 1 + whole)
    close(g + ones, 1 + whole)
    for made, expected in ((g * 2, 2 * whole), (3 * g, 3 * whole), (g / genesis.tensor(2.0), whole / 2), (-g, -whole),
                           (g + g, 2 * whole), (g.clone().mul_(2).div_(4), whole / 2), (g.float(), whole),
                           (copy.deepcopy(g), whole), (g.data, whole), (g.clone().add_(g), 2 * whole)):
        assert made.is_sparse
        close(made.to_dense(), expected, atol=1e-5)
    assert g.half().dtype is genesis.float16
    assert g.to(genesis.float32) is g
    close(g.norm(), np.linalg.norm(whole))
    close(g.to_dense(), whole)
    g.detach().zero_()
    assert (g._nnz(), g.coalesce().values().shape) == (0, (0, 3))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")       # PyTorch's advice
def test_made_by_hand_like_torch():
    torch = pytest.importorskip("torch")
    for arguments in (([[0, 2, 2]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), ([[2, 0]], [[1.0], [2.0]], (4, 1)),
                      ([[1, 1]], [1.0, 2.0], (3,)), ([[1]], [[[1.0, 2.0]]], (2, 1, 2))):
        mine, its = genesis.sparse_coo_tensor(*arguments), torch.sparse_coo_tensor(*arguments)
        assert tuple(mine.shape) == tuple(its.shape)
        same(mine, its)
    same(genesis.sparse_coo_tensor(genesis.tensor([[5]]), genesis.ones(1, 2), (9, 2)),
         torch.sparse_coo_tensor(torch.tensor([[5]]), torch.ones(1, 2), (9, 2)))


@pytest.mark.parametrize(("arguments", "error", "match"), [
    (([0, 2], [1.0, 2.0]), RuntimeError, "sparse_dim x nnz"), (([[0, 2]], [1.0, 2.0, 3.0]), RuntimeError, "same nnz"),
    (([[0, 7]], [1.0, 2.0], (5,)), RuntimeError, "found index 7"), (([[-1]], [1.0], (5,)), RuntimeError, "index -1"),
    (([[0]], [[1.0, 2.0]], (3, 3)), RuntimeError, "incorrect size")])
def test_mistakes_in_what_is_made_by_hand(arguments, error, match):
    with pytest.raises(error, match=match):
        genesis.sparse_coo_tensor(*arguments)


@pytest.mark.parametrize("width", [1, 40])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_sums_of_many_duplicates_are_rounded_once(dtype, width):
    index = np.random.default_rng(0).choice([4, 9, 30], 500)
    weight = genesis.zeros(50, width, dtype=dtype, requires_grad=True)
    F.embedding(genesis.tensor(index), weight, sparse=True).sum().backward()
    found = weight.grad.coalesce()
    assert found.indices().tolist() == [[4, 9, 30]]
    assert found.dtype is dtype
    expected = np.bincount(index)[[4, 9, 30]].astype(dtype.numpy).astype(float)
    assert (values(found.values()) == expected[:, None]).all()


def test_it_does_not_share_memory_with_what_it_was_made_from():
    weight, index, g = genesis.zeros(4, 2, requires_grad=True), genesis.tensor([1, 2]), genesis.ones(2, 2)
    F.embedding(index, weight, sparse=True).backward(g)
    index.zero_()
    weight.grad._values().mul_(3)
    assert g.tolist() == [[1, 1], [1, 1]]
    assert weight.grad.to_dense()[:, 0].tolist() == [0, 3, 3, 0]


# Where they go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owned", [False, True], ids=["alone", "optimizer"])
@pytest.mark.parametrize("order", ["sparse first", "dense first", "together", "between"])
def test_beside_a_dense_gradient_it_is_dense(order, owned):
    layer = embedding()
    weight = layer.weight
    optimizer = SGD([weight], lr=1.0) if owned else None
    sparse, dense = (lambda: layer(genesis.tensor(ROWS)).sum()), (lambda: (weight * 2).sum())
    parts = {"sparse first": (sparse, dense), "dense first": (dense, sparse), "between": (sparse, dense, sparse),
             "together": (lambda: sparse() + dense(),)}[order]
    for part in parts:
        part().backward()
    expected = np.full((7, 3), 2.0) + (1 + (order == "between")) * np.bincount(ROWS, minlength=7)[:, None]
    assert not weight.grad.is_sparse
    close(weight.grad, expected)
    if optimizer is not None:
        before = values(weight)
        optimizer.step()
        close(weight, before - expected)


def test_tables_that_are_no_leaves_and_second_derivatives_have_dense_gradients():
    index = genesis.tensor(ROWS)
    weight = f32(normal(7, 3)).requires_grad_()
    F.embedding(index, weight.tanh(), sparse=True).sum().backward()
    assert not weight.grad.is_sparse
    (g,) = genesis.autograd.grad(F.embedding(index, weight, sparse=True).pow(3).sum(), weight, create_graph=True)
    g.sum().backward(inputs=[weight])
    assert not g.is_sparse


def test_grad_and_backward_to_inputs():
    weight = f32(normal(7, 3)).requires_grad_()
    loss = F.embedding(genesis.tensor(ROWS), weight, sparse=True).sum()
    (g,) = genesis.autograd.grad(loss, weight, retain_graph=True)
    assert g._indices().tolist() == [ROWS]
    assert weight.grad is None
    loss.backward(inputs=[weight])
    assert weight.grad._indices().tolist() == [ROWS]


def test_hooks():
    layer = embedding()
    seen = []
    first = layer.weight.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    after = layer.weight.register_post_accumulate_grad_hook(lambda x: seen.append(x.grad._nnz()))
    y = layer(genesis.tensor([1, 1])).sum() + layer(genesis.tensor([2])).sum()
    y.backward()
    assert seen == [True, 3]
    assert layer.weight.grad.to_dense()[:, 0].tolist() == [0, 4, 2, 0, 0, 0, 0]
    layer.weight.grad = None
    first.remove()
    after.remove()
    layer.weight.register_hook(lambda g: g.to_dense())
    layer(genesis.tensor([1])).sum().backward()
    assert not layer.weight.grad.is_sparse
    layer.weight.register_hook(lambda g: genesis.ones(2))
    with pytest.raises(RuntimeError, match="a hook must return"):
        layer(genesis.tensor([1])).sum().backward()


@needs_float64
def test_gradcheck_refuses():
    weight = genesis.tensor(normal(4, 2), requires_grad=True)
    with pytest.raises(genesis.autograd.GradcheckError, match="sparse=False"):
        genesis.autograd.gradcheck(lambda w: F.embedding(genesis.tensor([1, 1]), w, sparse=True), weight)


def test_frequencies_are_refused_and_anomalies_found():
    weight, index = f32(normal(4, 2)).requires_grad_(), genesis.tensor([1, 1])
    with pytest.raises(RuntimeError, match="scale_grad_by_freq"):
        F.embedding(index, weight, scale_grad_by_freq=True, sparse=True).sum().backward()
    with genesis.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="SparseEmbeddingBackward returned NaN"):
        F.embedding(index, weight, sparse=True).backward(genesis.full((2, 2), float("nan")))


def test_a_checkpointed_layer_has_the_same():
    layer = embedding()
    index = genesis.tensor(ROWS)
    genesis.utils.checkpoint.checkpoint(lambda i: layer(i).square(), index, use_reentrant=False).sum().backward()
    close(layer.weight.grad.to_dense(), values(table().grad.to_dense()))


@pytest.mark.parametrize("owned", [False, True], ids=["alone", "optimizer"])
def test_clipping(owned):
    weight, other = table(), f32([3.0, 4.0]).requires_grad_()
    other.grad = genesis.tensor([3.0, 4.0])
    optimizer = SGD([weight, other], lr=1.0) if owned else None
    whole = weight.grad.to_dense().numpy()
    total = np.sqrt((whole ** 2).sum() + 25)
    close(nn.utils.get_total_norm([weight.grad, other.grad]), total)
    close(nn.utils.clip_grad_norm_([weight, other], 1.0), total)
    close(weight.grad.to_dense(), whole / total)
    close(other.grad, np.array([3, 4]) / total)
    nn.utils.clip_grad_value_([weight, other], 0.05)
    clipped = np.clip(whole / total, -0.05, 0.05)
    close(weight.grad.to_dense(), clipped)
    if optimizer is not None:
        before = values(weight)
        optimizer.step()
        close(weight, before - clipped)


def test_modules_clear_move_and_copy_them():
    layer = embedding()
    layer(genesis.tensor([1])).sum().backward()
    twin = copy.deepcopy(layer.weight.grad)
    assert twin._indices().tolist() == [[1]]
    layer.half()
    assert (layer.weight.grad.dtype, layer.weight.grad.is_sparse) == (genesis.float16, True)
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad._nnz() == 0
    assert twin._nnz() == 1
    layer.zero_grad()
    assert layer.weight.grad is None
    with pytest.raises(RuntimeError, match="shape"):
        layer.weight.grad = genesis.sparse_coo_tensor([[0]], [[1.0]], (7, 1), dtype=genesis.float16)


# Optimizers ---------------------------------------------------------------------------------------------------------

STEPS = 32
CASES = [(SparseAdam, {"lr": 0.05}), (SparseAdam, {"lr": 0.05, "betas": (0.5, 0.8), "eps": 1e-3, "maximize": True}),
         (SGD, {"lr": 0.05, "maximize": True}),
         (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
         (Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "maximize": True})]
each_case = pytest.mark.parametrize(("cls", "options"), CASES, ids=str)


def batches():
    """Indices of each step: duplicates, padding, and rows that first come late."""
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        low, high = (0, 30) if step % 7 == 3 else (0, 6 + step // 2)
        yield rng.integers(low, high, 20), rng.integers(0, 12, (3, 4))


class Run:
    """Two tables and an optimizer of one library."""

    def __init__(self, lib, cls, options):
        self.lib = lib
        self.long = lib.nn.Embedding.from_pretrained(lib.tensor(normal(30, 5).astype(np.float32)), freeze=False,
                                                     padding_idx=2, sparse=True)
        self.bags = lib.nn.EmbeddingBag.from_pretrained(lib.tensor(normal(12, 16, seed=1).astype(np.float32)),
                                                        freeze=False, mode="mean", sparse=True)
        self.tables = [self.long.weight, self.bags.weight]
        self.optimizer = getattr(lib.optim, cls.__name__)(
            [{"params": [self.long.weight]}, {"params": [self.bags.weight], "lr": 0.02}], **options)

    def step(self, index, bags):
        self.optimizer.zero_grad()
        loss = (self.long(self.lib.tensor(index)) - 1).square().mean()
        if index[0] % 3:                       # now and then one table has no gradient
            loss = loss + self.bags(self.lib.tensor(bags)).sin().mean()
        loss.backward()
        self.optimizer.step()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")       # PyTorch's advice
@each_case
def test_training_like_torch(cls, options):
    torch = pytest.importorskip("torch")
    mine, its = (Run(lib, cls, options) for lib in (genesis, torch))
    for i, batch in enumerate(batches()):
        mine.step(*batch)
        its.step(*batch)
        if i == STEPS // 2:         # state dicts both ways: each goes on with the other's
            ours = mine.optimizer.state_dict()
            mine.optimizer.load_state_dict(its.optimizer.state_dict())
            for entry in ours["state"].values():
                for name in entry:
                    entry[name] = torch.tensor(np.asarray(entry[name])) if name != "step" or cls is Adagrad else (
                        entry[name])
            its.optimizer.load_state_dict(ours)
    for a, b in zip(mine.tables, its.tables):
        close(a, b.detach().numpy(), rtol=2e-5, atol=2e-6)
        state = its.optimizer.state[b]
        for name, x in mine.optimizer.state[a].items():
            if name == "step":
                assert x == int(state[name])
            else:
                close(x, state[name].to_dense().numpy(), atol=1e-5)


@pytest.mark.parametrize("limit", [None, 0.5])
@pytest.mark.parametrize("cls", [SparseAdam, SGD, Adagrad])
def test_clipping_as_part_of_the_step(cls, limit):
    layers = [embedding(), embedding()]
    optimizers = [cls([layers[0].weight], lr=0.1, max_grad_norm=limit), cls([layers[1].weight], lr=0.1)]
    for i in range(4):
        for layer, optimizer in zip(layers, optimizers):
            optimizer.zero_grad()
            layer(genesis.tensor([i, 3, 3])).square().sum().backward()
        if limit:
            total = nn.utils.clip_grad_norm_([layers[1].weight], limit)
        for optimizer in optimizers:
            optimizer.step()
        if limit:
            close(optimizers[0].grad_norm, total)
    close(layers[0].weight, values(layers[1].weight))
    if limit:
        before = values(layers[0].weight)
        layers[0].weight.grad = genesis.sparse_coo_tensor([[1]], [[1.0, float("inf"), 1.0]], (7, 3))
        optimizers[0].step()
        assert (values(layers[0].weight) == before).all()


@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("cls", [SparseAdam, SGD])
def test_loss_scaling(cls, unscaled):
    layer, twin = embedding(), embedding()
    optimizer, plain = cls([layer.weight], lr=0.1), cls([twin.weight], lr=0.1)
    scaler = genesis.amp.GradScaler(init_scale=1024.0)
    for i in range(3):
        for each, one in ((layer, optimizer), (twin, plain)):
            one.zero_grad()
            loss = each(genesis.tensor([i, 3, 3])).square().sum()
            (scaler.scale(loss) if one is optimizer else loss).backward()
        if unscaled:
            scaler.unscale_(optimizer)
            close(layer.weight.grad.to_dense(), values(twin.weight.grad.to_dense()))
        scaler.step(optimizer)
        scaler.update()
        plain.step()
    close(layer.weight, values(twin.weight))
    layer.weight.grad = genesis.sparse_coo_tensor([[1]], [[1.0, float("nan"), 1.0]], (7, 3))
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512
    close(layer.weight, values(twin.weight))


@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "RMSprop", "Lion", "Adafactor", "Muon"])
def test_optimizers_that_take_none_say_so(name):
    weight = table()
    before = values(weight)
    with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients, please consider SparseAdam"):
        getattr(genesis.optim, name)([weight]).step()
    assert (values(weight) == before).all()


def test_lbfgs_takes_them_as_dense_ones():
    layers = [embedding(), embedding(sparse=False)]
    for layer in layers:
        optimizer = genesis.optim.LBFGS(layer.parameters(), lr=0.1, max_iter=3)

        def closure(layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            loss = layer(genesis.tensor(ROWS)).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    close(layers[0].weight, values(layers[1].weight))


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda w: SparseAdam([w], lr=0.0), ValueError, "lr must be above 0"),
    (lambda w: SparseAdam([w], eps=0.0), ValueError, "eps must be above 0"),
    (lambda w: SparseAdam([w], betas=(1.0, 0.9)), ValueError, "betas"),
    (lambda w: SparseAdam([genesis.ones(2, dtype=genesis.complex64, requires_grad=True)]), ValueError, "complex"),
    (lambda w: SparseAdam([w.grad]), ValueError, "dense parameter tensors"),
    (lambda w: SGD([w], lr=0.1, weight_decay=0.1).step(), RuntimeError, "weight_decay"),
    (lambda w: Adagrad([w], weight_decay=0.1).step(), RuntimeError, "weight_decay")])
def test_mistakes(make, error, match):
    weight = table()
    before = values(weight)
    with pytest.raises(error, match=match):
        make(weight)
    assert (values(weight) == before).all()


def test_sparse_adam_refuses_dense_gradients_and_goes_on():
    layer = embedding()
    optimizer = SparseAdam(layer.parameters(), lr=0.1)
    layer.weight.grad = genesis.ones(7, 3)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients, please consider Adam"):
        optimizer.step()
    optimizer.zero_grad()
    layer(genesis.tensor([1])).sum().backward()
    before = values(layer.weight)
    optimizer.step()
    assert optimizer.state[layer.weight]["step"] == 1
    assert (values(layer.weight) != before).any(1).tolist() == [i == 1 for i in range(7)]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(9,), (9, 33), (9, 2, 8), (9, 0)], ids=str)
def test_shapes_and_types(shape, dtype):
    weight, twin = (genesis.tensor(normal(*shape), dtype=dtype, requires_grad=True) for _ in range(2))
    optimizers = [Adagrad([weight], lr=0.1), Adagrad([twin], lr=0.1)]
    for index in ([1, 8, 1], [0, 1]):
        rows = genesis.tensor(normal(len(index), *shape[1:]), dtype=dtype)
        weight.grad = genesis.sparse_coo_tensor([index], rows, shape)
        twin.grad = weight.grad.to_dense()
        for optimizer in optimizers:
            optimizer.step()
    close(weight, values(twin), rtol=1e-6)


def test_complex_parameters():
    weight, twin = (genesis.tensor(normal(4, 3) + 1j * normal(4, 3, seed=1), dtype=genesis.complex64,
                                   requires_grad=True) for _ in range(2))
    weight.grad = genesis.sparse_coo_tensor([[2, 0, 2]], normal(3, 3) - 2j, (4, 3), dtype=genesis.complex64)
    twin.grad = weight.grad.to_dense()
    for x in (weight, twin):
        SGD([x], lr=0.1, max_grad_norm=1.0).step()
    assert (weight.detach() - twin.detach()).abs().max() < 1e-6
    assert not weight.grad.coalesce().values().isnan().any()


def test_parameters_that_lie_elsewhere_share_memory_or_are_not_contiguous():
    layer = embedding()
    twin = layer.weight.detach().clone().requires_grad_()
    looked_at = layer.weight.data                       # so it cannot move into the optimizer's memory
    optimizers = [SparseAdam([layer.weight], lr=0.1), SparseAdam([twin], lr=0.1)]

    def step(index):
        for weight, optimizer in zip((layer.weight, twin), optimizers):
            optimizer.zero_grad()
            F.embedding(genesis.tensor(index), weight, sparse=True).square().sum().backward()
            optimizer.step()
        close(layer.weight, values(twin))

    step([1, 1, 2])
    close(looked_at, values(twin))
    layer.weight.data = genesis.tensor(values(twin).T.copy(), dtype=genesis.float32).T
    assert not layer.weight.is_contiguous()
    step([2, 3])
    y = layer(genesis.tensor([0])).square().sum()       # saves what the step changes
    z = (layer.weight * layer.weight).sum()
    step([1, 4])
    with pytest.raises(genesis.GenesisError, match="changed in place"):
        z.backward()
    y.backward()                                        # the rows themselves were copied


def test_two_optimizers_of_one_table():
    layer, twin = embedding(), embedding(sparse=False)
    pairs = [[SGD([x.weight], lr=0.1), Adagrad([x.weight], lr=0.1)] for x in (layer, twin)]
    for i in range(3):
        for x, optimizers in zip((layer, twin), pairs):
            x.zero_grad()
            x(genesis.tensor([i, 4, 4])).square().sum().backward()
            for optimizer in optimizers:
                optimizer.step()
    close(layer.weight, values(twin.weight))


def test_dense_and_sparse_parameters_side_by_side():
    model, twin = (nn.Sequential(embedding(sparse=sparse), nn.Linear(3, 2)) for sparse in (True, False))
    twin.load_state_dict(model.state_dict())
    optimizers = [Adagrad(m.parameters(), lr=0.1, max_grad_norm=1.0) for m in (model, twin)]
    for i in range(5):
        for m, optimizer in zip((model, twin), optimizers):
            optimizer.zero_grad()
            m(genesis.tensor([i, 6, 6])).square().sum().backward()
            optimizer.step()
        close(optimizers[0].grad_norm, values(optimizers[1].grad_norm))
    for a, b in zip(model.parameters(), twin.parameters()):
        close(a, values(b))
    assert optimizers[0].state[model[0].weight]["step"] == 5


def test_a_step_waits_for_nothing_and_needs_no_memory_for_a_dense_gradient(monkeypatch):
    def waiting(*_):
        raise AssertionError("something was read from the device")

    layer = nn.Embedding(10000, 64, sparse=True)
    optimizer = SparseAdam(layer.parameters(), lr=0.1)
    index = genesis.tensor(ROWS)
    for _ in range(2):
        optimizer.zero_grad()
        layer(index).sum().backward()
        with monkeypatch.context() as patch, launches() as names:
            patch.setattr(type(layer.weight.device), "read", waiting)
            optimizer.step()
    assert updates(names) == 1
    assert len(names) < 20
    (runner,) = optimizer._runners
    assert "grad" not in runner.arena.arena.buffers


def test_a_copied_optimizer_goes_on_alone():
    layer = embedding()
    optimizer = SparseAdam(layer.parameters(), lr=0.1)
    layer(genesis.tensor([1])).sum().backward()
    optimizer.step()
    twin, its = copy.deepcopy((layer, optimizer))
    for each, one in ((layer, optimizer), (twin, its)):
        one.zero_grad()
        each(genesis.tensor([1, 2])).sum().backward()
        one.step()
    close(twin.weight, values(layer.weight))
    assert its.state[twin.weight]["step"] == 2
