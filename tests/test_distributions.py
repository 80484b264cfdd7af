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
COVARIANCE = np.float32([[2.0, 0.5], [0.5, 1.0]])
LOGITS = RNG.standard_normal((3, 4)).astype(np.float32)

# Class, arguments, and outcomes at which densities are compared.
CASES = {
    "Normal": ("Normal", {"loc": LOC, "scale": SCALE}, LOC + 1),
    "Normal of numbers": ("Normal", {"loc": 1.0, "scale": 2.0}, LOC),
    "Uniform": ("Uniform", {"low": LOC, "high": LOC + SCALE}, LOC + SCALE * [0.25, 2.0]),
    "Exponential": ("Exponential", {"rate": SCALE}, SCALE * 2),
    "Bernoulli": ("Bernoulli", {"probs": P}, (P > 0.5).astype(np.float32)),
    "Bernoulli of logits": ("Bernoulli", {"logits": LOGITS}, (P > 0.5).astype(np.float32)),
    "Laplace": ("Laplace", {"loc": LOC, "scale": SCALE}, LOC + 1),
    "Cauchy": ("Cauchy", {"loc": LOC, "scale": SCALE}, LOC + 1),
    "Gumbel": ("Gumbel", {"loc": LOC, "scale": SCALE}, LOC + 1),
    "StudentT": ("StudentT", {"df": np.float32([2.5, 5.0]), "loc": LOC, "scale": SCALE}, LOC + 1),
    "HalfNormal": ("HalfNormal", {"scale": SCALE}, SCALE * [0.5, 2]),
    "HalfCauchy": ("HalfCauchy", {"scale": SCALE}, SCALE * [0.5, 2]),
    "LogNormal": ("LogNormal", {"loc": LOC, "scale": SCALE / 2}, SCALE),
    "Weibull": ("Weibull", {"scale": SCALE, "concentration": SCALE[:, :1] + 1}, SCALE * 2),
    "Pareto": ("Pareto", {"scale": SCALE, "alpha": np.float32([1.5, 4.0])}, SCALE * 2),
    "Gamma": ("Gamma", {"concentration": SCALE * 2, "rate": 3.0}, SCALE * 2),
    "Chi2": ("Chi2", {"df": SCALE * 3}, SCALE * 2),
    "Beta": ("Beta", {"concentration1": SCALE + 1, "concentration0": SCALE[::-1].copy() + 0.5}, P[:, :2]),
    "MultivariateNormal": ("MultivariateNormal", {"loc": LOC, "covariance_matrix": COVARIANCE}, LOC + 1),
    "MultivariateNormal by precision": ("MultivariateNormal", {"loc": LOC, "precision_matrix": COVARIANCE}, LOC + 1),
    "MultivariateNormal by factor": ("MultivariateNormal", {"loc": LOC, "scale_tril": np.tril(COVARIANCE)}, LOC + 1),
    "Dirichlet": ("Dirichlet", {"concentration": SCALE + 1}, P[:, :2] / P[:, :2].sum(1, keepdims=True)),
    "Poisson": ("Poisson", {"rate": SCALE * 3}, np.float32([[0, 1], [2, 5], [7, 3]])),
    "Geometric": ("Geometric", {"probs": P}, np.float32([[0, 1, 2, 5]] * 3)),
    "Geometric of logits": ("Geometric", {"logits": LOGITS}, np.float32([[0, 1, 2, 5]] * 3)),
    "Binomial": ("Binomial", {"total_count": 6, "probs": P}, np.float32([[0, 1, 2, 6]] * 3)),
    "NegativeBinomial": ("NegativeBinomial", {"total_count": 6, "logits": LOGITS}, np.float32([[0, 1, 2, 9]] * 3)),
    "Multinomial": ("Multinomial", {"total_count": 5, "probs": P}, np.float32([[1, 0, 2, 2], [5, 0, 0, 0], [1] * 4])),
    "OneHotCategorical": ("OneHotCategorical", {"probs": P}, np.eye(4, dtype=np.float32)[:3]),
    "Straight through": ("OneHotCategoricalStraightThrough", {"logits": LOGITS}, np.eye(4, dtype=np.float32)[:3]),
    "RelaxedBernoulli": ("RelaxedBernoulli", {"temperature": 0.7, "probs": P}, P[::-1].copy()),
    "RelaxedOneHotCategorical": ("RelaxedOneHotCategorical", {"temperature": 0.7, "logits": LOGITS},
                                 P / P.sum(1, keepdims=True)),
    "Categorical": ("Categorical", {"probs": P}, np.array([0, 3, 1])),
    "Categorical of logits": ("Categorical", {"logits": LOGITS}, np.array([[0, 3, 1], [2, 2, 0]])),
}


