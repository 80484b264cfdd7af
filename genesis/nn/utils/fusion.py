"""Layers in evaluation joined to one: a batch normalization into the linear or convolutional layer before it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from ...autograd import no_grad
from ...creation import zeros_like
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

T = TypeVar("T", bound=Module)


def fuse_conv_bn_weights(conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
                         bn_w: Tensor | None, bn_b: Tensor | None,
                         transpose: bool = False) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution that does what one followed by a batch normalization does.

    Args:
        conv_w: the convolution's weight.
        conv_b: its bias (C,), or None.
        bn_rm: running mean (C,).
        bn_rv: running variance (C,).
        bn_eps: what is added to the variance.
        bn_w: the normalization's weight (C,), or None.
        bn_b: its bias (C,), or None.
        transpose: whether the convolution is transposed, so that output channels are the weight's second dimension.
    """
    with no_grad():
        varied: Any = bn_rv + bn_eps
        scale = varied.rsqrt()
        if bn_w is not None:
            scale = scale * bn_w
        shift = (-bn_rm if conv_b is None else conv_b - bn_rm) * scale
        if bn_b is not None:
            shift = shift + bn_b
        shape = [1] * conv_w.ndim
        shape[1 if transpose else 0] = -1
        weight = (conv_w * scale.reshape(*shape)).to(conv_w.dtype)
        return (Parameter(weight, conv_w.requires_grad),
                Parameter(shift.to(conv_w.dtype), conv_w.requires_grad if conv_b is None else conv_b.requires_grad))


def fuse_linear_bn_weights(linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
                           bn_w: Tensor, bn_b: Tensor) -> tuple[Parameter, Parameter]:
    """The same for a linear layer; see `fuse_conv_bn_weights`."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_conv_bn_eval(conv: T, bn: Module, transpose: bool = False) -> T:
    """A convolution that does in evaluation what it does together with the batch normalization after it.

    Args:
        conv: the convolution.
        bn: the normalization, with running statistics.
        transpose: whether the convolution is transposed.

    Returns:
        A new layer.

    Raises:
        RuntimeError: a layer is in training, or the normalization keeps no running statistics.

    Example:
        >>> model = genesis.nn.Sequential(genesis.nn.Conv2d(1, 2, 3), genesis.nn.BatchNorm2d(2)).eval()
        >>> fused = genesis.nn.utils.fuse_conv_bn_eval(*model)
        >>> x = genesis.randn(1, 1, 5, 5)
        >>> bool(((fused(x) - model(x)).abs() < 1e-5).all())
        True
    """
    return _fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear: T, bn: Module) -> T:
    """A linear layer that does in evaluation what it does together with the batch normalization after it.

    Args:
        linear: the linear layer.
        bn: the normalization, with running statistics.

    Returns:
        A new layer.

    Raises:
        RuntimeError: a layer is in training, the normalization keeps no running statistics, or it has another number
            of features, other than one.
    """
    features: Any = bn.num_features
    if features not in (1, linear.out_features):
        raise RuntimeError(f"the normalization must have as many features as the linear layer has outputs, "
                           f"{linear.out_features}, or 1, not {features}")
    return _fused(linear, bn, False)


def _fused(layer: T, bn: Any, transpose: bool) -> T:
    if layer.training or bn.training:
        raise RuntimeError("only layers in evaluation can be fused: call eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise RuntimeError("a normalization without running statistics cannot be fused")
    result: Any = deepcopy(layer)
    bias = result.bias
    if bias is None:
        bias = zeros_like(bn.running_mean, dtype=result.weight.dtype).expand(
            result.weight.shape[1 if transpose else 0]).detach()
        bias.requires_grad = result.weight.requires_grad
    result.weight, result.bias = fuse_conv_bn_weights(result.weight, bias, bn.running_mean, bn.running_var, bn.eps,
                                                      bn.weight, bn.bias, transpose)
    return result
