"""Probability distributions against PyTorch's, and their samples against their own moments."""

import math

import numpy as np
import pytest
from helpers import close, f32, leaf

import genesis
from genesis import distributions as D

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
LOC, SCALE = RNG.standard_normal((3, 2)).astype(np.float32), RNG.uniform(0.5, 2, (3, 2)).astype(np.float32)
P = RNG.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
LOGITS = RNG.standard_normal((3, 4)).astype(np.float32)

# Class, arguments, and outcomes at which densities are compared.
CASES = {
    "Normal": ("Normal", {"loc": LOC, "scale": SCALE}, LOC + 1),
    "Normal of numbers": ("Normal", {"loc": 1.0, "scale": 2.0}, LOC),
    "Uniform": ("Uniform", {"low": LOC, "high": LOC + SCALE}, LOC + SCALE * [0.25, 2.0]),
    "Exponential": ("Exponential", {"rate": SCALE}, SCALE * 2),
    "Bernoulli": ("Bernoulli", {"probs": P}, (P > 0.5).astype(np.float32)),
    "Bernoulli of logits": ("Bernoulli", {"logits": LOGITS}, (P > 0.5).astype(np.float32)),
    "Categorical": ("Categorical", {"probs": P}, np.array([0, 3, 1])),
    "Categorical of logits": ("Categorical", {"logits": LOGITS}, np.array([[0, 3, 1], [2, 2, 0]])),
}


def made(lib, name, arguments):
    """The distribution in a library, and its parameters that are tensors."""
    tensors = {k: v if isinstance(v, float) else lib.tensor(v, requires_grad=True) for k, v in arguments.items()}
    return (getattr(lib.distributions, name)(**tensors),
            [x for x in tensors.values() if not isinstance(x, float)])


@pytest.mark.parametrize("case", CASES)
def test_densities_entropies_and_moments_are_those_of_torch(case):
    name, arguments, outcomes = CASES[case]
    (mine, parameters), (its, theirs) = (made(lib, name, arguments) for lib in (genesis, torch))
    its.__dict__["_validate_args"] = False                       # outcomes outside the support too
    assert mine.batch_shape == tuple(its.batch_shape)
    assert mine.event_shape == tuple(its.event_shape)
    assert mine.has_rsample == its.has_rsample
    outcomes = np.asarray(outcomes, None if outcomes.dtype.kind == "i" else np.float32)
    found, wanted = (d.log_prob(lib.tensor(outcomes)) for d, lib in ((mine, genesis), (its, torch)))
    close(found, wanted.detach(), rtol=1e-4)
    close(mine.entropy(), its.entropy().detach(), rtol=1e-4)
    for what in ("mean", "variance", "stddev"):
        np.testing.assert_allclose(getattr(mine, what).detach().numpy(), getattr(its, what).detach().numpy(), rtol=1e-4)
    if name in ("Normal", "Uniform", "Exponential"):
        close(mine.cdf(genesis.tensor(outcomes)), its.cdf(torch.tensor(outcomes)).detach(), rtol=1e-4)
    if parameters:
        finite = np.isfinite(wanted.detach().numpy())
        (found[genesis.tensor(finite)].sum() + mine.entropy().sum()).backward()
        (wanted[torch.tensor(finite)].sum() + its.entropy().sum()).backward()
        for p, q in zip(parameters, theirs):
            close(p.grad, q.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if "Categorical" not in c])
def test_samples_have_the_moments(case):
    genesis.manual_seed(3)
    d, _ = made(genesis, *CASES[case][:2])
    x = d.sample((20_000,))
    assert x.shape == (20_000, *d.batch_shape)
    assert not x.requires_grad
    deviation = d.stddev.detach().numpy()
    np.testing.assert_allclose(x.numpy().mean(0), d.mean.detach().numpy(), atol=5 * deviation.max() / math.sqrt(20_000))
    np.testing.assert_allclose(x.numpy().std(0), deviation, rtol=0.05)


def test_classes_come_with_their_probabilities():
    genesis.manual_seed(5)
    p = f32([[0.5, 0.0, 0.5], [0.1, 0.2, 0.7]])
    drawn = D.Categorical(probs=3 * p).sample((20_000,))
    assert drawn.dtype is genesis.int64
    assert drawn.shape == (20_000, 2)
    for i in range(2):
        shares = np.bincount(drawn.numpy()[:, i], minlength=3) / 20_000
        np.testing.assert_allclose(shares, p.numpy()[i], atol=0.02)
    assert (drawn.numpy()[:, 0] != 1).all()
    assert D.Categorical(logits=p).mode.tolist() == [0, 2]