def made(lib, name, arguments):
    """The distribution in a library, and its parameters that are tensors."""
    tensors = {k: v if isinstance(v, float | int) else lib.tensor(v, requires_grad=True) for k, v in arguments.items()}
    if "temperature" in tensors:                       # PyTorch wants a tensor
        tensors["temperature"] = lib.tensor(tensors["temperature"])
    return (getattr(lib.distributions, name)(**tensors),
            [x for k, x in tensors.items() if not isinstance(x, float | int) and k != "temperature"])


def asked(d, what):
    """A property or the entropy of a distribution."""
    found = getattr(d, what)
    return found() if what == "entropy" else found


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
    for what in ("entropy", "mean", "variance", "stddev", "mode"):
        try:
            expected = asked(its, what)
        except NotImplementedError:
            with pytest.raises(NotImplementedError, match=what if what != "stddev" else "variance"):
                asked(mine, what)
            continue
        np.testing.assert_allclose(asked(mine, what).detach().numpy(), expected.detach().numpy(), rtol=2e-4, atol=1e-6,
                                   err_msg=what)
    if name in CDF:
        p = np.float32([0.2, 0.7])
        close(mine.cdf(genesis.tensor(outcomes)), its.cdf(torch.tensor(outcomes)).detach(), rtol=1e-4)
        close(mine.icdf(genesis.tensor(p)), its.icdf(torch.tensor(p)).detach(), rtol=2e-4)
    if parameters:
        finite = np.isfinite(wanted.detach().numpy())
        entropy = name not in NO_ENTROPY
        (found[genesis.tensor(finite)].sum() + (mine.entropy().sum() if entropy else 0)).backward()
        (wanted[torch.tensor(finite)].sum() + (its.entropy().sum() if entropy else 0)).backward()
        for p, q in zip(parameters, theirs):
            close(p.grad, q.grad, rtol=1e-3, atol=1e-5)


CDF = ("Normal", "Uniform", "Exponential", "Laplace", "Cauchy", "Gumbel", "HalfNormal", "HalfCauchy", "LogNormal",
       "Weibull", "Pareto")
NO_ENTROPY = ("Poisson", "NegativeBinomial", "RelaxedBernoulli", "RelaxedOneHotCategorical")
NO_MOMENTS = ("Cauchy", "HalfCauchy", "Pareto", "StudentT", "RelaxedBernoulli", "RelaxedOneHotCategorical")


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c][0] not in (*NO_MOMENTS, "Categorical")])
def test_samples_have_the_moments(case):
    genesis.manual_seed(3)
    d, _ = made(genesis, *CASES[case][:2])
    x = d.sample((20_000,))
    assert x.shape == (20_000, *d.batch_shape, *d.event_shape)
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


SOME = {
    "Normal": {"loc": 0.3, "scale": 0.8}, "Uniform": {"low": 0.2, "high": 0.7}, "Exponential": {"rate": 1.3},
    "Laplace": {"loc": -0.2, "scale": 0.6}, "Gumbel": {"loc": 0.4, "scale": 1.2}, "Cauchy": {"loc": 1.0, "scale": 0.6},
    "Gamma": {"concentration": 2.5, "rate": 1.7}, "Beta": {"concentration1": 1.5, "concentration0": 2.5},
    "Pareto": {"scale": 0.1, "alpha": 3.2}, "HalfNormal": {"scale": 0.7}, "LogNormal": {"loc": 0.1, "scale": 0.4},
    "Dirichlet": {"concentration": [0.5, 1.5, 2.0]},
    "MultivariateNormal": {"loc": [0.3, 0.1], "covariance_matrix": [[2.0, 0.5], [0.5, 1.0]]},
    "Poisson": {"rate": 2.2}, "Bernoulli": {"probs": 0.3},
    "Geometric": {"probs": 0.3}, "Binomial": {"total_count": 5, "probs": 0.4},
    "OneHotCategorical": {"probs": [0.2, 0.5, 0.3]}}
