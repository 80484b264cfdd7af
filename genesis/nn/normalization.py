"""Normalization layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..creation import ones, zeros
from ..dtypes import int64
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


def _affine(module: Module, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
    """Register weight and bias, or places for them."""
    module.register_parameter("weight", Parameter(ones(*shape, device=device, dtype=dtype)) if weight else None)
    module.register_parameter("bias", Parameter(zeros(*shape, device=device, dtype=dtype)) if bias else None)


def _reset(module: Module) -> None:
    if module.weight is not None:
        init.ones_(module.weight)
    if getattr(module, "bias", None) is not None:
        init.zeros_(module.bias)


class LayerNorm(Module):
    """Layer normalization; see `genesis.nn.functional.layer_norm`.

    Args:
        normalized_shape: sizes of the last dimensions, over which mean and variance are taken.
        eps: added to the variance.
        elementwise_affine: whether to learn a weight (from 1) and a bias (from 0) for every element.
        bias: whether to learn the bias.

    Example:
        >>> genesis.nn.LayerNorm(2, eps=0.0)(genesis.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        """(..., *normalized_shape), unchanged in shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")


class RMSNorm(Module):
    """Division by the root mean square; see `genesis.nn.functional.rms_norm`.

    Args:
        normalized_shape: sizes of the last dimensions.
        eps: added to the mean square; None for the element type's own.
        elementwise_affine: whether to learn a weight (from 1) for every element.
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None,
                 elementwise_affine: bool = True, device: Any = None, dtype: Any = None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(ones(*self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Set the weight to 1."""
        _reset(self)

    def forward(self, x: Tensor) -> Tensor:
        """(..., *normalized_shape), unchanged in shape."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Division by a power of the mean square of neighbouring channels; see `functional.local_response_norm`.

    Args:
        size: how many channels.
        alpha, beta, k: of the formula.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...), unchanged in shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class GroupNorm(Module):
    """Group normalization; see `genesis.nn.functional.group_norm`.

    Args:
        num_groups: number of groups.
        num_channels: number of channels, a multiple of it.
        eps: added to the variance.
        affine: whether to learn a weight (from 1) and a bias (from 0) for every channel.
        bias: whether to learn the bias.

    Raises:
        ValueError: the groups do not divide the channels.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
                 device: Any = None, dtype: Any = None, *, bias: bool = True):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"num_groups must divide num_channels, {num_channels}; it is {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, (num_channels,), affine, affine and bias, device, dtype)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        """(N, num_channels, ...), unchanged in shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
                f"bias={self.bias is not None}")


class _NormBase(Module):
    """What layers with running statistics share.

    Attributes:
        running_mean, running_var: (num_features,), from 0 and 1.
        num_batches_tracked: 0-d int64.
    """

    dims: tuple[int, ...] = ()

    def __init__(self, num_features: int, eps: float, momentum: float | None, affine: bool,
                 track_running_stats: bool, device: Any, dtype: Any, bias: bool):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, (num_features,), affine, affine and bias, device, dtype)
        track = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("num_batches_tracked", zeros((), device=device, dtype=int64) if track else None)

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget the batches seen, set the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        _reset(self)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            wanted = " or ".join(f"{d}D" for d in self.dims)
            raise ValueError(f"{type(self).__name__} takes {wanted} input, not {input.ndim}D")

    def extra_repr(self) -> str:
        """The options."""
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


class _BatchNorm(_NormBase):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """(N, num_features, ...), unchanged in shape."""
        self._check(input)
        training, tracking = self.training, self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if not training or tracking else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, training or mean is None, self.momentum, self.eps,
                            num_batches_tracked=self.num_batches_tracked if training and tracking else None)


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L); see `genesis.nn.functional.batch_norm`.

    Args:
        num_features: the number of channels, C.
        eps: added to the variance.
        momentum: share of a batch's statistics in the running ones; None for the average over all batches.
        affine: whether to learn a weight (from 1) and a bias (from 0) for every channel.
        track_running_stats: whether to keep running statistics for evaluation; without, those of the batch always
            serve.
        bias: whether to learn the bias.

    Attributes:
        running_mean, running_var: (C,).
        num_batches_tracked: 0-d int64.
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W); arguments as of `BatchNorm1d`."""

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (N, C, D, H, W); arguments as of `BatchNorm1d`."""

    dims = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch normalization of (N, C, ...) over all processes of a training; there is one, so over its batch.

    Args:
        num_features, eps, momentum, affine, track_running_stats, bias: as of `BatchNorm1d`.
        process_group: accepted as PyTorch has it.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, process_group: Any = None, device: Any = None, dtype: Any = None, *,
                 bias: bool = True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"SyncBatchNorm takes input of at least 2 dimensions, not {input.ndim}D")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with each batch normalization in it as a `SyncBatchNorm` of the same parameters and statistics.

        Args:
            module: changed in place, unless it is a batch normalization itself.
            process_group: of the new layers.
        """
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                         process_group, bias=module.bias is not None)
            result._parameters.update(module._parameters)
            result._buffers.update(module._buffers)
            result.train(module.training)
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result


class _InstanceNorm(_NormBase):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
                 track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """(N, num_features, ...), or without N; unchanged in shape."""
        self._check(input)
        if input.ndim == self.dims[0]:
            return self.forward(input.unsqueeze(0)).squeeze(0)
        own = self.training or not self.track_running_stats
        return F.instance_norm(input, self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum,
                               self.eps)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (N, C, L) or (C, L); see `genesis.nn.functional.instance_norm`."""

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of (N, C, H, W) or (C, H, W); see `genesis.nn.functional.instance_norm`."""

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of (N, C, D, H, W) or (C, D, H, W); see `genesis.nn.functional.instance_norm`."""

    dims = (4, 5)
