"""Invertible functions, by which distributions are made of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import finfo
from ..nn import functional as F
from ..tensor import Tensor

__all__ = ["AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "IndependentTransform",
           "PowerTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform",
           "TanhTransform", "Transform", "identity_transform"]


def summed(x: Tensor, dims: int) -> Tensor:
    """The sum over the last dimensions."""
    result: Tensor = x.sum(tuple(range(-dims, 0))) if dims else x
    return result


class Transform:
    """An invertible function of tensors.

    A subclass writes `_call`, `_inverse` and, for densities, `log_abs_det_jacobian`.

    Args:
        cache_size: 1 to remember the last argument and its result, so that the inverse of that very tensor is exact:
            of ``tanh`` it is infinite where the result was rounded to 1. 0 to remember nothing.

    Raises:
        ValueError: another ``cache_size``.

    Attributes:
        bijective: whether every result comes from one argument only.
        sign: 1 if the function rises, -1 if it falls, 0 if neither holds; may be a tensor.
        event_dim: how many of the last dimensions the function mixes; 0 for functions of single elements.
    """

    bijective = True
    sign: Any = 1
    event_dim = 0
    _remembers = False
    _last: tuple[Tensor, Tensor] | tuple[None, None] = (None, None)

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ValueError(f"cache_size must be 0 or 1, not {cache_size!r}")
        self._remembers = bool(cache_size)

    def __call__(self, x: Tensor) -> Tensor:
        """The function."""
        before, after = self._last
        return after if after is not None and before is x else self._remember(x, self._call(x))[1]

    def _back(self, y: Tensor) -> Tensor:
        """The argument that has the value ``y``."""
        before, after = self._last
        return before if before is not None and after is y else self._remember(self._inverse(y), y)[0]

    def _remember(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if self._remembers:
            self._last = x, y
        return x, y

    @property
    def inv(self) -> Transform:
        """The inverse function as a transform."""
        return _Inverse(self)

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _call()")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Logarithm of how much the function stretches space at ``x``, ``y`` being its value there."""
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian()")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, transform: Transform):
        self._of = transform
        self.bijective, self.sign, self.event_dim = transform.bijective, transform.sign, transform.event_dim

    @property
    def inv(self) -> Transform:
        return self._of

    def _call(self, x: Tensor) -> Tensor:
        return self._of._back(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self._of(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._of.log_abs_det_jacobian(y, x)

    def __repr__(self) -> str:
        return f"{self._of}.inv"


class AffineTransform(Transform):
    """``loc + scale * x``.

    Args:
        loc, scale: numbers or tensors.
        event_dim: how many of the last dimensions are one outcome.
        cache_size: as of `Transform`.

    Example:
        >>> genesis.distributions.AffineTransform(1.0, 2.0)(genesis.tensor([0.0, 1.0]))
        tensor([1., 3.])
    """

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def sign(self) -> Any:
        """The sign of the scale."""
        return self.scale.sign() if isinstance(self.scale, Tensor) else (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        result: Tensor = self.loc + self.scale * x
        return result

    def _inverse(self, y: Tensor) -> Tensor:
        result: Tensor = (y - self.loc) / self.scale
        return result

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The logarithm of the absolute scale."""
        if isinstance(self.scale, Tensor):
            logarithm = self.scale.abs().log().expand(*x.shape)
        else:
            logarithm = x.new_full(x.shape, math.log(abs(self.scale)))
        return summed(logarithm, self.event_dim)


class ExpTransform(Transform):
    """``exp(x)``."""

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The argument itself."""
        return x


class PowerTransform(Transform):
    """``x ** exponent`` of positive numbers; the exponent is a number or a tensor."""

    def __init__(self, exponent: Any, cache_size: int = 0):
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        """The sign of the exponent."""
        e = self.exponent
        return e.sign() if isinstance(e, Tensor) else (e > 0) - (e < 0)

    def _call(self, x: Tensor) -> Tensor:
        result: Tensor = x ** self.exponent
        return result

    def _inverse(self, y: Tensor) -> Tensor:
        result: Tensor = y ** (1 / self.exponent)
        return result

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log |exponent * y / x|``."""
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """``1 / (1 + exp(-x))``."""

    def _call(self, x: Tensor) -> Tensor:
        y: Tensor = x.sigmoid()
        return y.clamp(finfo(y.dtype).tiny, 1 - finfo(y.dtype).eps)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.clamp(finfo(y.dtype).tiny, 1 - finfo(y.dtype).eps).logit()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``-softplus(x) - softplus(-x)``."""
        return -F.softplus(-x) - F.softplus(x)


class SoftplusTransform(Transform):
    """``log(1 + exp(x))``."""

    def _call(self, x: Tensor) -> Tensor:
        return F.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        result: Tensor = (-(-y).expm1()).log() + y
        return result

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log sigmoid(x)``."""
        return -F.softplus(-x)


class TanhTransform(Transform):
    """``tanh(x)``, which brings actions between bounds."""

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log(1 - tanh(x)²)``, in a form that does not cancel."""
        result: Tensor = (x + F.softplus(x * -2) - math.log(2)) * -2
        return result


class AbsTransform(Transform):
    """``|x|``; its inverse gives the positive one of both arguments."""

    bijective, sign = False, 0

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class SoftmaxTransform(Transform):
    """``exp(x)`` divided by its sum over the last dimension; its inverse gives logarithms. It has no density."""

    bijective, sign, event_dim = False, 0, 1

    def _call(self, x: Tensor) -> Tensor:
        result: Tensor = x.softmax(-1)
        return result

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """k numbers to k + 1 positive ones of sum 1: each breaks its share off what is left of a stick."""

    sign, event_dim = 0, 1

    def _offset(self, x: Tensor) -> Tensor:
        from ..creation import arange

        k = x.shape[-1]
        return (-arange(k, dtype=x.dtype, device=x.device) + k).log()

    def _call(self, x: Tensor) -> Tensor:
        share = (x - self._offset(x)).sigmoid()
        left = (1 - share).cumprod(-1)
        result: Tensor = F.pad(share, (0, 1), value=1) * F.pad(left, (1, 0), value=1)
        return result

    def _inverse(self, y: Tensor) -> Tensor:
        front = y[..., :-1]
        left = (1 - front.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        result: Tensor = front.log() - left.log() + self._offset(front)
        return result

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``sum(log sigmoid(x') - x' + log y)``, x' being x less the offsets."""
        x = x - self._offset(x)
        result: Tensor = (-x + F.logsigmoid(x) + y[..., :-1].log()).sum(-1)
        return result


class IndependentTransform(Transform):
    """A transform whose last dimensions are seen as one outcome, so that its logarithms are summed over them.

    Args:
        base_transform: the function.
        reinterpreted_batch_ndims: how many further dimensions.
    """

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0):
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.bijective, self.sign = base_transform.bijective, base_transform.sign
        self.event_dim = base_transform.event_dim + reinterpreted_batch_ndims

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the function's."""
        return summed(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)


class ComposeTransform(Transform):
    """Transforms one after the other.

    Args:
        parts: the first to be applied first.
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0):
        super().__init__(cache_size)
        self.parts = list(parts)
        self.bijective = all(part.bijective for part in self.parts)
        self.event_dim = max((part.event_dim for part in self.parts), default=0)

    @property
    def sign(self) -> Any:
        """The product of the signs."""
        sign: Any = 1
        for part in self.parts:
            sign = sign * part.sign
        return sign

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the parts', each at what the ones before it make of ``x``."""
        total: Any = 0.0
        for part in self.parts:
            z = part(x)
            total = total + summed(part.log_abs_det_jacobian(x, z), self.event_dim - part.event_dim)
            x = z
        return total if self.parts else x.new_zeros(x.shape)

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts})"


identity_transform = ComposeTransform([])