OTHER = {**SOME, "Normal": {"loc": 0.1, "scale": 1.1}, "Uniform": {"low": -0.5, "high": 1.7},
         "Exponential": {"rate": 0.7}, "Laplace": {"loc": 0.5, "scale": 1.6}, "Gumbel": {"loc": 0.1, "scale": 0.9},
         "Cauchy": {"loc": 0.3, "scale": 1.5}, "Gamma": {"concentration": 1.5, "rate": 0.7},
         "Beta": {"concentration1": 2.5, "concentration0": 0.7}, "Pareto": {"scale": 0.05, "alpha": 1.2},
         "HalfNormal": {"scale": 1.7}, "LogNormal": {"loc": 0.3, "scale": 0.9},
         "Dirichlet": {"concentration": [1.5, 0.5, 3.0]},
         "MultivariateNormal": {"loc": [-0.3, 0.5], "scale_tril": [[1.5, 0.0], [0.5, 0.7]]},
         "Poisson": {"rate": 1.2}, "Geometric": {"probs": 0.6},
         "Binomial": {"total_count": 5, "probs": 0.7}, "OneHotCategorical": {"probs": [0.4, 0.1, 0.5]}}


@pytest.mark.parametrize("first", SOME)
def test_divergences_of_all_classes_are_those_of_torch(first):
    tried = 0
    for second in SOME:
        found = []
        for lib in (genesis, torch):
            p, q = (getattr(lib.distributions, name)(**{
                k: v if k == "total_count" else lib.tensor(v) for k, v in arguments[name].items()})
                for name, arguments in ((first, SOME), (second, OTHER)))
            try:
                found.append(lib.distributions.kl_divergence(p, q))
            except NotImplementedError:
                found.append(None)
        assert (found[0] is None) == (found[1] is None), second
        if found[0] is not None:
            np.testing.assert_allclose(found[0].numpy(), found[1].numpy(), rtol=1e-4, err_msg=second)
            tried += 1
    assert tried


def test_the_implicit_gradient_has_none_of_its_own():
    shape = leaf(np.float32([0.5, 3.0]))
    (slope,) = genesis.autograd.grad(D.Gamma(shape, 1.0).rsample().sum(), shape, create_graph=True)
    with pytest.raises(genesis.SecondDerivativeError, match="LogGamma"):
        slope.sum().backward()


def test_gamma_numbers_move_with_their_shape():
    """Against the derivative of the outcome at a fixed place in the distribution, as PyTorch has it."""
    genesis.manual_seed(2)
    shapes = np.float32([0.05, 0.4, 1.0, 3.0, 20.0, 500.0]).repeat(40).reshape(6, 40)
    a = leaf(shapes)
    x = D.Gamma(a, 1.0).rsample()
    x.sum().backward()
    wanted = torch._standard_gamma_grad(*(torch.tensor(v, dtype=torch.float64) for v in (shapes, x.detach().numpy())))
    np.testing.assert_allclose(a.grad.numpy(), wanted.numpy(), rtol=2e-3, atol=1e-6)
    # The mean of a gamma number is its shape, of a Beta one a / (a + b): so are the means' derivatives.
    shape = leaf(2.5)
    D.Gamma(shape, 2.0).rsample((20_000,)).mean().backward()
    assert abs(shape.grad.item() - 0.5) < 0.01
    one, other = leaf(0.5), leaf(1.5)
    D.Beta(one, other).rsample((20_000,)).mean().backward()
    close(one.grad, 1.5 / 4, rtol=0.05)
    close(other.grad, -0.5 / 4, rtol=0.05)


