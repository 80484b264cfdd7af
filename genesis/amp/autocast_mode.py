"""The region in which operations choose their precision themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..autograd import casting
from ..autograd.modes import inside
from ..dtypes import DType, as_dtype
from ..opencl import Device


class _Stack(threading.local):
    """The settings from before, a list a thread, so that one object can be entered in several."""

    def __init__(self) -> None:
        self.settings: list[Any] = []


class autocast:
    """A region in which each operation runs in the precision that suits it: products in 16 bits, sums in float32.

    Use it in a ``with`` block around the forward pass and the loss, or as a decorator; regions nest. Backward belongs
    outside: it follows what forward did. Parameters stay as they are, and their gradients come in their own type.

    Outside all regions, setting ``genesis.enable_autocast = True`` switches the same on for all threads; a region with
    ``enabled=False`` switches it off all the same.

    What runs in which precision:

    - **16 bits**: matmul, mm, bmm, @, einsum, tensordot; addmm, addmv, addr, baddbmm, addbmm; nn.functional.linear;
      nn.functional.conv1d, conv2d, conv_transpose2d; nn.functional.scaled_dot_product_attention; products of RNN, LSTM
      and GRU; nn.functional.prelu.
    - **float32**: exp, exp2, expm1; log, log2, log10, log1p; pow, square, rsqrt, reciprocal; tan, asin, acos, sinh,
      cosh, asinh, acosh, atanh; logit, xlogy, logaddexp, erfinv; sum, nansum, mean, prod, var, std, norm, logsumexp;
      cumsum, cumprod, logcumsumexp; softmax, log_softmax; nn.functional.softplus, logsigmoid;
      nn.functional.layer_norm, rms_norm, group_norm, batch_norm, instance_norm; cross_entropy, nll_loss, mse_loss and
      the other losses.
    - **the widest of the inputs' types**: everything else, such as ``+``, ``*``, relu, cat and where.

    Inputs that are not floating point stay as they are, and so do all inputs of an operation when one is float64.

    bfloat16 has the range of float32 and needs nothing else. float16 is more exact but overflows at 65,504; use
    `genesis.amp.GradScaler` with it.

    Args:
        device_type: accepted as PyTorch has it, ``autocast("cuda")``; all devices are treated alike. A truth value in
            this place is ``enabled``: ``autocast(False)``.
        dtype: ``genesis.bfloat16`` (the default) or ``genesis.float16``.
        enabled: whether autocast is on inside.
        cache_enabled: whether a parameter's 16-bit copy is kept until the outermost region ends; default True.

    Raises:
        ValueError: another ``dtype``.

    References:
        Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740.

    Example:
        >>> layer = genesis.nn.Linear(4, 2)
        >>> with genesis.autocast():
        ...     y = layer(genesis.ones(3, 4))
        ...     print(y.dtype, y.sum().dtype)
        genesis.bfloat16 genesis.float32
        >>> y.sum().backward()
        >>> layer.weight.grad.dtype
        genesis.float32
    """

    def __new__(cls, device_type: Any = None, *args: Any, **kwargs: Any) -> Any:
        """A region; or the function decorated, when used without parentheses."""
        if callable(device_type):
            return cls()(device_type)
        return super().__new__(cls)

    def __init__(self, device_type: Any = None, dtype: DType | None = None, enabled: Any = True,
                 cache_enabled: bool | None = None):
        if device_type is not None and not isinstance(device_type, str | Device):
            device_type, enabled = None, device_type
        wanted = casting.state.dtype if dtype is None else as_dtype(dtype)
        if wanted not in casting.HALVES:
            raise ValueError(f"autocast works in bfloat16 or float16, not in {dtype}")
        self._default = dtype is None
        self.enabled, self.dtype, self.device_type = bool(enabled), wanted, device_type
        self.cache_enabled = cache_enabled
        self._stack = _Stack()

    def __enter__(self) -> autocast:
        caching = casting.state.caching if self.cache_enabled is None else bool(self.cache_enabled)
        self._stack.settings.append(casting.enter((self.enabled, self.dtype, caching)))
        return self

    def __exit__(self, *exc: object) -> None:
        casting.leave(self._stack.settings.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its body run in the region; of a generator, each of its steps."""
        return inside(self._run, function)

    def _run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        with self:
            return function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"autocast(enabled={self.enabled}, dtype={self.dtype})"


def is_autocast_enabled(device_type: Any = None) -> bool:
    """Whether operations choose their precision here, by a region or by ``genesis.enable_autocast``.

    Args:
        device_type: accepted as PyTorch has it; all devices are treated alike.
    """
    return casting.enabled()


def get_autocast_dtype(device_type: Any = None) -> DType:
    """The 16-bit type of the region that we are in; bfloat16 outside."""
    return casting.state.dtype
