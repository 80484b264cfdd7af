"""Normalization."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...autograd import apply
from ...ops import batch_norm as bn
from ...ops import norm as ops
from ...tensor import Tensor
from .padding import pad
from .pooling import avg_pool2d

_EPS = {"float": 2.0 ** -23, "double": 2.0 ** -52}


def normalize(input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12) -> Tensor:
    """Vectors divided by their norms.

    Args:
        input: any shape, floating point.
        p: of the norm.
        dim: the dimension that the vectors lie along, or several.
        eps: what norms are at least.

    Example:
        >>> genesis.nn.functional.normalize(genesis.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6, 0.8],
                [0. , 0. ]])
    """
    normalized: Tensor = input / input.norm(p, dim, True).clamp_min(eps)
    return normalized


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Division by ``(k + alpha * m) ** beta``, m the mean square of ``size`` neighbouring channels.

    Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks", section
    3.3, where alpha is a factor of the sum. Channels that are missing at the ends count as 0.

    Args:
        input: (N, C, ...), at least three dimensions.
        size: how many channels, the middle one being that which is divided.
        alpha, beta, k: of the formula.

    Raises:
        ValueError: an input of fewer dimensions.
    """
    if input.ndim < 3:
        raise ValueError(f"local_response_norm needs an input (N, C, ...) of at least 3 dimensions, not of shape "
                         f"{tuple(input.shape)}")
    if not input.numel():
        return input
    squares = (input * input).reshape(input.shape[0], 1, input.shape[1], -1)
    means = avg_pool2d(pad(squares, (0, 0, size // 2, (size - 1) // 2)), (size, 1), 1)
    divided: Tensor = input / (means.reshape(input.shape) * alpha + k) ** beta
    return divided


def layer_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Layer normalization over the last dimensions (Ba, Kiros & Hinton 2016, arXiv:1607.06450).

    ``(x - mean) / sqrt(var + eps) * weight + bias``, with mean and (biased) variance over ``normalized_shape``.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: sizes of the last dimensions.
        weight, bias: of shape ``normalized_shape``, or None.
        eps: added to the variance.

    Raises:
        RuntimeError: shapes that do not fit.

    Example:
        >>> genesis.nn.functional.layer_norm(genesis.tensor([[1.0, 3.0]]), 2, eps=0.0).tolist()
        [[-1.0, 1.0]]
    """
    n = _row_size("layer_norm", input, normalized_shape, weight, bias)
    return apply(ops.LayerNorm, input, weight, bias, n=n, eps=float(eps))


def rms_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
             eps: float | None = None) -> Tensor:
    """Division by the root mean square over the last dimensions (Zhang & Sennrich 2019, arXiv:1910.07467).

    Args:
        input: (..., *normalized_shape).
        normalized_shape: sizes of the last dimensions.
        weight: of shape ``normalized_shape``, or None.
        eps: added to the mean square; by default the distance from 1 to the next number of the type that is
            computed in, 2^-23 (float64: 2^-52).

    Raises:
        RuntimeError: shapes that do not fit.
    """
    if input.is_complex():       # as in PyTorch, the root of the mean of squares, which are complex, too
        if weight is not None and weight.dtype is not input.dtype:
            raise RuntimeError(f"rms_norm needs an input and a weight of one type, not {input.dtype} and "
                               f"{weight.dtype}")
        n = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
        _row_size("rms_norm", input.real, normalized_shape, None if weight is None else weight.real, None)
        eps = _EPS[input.real.dtype.compute] if eps is None else eps
        y = input * (input.square().mean(tuple(range(-n, 0)), True) + eps).rsqrt()
        return y if weight is None else y * weight
    n = _row_size("rms_norm", input, normalized_shape, weight, None)
    eps = _EPS[input.dtype.compute] if eps is None else float(eps)
    return apply(ops.RMSNorm, input, weight, None, n=n, eps=eps, center=False)


def _row_size(name: str, input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None,
              bias: Tensor | None) -> int:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    _check_floating(name, input)
    if not shape or input._array.shape[-len(shape):] != shape:
        raise RuntimeError(f"{name} over {shape} needs an input of shape (..., {', '.join(map(str, shape))}), not "
                           f"{tuple(input.shape)}")
    for label, value in (("weight", weight), ("bias", bias)):
        if value is not None and value._array.shape != shape:
            raise RuntimeError(f"{label} must have the shape that is normalized, {shape}, not {tuple(value.shape)}")
    return math.prod(shape)


def _check_floating(name: str, input: Tensor) -> None:
    if not input.is_floating_point():
        raise RuntimeError(f"{name} is not defined for {input.dtype}; convert to float32")


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5) -> Tensor:
    """Group normalization (Wu & He 2018, arXiv:1803.08494): each sample's channels in groups, all positions together.

    Args:
        input: (N, C, ...).
        num_groups: number of groups; divides C.
        weight, bias: (C,), or None.
        eps: added to the variance.

    Raises:
        RuntimeError: shapes that do not fit.
        ValueError: groups of a single value.
    """
    _check_floating("group_norm", input)
    if input.ndim < 2:
        raise RuntimeError(f"group_norm needs an input (N, C, ...), not of shape {tuple(input.shape)}")
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(f"num_groups must divide the number of channels, {channels}; it is {num_groups}")
    _check_channels(channels, weight=weight, bias=bias)
    n = channels // num_groups * math.prod(input.shape[2:])
    if input.shape[0] * n == 1:
        raise ValueError(f"a group of one value cannot be normalized: input of shape {tuple(input.shape)}")
    return apply(ops.GroupNorm, input, weight, bias, n=n, eps=float(eps), groups=num_groups)


def _check_channels(channels: int, **tensors: Tensor | None) -> None:
    for name, value in tensors.items():
        if value is not None and tuple(value.shape) != (channels,):
            raise RuntimeError(f"{name} needs one entry a channel, shape ({channels},), not {tuple(value.shape)}")


def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training: bool = False, momentum: float | None = 0.1,
               eps: float = 1e-5, *, num_batches_tracked: Tensor | None = None) -> Tensor:
    """Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167).

    Args:
        input: (N, C) or (N, C, d1, ...).
        running_mean, running_var: (C,), float, or None. Training moves them, in place and on the device, by
            ``momentum`` towards the batch's mean and unbiased variance; otherwise they are what is normalized by.
        weight, bias: (C,), or None.
        training: whether to normalize by the statistics of the batch.
        momentum: from 0 to 1; None for the average over all batches, which needs ``num_batches_tracked``.
        eps: added to the variance; positive in training, at least 0 otherwise.
        num_batches_tracked: 0-d int64, which training raises by one; not in PyTorch's function, only in its layers.

    Raises:
        RuntimeError: shapes that do not fit; no running statistics and no training.
        ValueError: training on one value a channel; ``eps`` out of range.
    """
    _check_floating("batch_norm", input)
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm needs an input (N, C, ...), not of shape {tuple(input.shape)}")
    if not (eps > 0 if training else eps >= 0):
        raise ValueError(f"batch_norm: eps must be {'positive in training' if training else 'at least 0'}, not {eps}")
    channels = input.shape[1]
    _check_channels(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if training:
        if input.numel() == channels:
            raise ValueError(f"training needs more than one value a channel; the input's shape is "
                             f"{tuple(input.shape)}")
    elif running_mean is None or running_var is None:
        raise RuntimeError("batch_norm needs running_mean and running_var when not training")
    if (running_mean is None) != (running_var is None):
        raise RuntimeError("running_mean and running_var go together: give both or neither")
    if momentum is None and num_batches_tracked is None:
        momentum = 0.0
    stats = {}
    for name, value in (("running_mean", running_mean), ("running_var", running_var),
                        ("tracked", num_batches_tracked)):
        if value is not None and (value.device is not input.device or not value.is_contiguous()):
            raise RuntimeError(f"{name} must be contiguous and on the input's device, {input.device}")
        stats[name] = None if value is None else value._array
    if running_mean is not None and running_var is not None and running_mean.dtype is not running_var.dtype:
        raise RuntimeError(f"running_mean and running_var need one dtype, not {running_mean.dtype} and "
                           f"{running_var.dtype}")
    return apply(bn.BatchNorm, input, weight, bias, training=training, eps=float(eps),
                 momentum=-1.0 if momentum is None else float(momentum), **stats)


def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float | None = 0.1, eps: float = 1e-5) -> Tensor:
    """Instance normalization (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022): each channel of each sample.

    Args:
        input: (N, C, d1, ...).
        running_mean, running_var: (C,), or None; moved towards the mean over the samples of their statistics.
        weight, bias: (C,), or None.
        use_input_stats: False to normalize by the running statistics.
        momentum, eps: as of `batch_norm`.

    Raises:
        ValueError: one position a channel.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    samples, channels = input.shape[:2]
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(f"instance_norm needs more than one position; the input's shape is {tuple(input.shape)}")
    if running_mean is None or running_var is None:
        return group_norm(input, channels, weight, bias, eps)
    mean = running_mean.expand(samples, channels).reshape(-1).clone()
    var = running_var.expand(samples, channels).reshape(-1).clone()
    y = batch_norm(input.reshape(1, samples * channels, *input.shape[2:]), mean, var, None, None, True, momentum, eps)
    running_mean.copy_(mean.reshape(samples, channels).mean(0))
    running_var.copy_(var.reshape(samples, channels).mean(0))
    y = y.reshape(input.shape)
    sides = (channels, *[1] * (input.ndim - 2))
    y = y if weight is None else y * weight.reshape(sides)
    return y if bias is None else y + bias.reshape(sides)