def test_counts_have_the_probabilities():
    genesis.manual_seed(0)
    for d, most in ((D.Poisson(3.0), 12), (D.Poisson(14.0), 40), (D.Binomial(12, probs=f32(0.3)), 13),
                    (D.Binomial(60, probs=f32(0.6)), 61), (D.Geometric(probs=f32(0.3)), 30),
                    (D.NegativeBinomial(3.5, probs=f32(0.4)), 30)):
        counts = np.bincount(d.sample((20_000,)).numpy().astype(int), minlength=most)[:most] / 20_000
        wanted = d.log_prob(genesis.arange(most).float()).exp().numpy()
        np.testing.assert_allclose(counts, wanted, atol=0.013)
    whole = genesis.tensor([2, 3])
    for call in (lambda: genesis.poisson(whole), lambda: genesis.binomial(whole, f32([0.5, 0.5]))):
        with pytest.raises(RuntimeError, match="floating"):
            call()
    assert genesis.binomial(f32([[0.0], [5.0]]), f32([0.0, 1.0])).tolist() == [[0, 0], [0, 5]]
    assert D.Poisson(f32([0.0, 1e6])).sample().tolist()[0] == 0
    assert D.Binomial(7, probs=f32([0.0, 1.0])).sample((3,)).tolist() == [[0, 7]] * 3


def test_transforms_are_those_of_torch():
    x = np.linspace(0.2, 1.4, 6, dtype=np.float32).reshape(2, 3)
    made = {
        "affine": lambda t: t.AffineTransform(0.5, -2.0), "exp": lambda t: t.ExpTransform(),
        "power": lambda t: t.PowerTransform(1.7), "sigmoid": lambda t: t.SigmoidTransform(),
        "softplus": lambda t: t.SoftplusTransform(), "tanh": lambda t: t.TanhTransform(),
        "stick": lambda t: t.StickBreakingTransform(),
        "rows": lambda t: t.IndependentTransform(t.TanhTransform(), 1),
        "all": lambda t: t.ComposeTransform([t.AffineTransform(0.1, 0.5), t.StickBreakingTransform()]),
        "inverse": lambda t: t.ExpTransform().inv}
    for name, make in made.items():
        mine, its = make(D.transforms), make(torch.distributions.transforms)
        y, z = mine(f32(x)), its(torch.tensor(x))
        close(y, z, rtol=1e-5)
        close(mine.inv(y), x, rtol=1e-3)
        close(mine.log_abs_det_jacobian(f32(x), y), its.log_abs_det_jacobian(torch.tensor(x), z), rtol=1e-4)
        assert mine.sign == its.sign if name not in ("stick", "all") else mine.sign == 0
    close(D.SoftmaxTransform()(f32(x)), torch.softmax(torch.tensor(x), -1))
    assert D.AbsTransform()(f32([-1.0])).item() == 1.0
    with pytest.raises(NotImplementedError, match="jacobian"):
        D.SoftmaxTransform().log_abs_det_jacobian(f32(x), f32(x))


def test_transformed_distributions_are_those_of_torch():
    def squashed(lib):
        d = lib.distributions
        w = lib.tensor(LOC, requires_grad=True)
        return w, d.TransformedDistribution(d.Independent(d.Normal(w, lib.tensor(SCALE)), 1),
                                            [d.TanhTransform(), d.AffineTransform(1.0, 2.0)])

    (w, mine), (v, its) = squashed(genesis), squashed(torch)
    value = np.float32([[0.1, 1.2], [2.5, -0.3], [1.0, 1.9]])
    found, wanted = mine.log_prob(f32(value)), its.log_prob(torch.tensor(value))
    assert mine.event_shape == (2,)
    close(found, wanted.detach(), rtol=1e-4)
    found.sum().backward()
    wanted.sum().backward()
    close(w.grad, v.grad, rtol=1e-4)
    assert mine.rsample((5,)).shape == (5, 3, 2)
    assert mine.rsample().requires_grad
    falling = D.TransformedDistribution(D.Exponential(1.0), D.AffineTransform(0.0, -2.0))
    close(falling.cdf(f32([-2.0])), [math.exp(-1)], rtol=1e-5)
    close(falling.icdf(falling.cdf(f32([-3.0]))), [-3.0], rtol=1e-5)
    flow = [D.ExpTransform()]
    close(D.kl_divergence(D.TransformedDistribution(D.Normal(0.0, 1.0), flow),
                          D.TransformedDistribution(D.Normal(1.0, 1.0), flow)), 0.5)
    simplex = D.TransformedDistribution(D.Normal(f32([0.0, 0.0]), 1.0), D.StickBreakingTransform())
    assert simplex.event_shape == (3,)
    with pytest.raises(ValueError, match="Transform"):
        D.TransformedDistribution(D.Normal(0.0, 1.0), [3])


