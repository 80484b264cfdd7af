"""Blocks of images as columns and back, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, leaf, needs_float64, normal

import genesis
from genesis import autograd, nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

CASES = [((5, 6), {"kernel_size": 2}), ((5, 6), {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
         ((9, 7), {"kernel_size": (2, 3), "dilation": (3, 2), "padding": 2, "stride": 2}),
         ((8, 6), {"kernel_size": 2, "stride": 2}), ((8, 9), {"kernel_size": 2, "stride": 3}),
         ((4, 5), {"kernel_size": 1, "padding": 1}), ((3, 3), {"kernel_size": 3, "dilation": 1})]


@pytest.mark.parametrize(("size", "options"), CASES, ids=str)
def test_unfold_and_fold(size, options):
    values = normal(2, 3, *size).astype(np.float32)
    check_like_torch(lambda lib, x: lib.nn.functional.unfold(x, **options), values)
    check_like_torch(lambda lib, x: lib.nn.Unfold(**options)(x), values[0])
    columns = torch.nn.functional.unfold(torch.tensor(values), **options).numpy()
    columns = normal(*columns.shape).astype(np.float32)
    check_like_torch(lambda lib, x: lib.nn.functional.fold(x, size, **options), columns)
    check_like_torch(lambda lib, x: lib.nn.Fold(size, **options)(x), columns[0])
    for name, arguments in (("Unfold", ()), ("Fold", (size,))):
        assert repr(getattr(nn, name)(*arguments, **options)) == repr(getattr(torch.nn, name)(*arguments, **options))


@needs_float64
def test_second_derivatives():
    x = leaf(normal(1, 2, 4, 5), genesis.float64)
    assert autograd.gradgradcheck(lambda a: F.unfold(a, 2, padding=1, stride=2).pow(3), (x,))
    y = leaf(normal(1, 8, 6), genesis.float64)
    assert autograd.gradgradcheck(lambda a: F.fold(a, (4, 3), 2, stride=1).pow(3), (y,))


def test_a_convolution_is_a_product_with_columns():
    x, weight = genesis.randn(2, 3, 6, 7), genesis.randn(4, 3, 3, 3)
    product = weight.flatten(1) @ F.unfold(x, 3, padding=1)
    np.testing.assert_allclose(product.view(2, 4, 6, 7).numpy(), F.conv2d(x, weight, padding=1).numpy(), rtol=1e-4,
                               atol=1e-5)


def test_an_element_that_is_not_finite_stays_where_it_is():
    x = genesis.zeros(1, 4, 4)
    x[0, 0, 0] = np.inf
    assert F.fold(x, 3, 2).isinf().sum().item() == 1


def test_sizes_that_do_not_fit_are_told():
    x = genesis.zeros(1, 2, 3, 3)
    for call in (lambda: F.unfold(x, 4), lambda: F.unfold(x[0, 0], 2), lambda: F.unfold(x, 0),
                 lambda: F.unfold(x, 2, stride=0), lambda: F.unfold(x, 2, padding=-1),
                 lambda: F.fold(genesis.zeros(1, 4, 5), 3, 2), lambda: F.fold(genesis.zeros(1, 5, 4), 3, 2),
                 lambda: F.fold(x, 3, 2)):
        with pytest.raises(RuntimeError, match="fold"):
            call()
