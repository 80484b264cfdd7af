"""Parametrized tensors, and spectral normalization in both forms, against PyTorch's."""

import copy

import numpy as np
import pytest
from helpers import close, leaf, normal

import genesis
from genesis import nn
from genesis.nn.utils import parametrizations, parametrize

torch = pytest.importorskip("torch", reason="parametrizations are compared with PyTorch's")


def pair(make):
    """A layer and PyTorch's, with the same state."""
    genesis.manual_seed(0)
    mine, its = make(genesis.nn), make(torch.nn)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    return mine, its


def follow(mine, its, *shape, steps=3):
    """Train both for some steps, then compare states and results in evaluation."""
    assert list(mine.state_dict()) == list(its.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in its.named_parameters()]
    optimizers = genesis.optim.SGD(mine.parameters(), lr=0.02), torch.optim.SGD(its.parameters(), lr=0.02)
    for step in range(steps):
        x = normal(*shape, seed=step).astype(np.float32)
        losses = (mine(genesis.tensor(x)) ** 2).mean(), (its(torch.tensor(x)) ** 2).mean()
        close(losses[0], losses[1].item(), rtol=1e-4)
        for optimizer, loss in zip(optimizers, losses):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for (name, value), wanted in zip(mine.state_dict().items(), its.state_dict().values(), strict=True):
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
    x = normal(*shape, seed=9).astype(np.float32)
    for _ in range(2):                     # evaluation changes nothing
        close(mine.eval()(genesis.tensor(x)), its.eval()(torch.tensor(x)).detach().numpy(), 1e-3, 1e-4)


@pytest.mark.parametrize("form", ["utils", "parametrizations"])
@pytest.mark.parametrize(("layer", "shape", "options"), [
    (lambda n: n.Linear(6, 4), (5, 6), {}), (lambda n: n.Conv2d(3, 4, 3, bias=False), (2, 3, 5, 5), {"dim": 1}),
    (lambda n: n.ConvTranspose2d(3, 4, 2), (2, 3, 3, 3), {"n_power_iterations": 3})])
@pytest.mark.filterwarnings("ignore:.*spectral_norm:FutureWarning")
def test_spectral_norm(form, layer, shape, options):
    def make(n):
        return (n.utils if form == "utils" else n.utils.parametrizations).spectral_norm(layer(n), **options)

    follow(*pair(make), *shape)


@pytest.mark.parametrize("form", [nn.utils, parametrizations])
def test_spectral_norm_finds_the_largest_singular_value(form):
    layer = form.spectral_norm(nn.Linear(7, 5), n_power_iterations=4)
    for _ in range(30):
        layer(genesis.ones(1, 7))
    layer.eval()(genesis.ones(1, 7))
    weight = layer.weight.detach().numpy()
    assert abs(np.linalg.norm(weight.astype(np.float64), 2) - 1) < 1e-4
    # Two forwards before a backward, as a discriminator has them.
    layer.train()
    (layer(genesis.ones(1, 7)) - layer(genesis.zeros(1, 7))).sum().backward()
    (nn.utils.remove_spectral_norm if form is nn.utils else lambda x: parametrize.remove_parametrizations(
        x.eval(), "weight"))(layer)
    close(layer.weight, weight, 1e-3, 1e-4)
    assert isinstance(layer.weight, nn.Parameter)
    assert sorted(layer.state_dict()) == ["bias", "weight"]


def test_spectral_norm_of_a_vector_is_its_length():
    layer = parametrizations.spectral_norm(nn.Linear(2, 5), "bias")
    assert abs(layer.bias.norm().item() - 1) < 1e-6


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim):
    mine, its = pair(lambda n: n.utils.parametrizations.weight_norm(n.Linear(6, 4), dim=dim))
    follow(mine, its, 5, 6)
    older = nn.utils.weight_norm(nn.Linear(6, 4), dim=dim)
    mine.load_state_dict(older.state_dict())
    older(genesis.ones(6))
    close(mine.weight, older.weight.detach().numpy())
    with pytest.raises(ValueError, match="several tensors"):
        parametrize.remove_parametrizations(mine, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(mine, "weight")
    assert type(mine) is nn.Linear
    close(mine.weight, older.weight.detach().numpy())


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T

    def right_inverse(self, x):
        return x.triu()


class Scaled(nn.Module):
    calls = 0

    def __init__(self, by=2.0):
        super().__init__()
        self.by = by

    def forward(self, x):
        Scaled.calls += 1
        return x * self.by


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize(("kind", "sizes"), [
    (None, (4, 4)), (None, (3, 5)), ("matrix_exp", (5, 3)), ("cayley", (4, 4)), ("cayley", (3, 5)),
    ("householder", (4, 4)), ("householder", (5, 3))])
def test_orthogonal(kind, sizes, trivial):
    mine, its = pair(lambda lib: lib.Linear(*sizes))
    for module, lib in ((mine, parametrizations), (its, torch.nn.utils.parametrizations)):
        lib.orthogonal(module, orthogonal_map=kind, use_trivialization=trivial)
    close(mine.weight, its.weight.detach().numpy(), atol=1e-5)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    follow(mine, its, 4, sizes[0])
    Q = mine.weight.detach().numpy()
    Q = Q if Q.shape[0] <= Q.shape[1] else Q.T
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-5)