def test_mixtures_are_those_of_torch():
    def mixed(lib, many):
        d = lib.distributions
        parts = d.Normal(lib.tensor(LOC), lib.tensor(SCALE))
        chosen = d.Categorical(probs=lib.tensor([0.2, 0.3, 0.5] if many else P[:, :2]))
        return d.MixtureSameFamily(chosen, d.Independent(parts, 1) if many else parts)

    for many in (False, True):
        mine, its = mixed(genesis, many), mixed(torch, many)
        assert (mine.batch_shape, mine.event_shape) == (tuple(its.batch_shape), tuple(its.event_shape))
        value = LOC[0] if many else LOC[:, 0]
        close(mine.log_prob(f32(value)), its.log_prob(torch.tensor(value)), rtol=1e-4)
        close(mine.mean, its.mean, rtol=1e-4)
        close(mine.variance, its.variance, rtol=1e-4)
        genesis.manual_seed(0)
        x = mine.sample((20_000,))
        assert x.shape == (20_000, *mine.batch_shape, *mine.event_shape)
        np.testing.assert_allclose(x.numpy().mean(0), its.mean.numpy(), atol=0.06)
    close(mixed(genesis, False).cdf(f32(LOC[:, 0])), mixed(torch, False).cdf(torch.tensor(LOC[:, 0])), rtol=1e-4)
    with pytest.raises(ValueError, match="components"):
        D.MixtureSameFamily(D.Categorical(probs=f32([0.5, 0.5])), D.Normal(f32([0.0] * 3), 1.0))


def test_relaxed_and_straight_through_outcomes_carry_gradients():
    genesis.manual_seed(0)
    for make in (lambda w: D.RelaxedBernoulli(0.5, logits=w), lambda w: D.RelaxedOneHotCategorical(0.5, logits=w),
                 lambda w: D.OneHotCategoricalStraightThrough(logits=w)):
        w = leaf(LOGITS)
        x = make(w).rsample((2,))
        assert x.shape == (2, 3, 4)
        assert bool(((x >= 0) & (x <= 1)).all())
        (x * x * f32(P)).sum().backward()
        assert w.grad.abs().max().item() > 0.001
    with pytest.raises(NotImplementedError, match="rsample"):
        D.OneHotCategorical(logits=f32(LOGITS)).rsample()


def test_normal_vectors_have_their_covariances():
    genesis.manual_seed(0)
    d = D.MultivariateNormal(f32(LOC[0]), covariance_matrix=f32(COVARIANCE))
    np.testing.assert_allclose(np.cov(d.sample((20_000,)).numpy().T), COVARIANCE, atol=0.08)
    close(d.precision_matrix, np.linalg.inv(COVARIANCE), rtol=1e-4)
    close(d.covariance_matrix, COVARIANCE, rtol=1e-5)
    tril = leaf(np.tril(COVARIANCE))
    D.MultivariateNormal(f32(LOC[0]), scale_tril=tril).rsample((3,)).sum().backward()
    assert tril.grad.abs().sum().item() > 0
    for make in (lambda: D.MultivariateNormal(f32(LOC)), lambda: D.MultivariateNormal(f32([0.0]), f32([1.0])),
                 lambda: D.MultivariateNormal(f32([0.0] * 3), f32(COVARIANCE)),
                 lambda: D.MultivariateNormal(f32(LOC[0]), scale_tril=f32(-COVARIANCE), validate_args=True)):
        with pytest.raises(ValueError, match=r"MultivariateNormal|scale_tril"):
            make()
    with pytest.raises(genesis.linalg.LinAlgError, match="positive definite"):
        D.MultivariateNormal(f32(LOC[0]), f32(-COVARIANCE))


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
        D.kl_divergence(D.Normal(0.0, 1.0), D.StudentT(3.0))


