"""Names that PyTorch has at its top level beside those of the methods: layers' functions, changes in place, old types.

What takes other arguments there than in `genesis.nn.functional` is written here; the rest is handed on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import dtypes
from .dtypes import DType
from .joining import broadcast_tensors
from .linalg import multi_dot
from .linalg.lowrank import pca_lowrank, svd_lowrank
from .nn import functional as F
from .nn.functional import (
    adaptive_avg_pool1d,
    adaptive_max_pool1d,
    avg_pool1d,
    bilinear,
    celu,
    celu_,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_similarity,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pairwise_distance,
    pdist,
    pixel_shuffle,
    pixel_unshuffle,
    rms_norm,
    rrelu,
    rrelu_,
    selu,
    selu_,
    threshold,
    threshold_,
)
from .ops import draw
from .random import Generator, default_generator
from .tensor import Tensor

# The reductions of losses, by the numbers that PyTorch's functions at the top level take.
REDUCTIONS = ("none", "mean", "sum")
Reduction = int | str


def _reduction(given: Reduction) -> str:
    if isinstance(given, str):
        return given
    if given not in (0, 1, 2):
        raise ValueError(f"reduction must be 'none' (0), 'mean' (1) or 'sum' (2), not {given!r}")
    return REDUCTIONS[given]


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`genesis.nn.functional.dropout` with all arguments required."""
    return F.dropout(input, p, train)


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` in place."""
    return F.dropout(input, p, train, inplace=True)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`genesis.nn.functional.alpha_dropout` with all arguments required."""
    return F.alpha_dropout(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`genesis.nn.functional.feature_alpha_dropout` with all arguments required."""
    return F.feature_alpha_dropout(input, p, train)


def layer_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5, cudnn_enable: bool = True) -> Tensor:
    """`genesis.nn.functional.layer_norm`; ``cudnn_enable`` is accepted and does nothing."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5, cudnn_enabled: bool = True) -> Tensor:
    """`genesis.nn.functional.group_norm`; ``cudnn_enabled`` is accepted and does nothing."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def batch_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
               running_var: Tensor | None, training: bool, momentum: float, eps: float,
               cudnn_enabled: bool = True) -> Tensor:
    """`genesis.nn.functional.batch_norm` with PyTorch's other order of arguments; ``cudnn_enabled`` does nothing."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
                  running_var: Tensor | None, use_input_stats: bool, momentum: float, eps: float,
                  cudnn_enabled: bool = True) -> Tensor:
    """`genesis.nn.functional.instance_norm` with PyTorch's other order of arguments; ``cudnn_enabled`` does nothing."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                     pos_weight: Tensor | None = None, reduction: Reduction = 1) -> Tensor:
    """`genesis.nn.functional.binary_cross_entropy_with_logits`; the reduction is a name or PyTorch's number for it."""
    return F.binary_cross_entropy_with_logits(input, target, weight, reduction=_reduction(reduction),
                                              pos_weight=pos_weight)


def kl_div(input: Tensor, target: Tensor, reduction: Reduction = 1, *, log_target: bool = False) -> Tensor:
    """`genesis.nn.functional.kl_div`; the reduction is a name or PyTorch's number for it: 0 none, 1 mean, 2 sum."""
    return F.kl_div(input, target, reduction=_reduction(reduction), log_target=log_target)


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
             reduction: Reduction = 1, zero_infinity: bool = False) -> Tensor:
    """`genesis.nn.functional.ctc_loss`; the reduction is a name or PyTorch's number for it: 0 none, 1 mean, 2 sum."""
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _reduction(reduction), zero_infinity)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0,
                        reduction: Reduction = 1) -> Tensor:
    """`genesis.nn.functional.margin_ranking_loss`; the reduction is a name or PyTorch's number for it."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: Reduction = 1) -> Tensor:
    """`genesis.nn.functional.hinge_embedding_loss`; the reduction is a name or PyTorch's number for it."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0,
                          reduction: Reduction = 1) -> Tensor:
    """`genesis.nn.functional.cosine_embedding_loss`; the reduction is a name or PyTorch's number for it."""
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
                        eps: float = 1e-6, swap: bool = False, reduction: Reduction = 1) -> Tensor:
    """`genesis.nn.functional.triplet_margin_loss`; the reduction is a name or PyTorch's number for it."""
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction))


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float,
                     reduction: Reduction) -> Tensor:
    """`genesis.nn.functional.poisson_nll_loss` with all arguments required; the reduction may be PyTorch's number."""
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_reduction(reduction))


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy; gradients flow through. ``memory_format`` is accepted as PyTorch has it."""
    return input.clone()


def detach(input: Tensor) -> Tensor:
    """The same memory without history."""
    return input.detach()


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like another one with one number, or the value of a 0-d tensor, everywhere.

    Example:
        >>> genesis.fill(genesis.zeros(2), 3)
        tensor([3., 3.])
    """
    return input.clone().fill_(value)


def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    """`genesis.nn.functional.pad` with a number.

    Example:
        >>> genesis.constant_pad_nd(genesis.ones(2), (1, 2), 5)
        tensor([5., 1., 1., 5., 5.])
    """
    return F.pad(input, pad, "constant", value)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices in the order of the fewest multiplications; see `genesis.linalg.multi_dot`."""
    result: Tensor = matrices[0] if len(matrices) == 1 else multi_dot(matrices)
    return result


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``.

    Example:
        >>> genesis.rsub(genesis.tensor([1.0, 2.0]), 5, alpha=2)
        tensor([3., 1.])
    """
    scaled = input if alpha == 1 else input * alpha
    result: Tensor = other - scaled
    return result


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Places in a flattened tensor as indices of its dimensions.

    Args:
        indices: integers, any shape.
        shape: of the tensor.

    Returns:
        For each dimension an int64 tensor in the shape of ``indices``.

    Raises:
        TypeError: the indices are no integers.
        ValueError: a size is negative.

    Example:
        >>> genesis.unravel_index(genesis.tensor([3, 5]), (2, 3))
        (tensor([1, 1]), tensor([0, 2]))
    """
    if indices.dtype.kind not in "ui":
        raise TypeError(f"unravel_index() needs integers, not {indices.dtype}")
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"sizes cannot be negative: {sizes}")
    found = []
    rest: Any = indices.long()
    for n in reversed(sizes):
        found.append(rest % n)
        rest = rest // n
    return tuple(reversed(found))


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts drawn from Poisson distributions whose rates are the elements, in their type; NaN for negative rates.

    Raises:
        RuntimeError: the tensor is not of a floating type.

    Example:
        >>> genesis.poisson(genesis.zeros(2))
        tensor([0., 0.])
    """
    if not input.is_floating_point():
        raise RuntimeError(f"poisson() needs a floating-point tensor, not {input.dtype}")
    return Tensor._wrap(draw.poisson(input.detach()._array, (generator or default_generator).stream()))


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of successes among ``count`` independent trials of probability ``prob``, which broadcast together.

    Raises:
        RuntimeError: the tensors are not of one floating type.
    """
    if count.dtype is not prob.dtype or not prob.is_floating_point():
        raise RuntimeError(f"binomial() needs tensors of one floating-point type, not {count.dtype} and {prob.dtype}")
    one, other = (x.detach()._array for x in broadcast_tensors(count, prob))
    return Tensor._wrap(draw.binomial(one, other, (generator or default_generator).stream()))


# Changes in place ----------------------------------------------------------------------------------------------------

IN_PLACE = """abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_ asinh_
    atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ deg2rad_ detach_ erf_ erfc_
    exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_
    nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ resize_as_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_
    square_ tan_ tanh_ trunc_ xlogy_ zero_""".split()


def _in_place(name: str) -> Callable[..., Tensor]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}() works on a Tensor, not on {type(input).__name__}")
        changed: Tensor = getattr(input, name)(*args, **kwargs)
        return changed

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The same as ``input.{name}(...)``, which changes the tensor and returns it."
    return function


globals().update({name: _in_place(name) for name in IN_PLACE})


# Old types -----------------------------------------------------------------------------------------------------------


class _OldType(type):
    """What ``torch.FloatTensor`` is: it makes tensors of one element type and knows them as its instances."""

    dtype: DType

    def __call__(cls, *args: Any) -> Tensor:
        return Tensor(*args, dtype=cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype


def _old_type(name: str, dtype: DType) -> _OldType:
    doc = (f"Tensors of {dtype}: of data (``{name}([1, 2])``), or of sizes, uninitialised (``{name}(2, 3)``).\n\n"
           f"    PyTorch keeps it for old programs; see `genesis.tensor` and `genesis.empty`. ``isinstance`` asks for "
           "the\n    element type.\n    ")
    return _OldType(name, (), {"dtype": dtype, "__doc__": doc, "__module__": __name__})


FloatTensor = _old_type("FloatTensor", dtypes.float32)
DoubleTensor = _old_type("DoubleTensor", dtypes.float64)
HalfTensor = _old_type("HalfTensor", dtypes.float16)
BFloat16Tensor = _old_type("BFloat16Tensor", dtypes.bfloat16)
LongTensor = _old_type("LongTensor", dtypes.int64)
IntTensor = _old_type("IntTensor", dtypes.int32)
ShortTensor = _old_type("ShortTensor", dtypes.int16)
CharTensor = _old_type("CharTensor", dtypes.int8)
ByteTensor = _old_type("ByteTensor", dtypes.uint8)
BoolTensor = _old_type("BoolTensor", dtypes.bool_)

__all__ = ["BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor",
           "IntTensor", "LongTensor", "ShortTensor", "adaptive_avg_pool1d", "adaptive_max_pool1d", "alpha_dropout",
           "avg_pool1d", "batch_norm", "bilinear", "binary_cross_entropy_with_logits", "binomial", "celu", "celu_",
           "chain_matmul", "channel_shuffle", "clone", "constant_pad_nd", "conv1d", "conv2d", "conv3d",
           "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity",
           "ctc_loss", "detach", "dropout", "dropout_", "feature_alpha_dropout", "fill", "group_norm",
           "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "margin_ranking_loss", "max_pool1d",
           "max_pool2d", "max_pool3d", "pairwise_distance", "pca_lowrank", "pdist", "pixel_shuffle", "pixel_unshuffle",
           "poisson", "poisson_nll_loss", "rms_norm", "rrelu", "rrelu_", "rsub", "selu", "selu_", "svd_lowrank",
           "threshold", "threshold_", "triplet_margin_loss", "unravel_index", *IN_PLACE]