def test_an_orthogonal_matrix_can_be_assigned():
    Q = np.linalg.qr(normal(5, 5))[0].astype(np.float32)
    for shape, given in (((5, 5), {}), ((3, 5), {}), ((5, 3), {"use_trivialization": False}), ((3, 5), {
            "orthogonal_map": "cayley"})):
        layer = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]), **given)
        layer.weight = genesis.tensor(Q[:shape[0], :shape[1]])
        close(layer.weight, Q[:shape[0], :shape[1]], atol=1e-5)
    layer = nn.Linear(3, 3)
    for error, call in ((ValueError, lambda: parametrizations.orthogonal(layer, "kernel")),
                        (ValueError, lambda: parametrizations.orthogonal(layer, "bias")),
                        (ValueError, lambda: parametrizations.orthogonal(layer, orthogonal_map="qr"))):
        with pytest.raises(error):
            call()
    parametrizations.orthogonal(layer, use_trivialization=False)
    with pytest.raises(NotImplementedError, match="use_trivialization"):
        layer.weight = genesis.eye(3)


def test_parametrizations_apply_one_after_the_other():
    layer = nn.Linear(3, 3)
    start = layer.weight
    before = start.detach().numpy()
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    parametrize.register_parametrization(layer, "weight", Scaled())
    assert isinstance(layer, nn.Linear)
    assert type(layer).__name__ == "ParametrizedLinear"
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert layer.parametrizations.weight.original is start
    assert layer.parametrizations.weight[1].by == 2
    upper = np.triu(before)
    close(layer.weight, 2 * (upper + np.triu(before, 1).T))
    layer(genesis.ones(1, 3)).sum().backward()
    close(start.grad, np.triu(np.full((3, 3), 4.0)) - 2 * np.eye(3))
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert parametrize.is_parametrized(layer)
    assert not parametrize.is_parametrized(layer, "bias")
    with pytest.raises(RuntimeError, match=r"Scaled does not define right_inverse"):
        layer.weight = genesis.eye(3)
    other = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight is start
    close(layer.weight, upper)
    assert type(layer) is nn.Linear
    close(other.weight, 2 * (upper + np.triu(before, 1).T))


def test_parametrized_tensors_can_be_assigned_and_buffers_be_parametrized():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    original = layer.parametrizations.weight.original
    layer.weight = genesis.ones(3, 3) * 4
    assert layer.parametrizations.weight.original is original
    close(layer.weight, np.full((3, 3), 4.0))
    norm = parametrize.register_parametrization(nn.BatchNorm1d(2), "running_var", Scaled(3.0))
    close(norm.running_var, [3, 3])
    assert "parametrizations.running_var.original" in dict(norm.named_buffers())
    parametrize.remove_parametrizations(norm, "running_var")
    close(norm.running_var, [3, 3])
    assert type(norm) is nn.BatchNorm1d


def test_cached_values_are_computed_once():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Scaled())
    Scaled.calls = 0
    with parametrize.cached():
        with parametrize.cached():
            first = layer.weight
        assert layer.weight is first
        layer(genesis.ones(3))
    assert Scaled.calls == 1
    assert layer.weight is not first


def test_recurrent_layers_may_be_parametrized():
    layer = parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    x = leaf(normal(2, 1, 3))
    layer(x)[0].sum().backward()
    assert layer.parametrizations.weight_hh_l0.original0.grad.shape == (16, 1)


def test_refusals():
    layer = nn.Linear(3, 2)
    twice = nn.utils.spectral_norm(nn.Linear(3, 3))

    class Wrong(nn.Module):
        def forward(self, x):
            return x[:1]

    class Text(nn.Module):
        def forward(self, x):
            return "x"

    for call, error, message in [
            (lambda: parametrize.register_parametrization(layer, "wight", Scaled()), ValueError, "'wight'"),
            (lambda: parametrize.register_parametrization(layer, "weight", Wrong()), ValueError, "shape"),
            (lambda: parametrize.register_parametrization(layer, "weight", Text()), ValueError, "a tensor, not str"),
            (lambda: parametrize.remove_parametrizations(layer, "weight"), ValueError, "not parametrized"),
            (lambda: parametrize.ParametrizationList([], layer.weight), ValueError, "at least one"),
            (lambda: parametrizations.spectral_norm(layer, "wight"), ValueError, "'wight'"),
            (lambda: parametrizations.spectral_norm(layer, dim=2), IndexError, "from -2 to 1"),
            (lambda: nn.utils.spectral_norm(layer, "wight"), ValueError, "'wight'"),
            (lambda: nn.utils.spectral_norm(layer, n_power_iterations=0), ValueError, "positive"),
            (lambda: nn.utils.spectral_norm(twice), RuntimeError, "already"),
            (lambda: nn.utils.remove_spectral_norm(layer), ValueError, "not normalized")]:
        with pytest.raises(error, match=message):
            call()
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert type(layer) is nn.Linear