def test_a_transform_that_remembers_inverts_what_it_made():
    far = genesis.tensor([0.5, 20.0])
    for transform in (D.TanhTransform(cache_size=1), D.ComposeTransform([D.TanhTransform(cache_size=1)]),
                      D.IndependentTransform(D.TanhTransform(), 1, cache_size=1)):
        y = transform(far)
        assert transform.inv(y).tolist() == far.tolist()
        assert transform(transform.inv(y)) is y
        assert abs(transform.inv(y.clone())[1].item() - 20) > 1       # of a number that was rounded, to 1 or near it
    assert abs(D.TanhTransform().inv(D.TanhTransform()(far))[1].item() - 20) > 1
    squashed = D.TransformedDistribution(D.Normal(0.0, 20.0), [D.TanhTransform(cache_size=1), D.AffineTransform(
        0.0, 2.0, cache_size=1)])
    assert squashed.log_prob(squashed.sample((50,))).isfinite().all()
    with pytest.raises(ValueError, match="cache_size"):
        D.ExpTransform(cache_size=2)


@pytest.mark.parametrize("name", CASES)
def test_supports_constraints_and_larger_batches_are_those_of_torch(name):
    cls, arguments, value = CASES[name]
    mine, its = made(genesis, cls, arguments)[0], made(torch, cls, arguments)[0]
    found, wanted = ({k: repr(v).split("(tensor")[0].split("=tensor")[0] for k, v in x.arg_constraints.items()}
                     for x in (mine, its))
    assert found == wanted
    value = np.asarray(value)
    value = value.astype(np.float32) if value.dtype == np.float64 else value
    x, y = genesis.tensor(value), torch.tensor(value)
    np.testing.assert_array_equal(mine.support.check(x).numpy(), its.support.check(y).numpy())
    assert mine.support.event_dim == its.support.event_dim
    assert mine.support.is_discrete == its.support.is_discrete
    shape = (2, *mine.batch_shape)
    wide = mine.expand(shape)
    assert tuple(wide.batch_shape) == shape
    assert wide.event_shape == mine.event_shape
    assert wide.sample().shape == (*shape, *mine.event_shape) == wide.sample_n(3).shape[1:]
    density = wide.log_prob(x).detach()
    close(density, np.broadcast_to(mine.log_prob(x).detach().numpy(), density.shape))


def test_batches_of_made_distributions_grow():
    normal = D.Normal(f32(LOC), f32(SCALE))
    for x, event in ((D.Independent(normal, 1), (2,)), (D.TransformedDistribution(normal, D.ExpTransform()), ()),
                     (D.MixtureSameFamily(D.Categorical(f32(np.ones((3, 2)))), normal), ())):
        wide = x.expand((4, *x.batch_shape))
        assert wide.sample().shape == (4, *x.batch_shape, *event)
        assert wide.batch_shape == (4, *x.batch_shape)
    assert D.Independent(normal, 1).support.check(f32(LOC)).shape == (3,)


def test_outcomes_outside_of_the_support_are_refused_where_wanted():
    for x, value in ((D.Exponential(1.0, validate_args=True), -1.0), (D.Bernoulli(0.5, validate_args=True), 0.5),
                     (D.Poisson(1.0, validate_args=True), 1.5), (D.Uniform(0.0, 1.0, validate_args=True), 2.0),
                     (D.Categorical(f32([0.5, 0.5]), validate_args=True), 2.0),
                     (D.Binomial(3, 0.5, validate_args=True), 4.0), (D.Pareto(1.0, 1.0, validate_args=True), 0.5),
                     (D.HalfNormal(1.0, validate_args=True), -1.0), (D.Normal(0.0, 1.0, validate_args=True), math.nan)):
        with pytest.raises(ValueError, match="support"):
            x.log_prob(f32(value))
        x.log_prob(x.sample())
    with pytest.raises(ValueError, match="broadcast"):
        D.Normal(f32(LOC), 1.0, validate_args=True).log_prob(f32(np.ones(5)))
    with pytest.raises(ValueError, match="end in"):
        D.Dirichlet(f32([1.0, 1.0]), validate_args=True).log_prob(f32(np.ones(3) / 3))
    with pytest.raises(ValueError, match="depends"):
        D.constraints.dependent.check(f32(1.0))
    assert D.constraints.is_dependent(D.Distribution().support)
    D.Distribution.set_default_validate_args(True)
    try:
        for make, name in ((lambda: D.Normal(math.nan, 1.0), "loc"), (lambda: D.Chi2(-1.0), "df"),
                           (lambda: D.Beta(1.0, 0.0), "concentration0"), (lambda: D.Uniform(1.0, 1.0), "low"),
                           (lambda: D.Binomial(1.5, 0.5), "total_count")):
            with pytest.raises(ValueError, match=name):
                make()
    finally:
        D.Distribution.set_default_validate_args(False)
    assert D.Normal(0.0, -1.0).scale.item() == -1


