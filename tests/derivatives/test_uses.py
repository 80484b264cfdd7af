"""What second derivatives are for: products with Hessians, gradient penalties, learning to learn, physics."""

import math

import numpy as np
import pytest
from helpers import normal

import genesis
from genesis import autograd, nn

torch = pytest.importorskip("torch")

SHAPES = [(8, 3), (8,), (8, 8), (8,), (1, 8), (1,)]


def weights(library, seed=0):
    return [library.tensor(normal(*shape, seed=seed + i) / math.sqrt(shape[-1]), dtype=library.float32)
            .requires_grad_() for i, shape in enumerate(SHAPES)]


def mlp(library, x, w, activation="tanh"):
    linear = library.nn.functional.linear
    f = getattr(library.nn.functional, activation, None) or getattr(library, activation)
    return linear(f(linear(f(linear(x, w[0], w[1])), w[2], w[3])), w[4], w[5])


@pytest.mark.parametrize("activation", ["tanh", "gelu", "silu", "softplus"])
def test_the_product_of_a_networks_hessian_with_a_vector(activation):
    results = []
    for library in (genesis, torch):
        w = weights(library)
        x = library.tensor(normal(5, 3, seed=9), dtype=library.float32)
        loss = (mlp(library, x, w, activation) ** 2).mean()
        grads = library.autograd.grad(loss, w, create_graph=True)
        dot = sum((g * library.tensor(normal(*g.shape, seed=20 + i), dtype=library.float32)).sum()
                  for i, g in enumerate(grads))
        results.append([h.detach().numpy() for h in library.autograd.grad(dot, w)])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)


def test_a_gradient_penalty_trains_as_in_pytorch():
    losses = []
    for library in (genesis, torch):
        w = weights(library)
        optimizer = library.optim.Adam(w, lr=1e-2)
        seen = []
        for step in range(5):
            real, fake = (library.tensor(normal(6, 3, seed=2 * step + i), dtype=library.float32) for i in (0, 1))
            between = (0.3 * real + 0.7 * fake).requires_grad_()
            scores = mlp(library, between, w, "leaky_relu")
            (g,) = library.autograd.grad(scores, between, library.ones_like(scores), create_graph=True)
            penalty = ((g.norm(2, dim=1) - 1) ** 2).mean()
            apart = mlp(library, fake, w, "leaky_relu").mean() - mlp(library, real, w, "leaky_relu").mean()
            loss = apart + 10 * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        losses.append(seen)
    np.testing.assert_allclose(*losses, rtol=2e-3)


@pytest.mark.lengthy
def test_a_network_learns_a_differential_equation():
    """u'' = -u with u(0) = 0 and u'(0) = 1: the sine."""
    genesis.manual_seed(1)
    net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = genesis.optim.Adam(net.parameters(), lr=5e-3)
    t = genesis.linspace(0, 2, 32).reshape(32, 1).requires_grad_()
    first = None
    for _ in range(300):
        u = net(t)
        (du,) = autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = autograd.grad(du.sum(), t, create_graph=True)
        loss = ((ddu + u) ** 2).mean() + u[0, 0] ** 2 + (du[0, 0] - 1) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = first or loss.item()
    assert loss.item() < first / 100
    error = net(t).detach().numpy() - np.sin(t.detach().numpy())
    assert np.abs(error).max() < 0.15


def test_a_step_of_learning_to_learn():
    """MAML (Finn et al. 2017): the gradient with respect to the start goes through a step from it."""
    results = []
    for library in (genesis, torch):
        w = weights(library)
        x, y = (library.tensor(normal(6, n, seed=n), dtype=library.float32) for n in (3, 1))
        loss = ((mlp(library, x, w) - y) ** 2).mean()
        moved = [p - 0.1 * g for p, g in zip(w, library.autograd.grad(loss, w, create_graph=True))]
        ((mlp(library, x * 2, moved) - y) ** 2).mean().backward()
        results.append([p.grad.detach().numpy() for p in w])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)
