"""Functions on lists of tensors against PyTorch's."""

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis import foreach

torch = pytest.importorskip("torch", reason="functions on lists are compared with PyTorch's")

A, B, C = ([np.abs(normal(*shape, seed=seed)) + 0.1 for shape in ((3,), (2, 2))] for seed in range(3))
SCALAR_FORMS = [((0.5,), {}), (([0.5, 2.0],), {}), ((B,), {})]
THREE = [((B, C), {}), ((B, C, 0.5), {}), ((B, C), {"value": -2}), ((B, C, [1, 2]), {}), ((B, C), {"scalars": [2, 3]}),
         ((B, C, np.array([2.0, 0.5])), {})]
FORMS = {
    "add": [*SCALAR_FORMS, ((B,), {"alpha": 2}), ((np.array(3.0),), {"alpha": 0.5}), ((), {"scalar": 2})],
    "sub": [*SCALAR_FORMS, ((B,), {"alpha": 2}), ((), {"other": B})],
    "mul": [*SCALAR_FORMS, ((np.array(3.0),), {}), ((), {"scalars": [1, 2]})],
    "div": [*SCALAR_FORMS, ((np.array(3.0),), {})],
    **dict.fromkeys("maximum minimum clamp_min clamp_max pow".split(), SCALAR_FORMS),
    "addcmul": THREE, "addcdiv": THREE,
    "lerp": [((B, 0.3), {}), ((B, [0.2, 0.9]), {}), ((B,), {"weights": C}), ((), {"tensors1": B, "weight": 0.4})],
    "norm": [((), {}), ((1,), {}), ((), {"ord": float("inf")})],
    "copy_": [((B,), {}), ((B,), {"non_blocking": True})],
}


def wrapped(value, make):
    """Arrays, in lists too, as tensors."""
    if isinstance(value, list):
        return [wrapped(x, make) for x in value]
    return make(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", foreach.__all__)
def test_every_form_matches_torch(name):
    method = name.removeprefix("_foreach_")
    in_place = method.endswith("_")
    for args, kwargs in FORMS.get(method, FORMS.get(method.rstrip("_"), [((), {})])):
        lists, results = [], []
        for library, make in ((genesis, f32), (torch, lambda x: torch.tensor(x, dtype=torch.float32))):
            lists.append([make(x) for x in A])
            results.append(getattr(library, name)(lists[-1], *wrapped(list(args), make),
                                                  **{key: wrapped(x, make) for key, x in kwargs.items()}))
        assert type(results[0]) is (list if in_place else tuple)
        assert (results[0] is lists[0]) is in_place
        for both in (results, lists):          # the results, and what became of the arguments
            for x, wanted in zip(*both, strict=True):
                close(x, wanted.numpy(), 1e-4, 1e-5)


def test_other_forms_and_errors():
    a = [f32(x) for x in A]
    for x, wanted in zip(genesis._foreach_pow(2.0, a), A):
        close(x, 2 ** wanted)
    assert [x.dtype for x in genesis._foreach_norm(a, dtype=genesis.float16)] == [genesis.float16] * 2
    trained = [genesis.ones(2, requires_grad=True)]
    genesis._foreach_mul(trained, 3)[0].sum().backward()
    assert trained[0].grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError):
        genesis._foreach_add_(trained, 1)
    for error, call in [
            (RuntimeError, lambda: genesis._foreach_add([], 1)),
            (RuntimeError, lambda: genesis._foreach_add(a, [1])),
            (RuntimeError, lambda: genesis._foreach_add_(a, a[:1])),
            (RuntimeError, lambda: genesis._foreach_mul_(a, genesis.ones(2))),
            (RuntimeError, lambda: genesis._foreach_addcmul(a, a, a, genesis.tensor(2.0))),
            (TypeError, lambda: genesis._foreach_add(a[0], 1)),
            (TypeError, lambda: genesis._foreach_add(a)),
            (TypeError, lambda: genesis._foreach_sqrt([1, 2])),
            (TypeError, lambda: genesis._foreach_sqrt(a, 2)),
            (TypeError, lambda: genesis._foreach_addcmul(a, a[0], a)),
            (TypeError, lambda: genesis._foreach_mul(a, 2, alpha=1)),
            (TypeError, lambda: genesis._foreach_mul(a, 2, other=1)),
            (TypeError, lambda: genesis._foreach_pow("2", a))]:
        with pytest.raises(error):
            call()
    for x, wanted in zip(a, A):
        close(x, wanted)
    assert a[0].copy_(src=genesis.ones(3), non_blocking=True).tolist() == [1, 1, 1]