CONSTRAINED = {"greater_than": (1.0,), "less_than": (1.0,), "greater_than_eq": (1.0,), "interval": (0.0, 3.0),
               "half_open_interval": (0.0, 3.0), "positive": None, "unit_interval": None, "simplex": None, "real": None,
               "real_vector": None}


@pytest.mark.parametrize("name", CONSTRAINED)
def test_transforms_to_constraints_are_those_of_torch(name):
    arguments = CONSTRAINED[name]
    for way in ("biject_to", "transform_to"):
        values = []
        for lib, x in ((D, f32(LOC)), (torch.distributions, torch.tensor(LOC))):
            constraint = getattr(lib.constraints, name)
            constraint = constraint if arguments is None else constraint(*arguments)
            y = getattr(lib, way)(constraint)(x)
            assert constraint.check(y).all()
            values.append(y.numpy())
        close(values[0], values[1])


def test_constraints_of_matrices_are_those_of_torch():
    square = np.stack([COVARIANCE, -COVARIANCE, np.tril(COVARIANCE), np.triu(COVARIANCE)]).astype(np.float32)
    rows = np.float32([[1, 0, 0], [1, 1, 0], [0.5, 0.5, 0], [2, 1, 0]])
    for name, x in (("positive_definite", square[:2]), ("symmetric", square), ("square", square), ("square", rows),
                    ("lower_triangular", square), ("lower_cholesky", square), ("one_hot", rows), ("simplex", rows),
                    ("boolean", rows), ("positive_integer", rows), ("nonnegative_integer", rows)):
        found = getattr(D.constraints, name).check(genesis.tensor(x))
        assert found.tolist() == getattr(torch.distributions.constraints, name).check(torch.tensor(x)).tolist(), name
    registry = D.ConstraintRegistry()
    with pytest.raises(NotImplementedError, match="register"):
        registry(D.constraints.real)
    registry.register(D.constraints.real)(lambda constraint: D.identity_transform)
    assert registry(D.constraints.real) is D.identity_transform
    with pytest.raises(TypeError, match="constraint"):
        registry.register(3, lambda constraint: D.identity_transform)


def test_distributions_of_users_are_made_with_the_same_tools():
    torch = pytest.importorskip("torch")

    def run(library):
        utils = library.distributions.utils

        class Coin(library.distributions.Distribution):
            def __init__(self, probs):
                (self.given,) = utils.broadcast_all(probs)
                self.computed = 0
                super().__init__(self.given.shape, validate_args=False)

            @utils.lazy_property
            def logits(self):
                self.computed += 1
                return utils.probs_to_logits(self.given, is_binary=True)

        chances = library.tensor([0.0, 0.25, 0.75, 1.0])
        coin = Coin(chances)
        twice = [coin.logits, coin.logits]
        assert coin.computed == 1
        a, b = utils.broadcast_all(2.5, library.ones(2, 1))
        return [t.numpy() for t in (*twice, a, b, utils.logits_to_probs(coin.logits, is_binary=True),
                                    utils.logits_to_probs(chances), utils.probs_to_logits(chances))]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="not str"):
        genesis.distributions.utils.broadcast_all("a")


def test_distributions_show_their_parameters():
    assert repr(D.Normal(0.5, genesis.tensor(1.5))) == "Normal(loc: 0.5, scale: 1.5)"
    wide = D.Normal(genesis.zeros(3), 1.0)
    assert repr(wide) == "Normal(loc: genesis.Size([3]), scale: genesis.Size([3]))"
    assert repr(D.Independent(wide, 1)) == f"Independent({wide}, 1)"
    assert repr(D.TransformedDistribution(wide, [])) == "TransformedDistribution(batch_shape=(3,), event_shape=())"
