"""Choosing between elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..autograd import apply
from ..dtypes import Scalar
from ..ops import binary
from .support import Methods, operand

if TYPE_CHECKING:
    from ..tensor import Tensor


class Choice(Methods):
    """Choosing between elements."""

    __slots__ = ()
    FUNCTIONS = "clamp masked_fill"

    def where(self, condition: Tensor, other: Any) -> Any:
        """``self`` where the condition holds, ``other`` elsewhere."""
        return apply(binary.Where, condition, self, operand(other, self))

    def masked_fill(self, mask: Tensor, value: Scalar) -> Any:
        """``value`` where the mask is True."""
        return apply(binary.Where, mask, value, self)

    def clamp(self, min: Scalar | None = None, max: Scalar | None = None) -> Any:
        """Elements limited to [min, max]."""
        if min is None and max is None:
            raise RuntimeError("clamp() needs min, max or both")
        return apply(binary.Clamp, self, low=-math.inf if min is None else min, high=math.inf if max is None else max)