def test_samples_carry_gradients_to_the_parameters():
    genesis.manual_seed(1)
    loc, scale = leaf([1.0, 2.0]), leaf([0.5, 3.0])
    x = D.Normal(loc, scale).rsample((7,))
    x.sum().backward()
    close(loc.grad, [7, 7])
    close(scale.grad, ((x.detach() - loc.detach()) / scale.detach()).sum(0).numpy(), rtol=1e-4)
    with pytest.raises(NotImplementedError, match="rsample"):
        D.Bernoulli(probs=0.5).rsample()


PAIRS = {
    "Normal": ({"loc": LOC, "scale": SCALE}, {"loc": 0.5, "scale": 2.0}),
    "Uniform": ({"low": LOC, "high": LOC + SCALE}, {"low": LOC - [0.5, -0.1], "high": LOC + SCALE + 1}),
    "Exponential": ({"rate": SCALE}, {"rate": SCALE * 2}),
    "Bernoulli": ({"probs": np.array([0, 0.3, 1, 0.5, 1])}, {"probs": np.array([0.5, 0.4, 0.2, 0.0, 1])}),
    "Categorical": ({"probs": np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5]])},
                    {"probs": np.array([[0.1, 0.9, 0], [0.5, 0.5, 0]])}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_are_those_of_torch(name):
    found, wanted = (lib.distributions.kl_divergence(*(
        getattr(lib.distributions, name)(**{k: v if isinstance(v, float) else lib.tensor(np.asarray(v, np.float32))
                                            for k, v in arguments.items()}) for arguments in PAIRS[name]))
        for lib in (genesis, torch))
    close(found, wanted, rtol=1e-4)


def test_independent_sums_over_the_outcome():
    mine, its = (lib.distributions.Independent(lib.distributions.Normal(lib.tensor(LOC), lib.tensor(SCALE)), 1)
                 for lib in (genesis, torch))
    assert mine.batch_shape == (3,)
    assert mine.event_shape == (2,)
    close(mine.log_prob(f32(LOC + 1)), its.log_prob(torch.tensor(LOC + 1)), rtol=1e-4)
    close(mine.entropy(), its.entropy(), rtol=1e-4)
    assert mine.sample((5,)).shape == (5, 3, 2)
    other = D.Independent(D.Normal(0.0, f32(np.ones((3, 2)))), 1)
    close(D.kl_divergence(mine, other), D.kl_divergence(mine.base_dist, other.base_dist).sum(-1).numpy())
    with pytest.raises(ValueError, match="reinterpreted_batch_ndims"):
        D.Independent(D.Normal(0.0, 1.0), 1)


def test_a_policy_learns_by_its_rewards():
    """REINFORCE on a bandit whose last arm pays: the probability of that arm rises to nearly 1."""
    genesis.manual_seed(0)
    logits = leaf(np.zeros(4))
    optimizer = genesis.optim.Adam([logits], lr=0.1)
    for _ in range(60):
        policy = D.Categorical(logits=logits)
        arms = policy.sample((64,))
        reward = (arms == 3).float()
        optimizer.zero_grad()
        (-policy.log_prob(arms) * (reward - reward.mean())).mean().backward()
        optimizer.step()
    assert D.Categorical(logits=logits).probs[3].item() > 0.9


def test_what_makes_no_sense_is_refused():
    for make in (lambda: D.Bernoulli(), lambda: D.Categorical(probs=f32([1.0]), logits=f32([1.0])),
                 lambda: D.Categorical(probs=0.5), lambda: D.Normal(0.0, -1.0, validate_args=True),
                 lambda: D.Uniform(1.0, 1.0, validate_args=True), lambda: D.Exponential(0.0, validate_args=True),
                 lambda: D.Bernoulli(probs=1.5, validate_args=True),
                 lambda: D.Categorical(probs=f32([0.0, 0.0]), validate_args=True)):
        with pytest.raises(ValueError, match=r"probs|dimension|scale|low|rate"):
            make()
    with pytest.raises(NotImplementedError, match="register_kl"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Uniform(0.0, 1.0))
