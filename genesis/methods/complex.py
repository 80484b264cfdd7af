"""What complex tensors have: their parts, conjugates and angles."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import apply
from ..dtypes import bool_, get_default_dtype
from ..ops import complex as ops
from ..ops.views import Slice
from .support import Methods, nothing


class Complex(Methods):
    """Parts, conjugates and angles; real tensors have them too, as far as PyTorch's do."""

    __slots__ = ()
    FUNCTIONS = "angle conj conj_physical is_conj is_neg isreal resolve_conj resolve_neg"
    IN_PLACE = "conj_physical"

    @property
    def real(self) -> Any:
        """The real parts, a view; of a real tensor the tensor itself. Assigning to it changes them."""
        return self._part(0) if self.dtype.is_complex else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        """The imaginary parts, a view. Assigning to it changes them.

        Raises:
            RuntimeError: the tensor is real.
        """
        if not self.dtype.is_complex:
            raise RuntimeError(f"a tensor of {self.dtype} has no imaginary part")
        return self._part(1)

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value

    def _part(self, which: int) -> Any:
        whole = tuple((0, 1, n) for n in self._array.shape)
        return apply(Slice, apply(ops.ViewAsReal, self), selection=(*whole, which))

    def conj(self) -> Any:
        """The conjugates, a copy; of a real tensor the tensor itself."""
        return apply(ops.Conj, self) if self.dtype.is_complex else self

    conj_physical = conj

    def angle(self) -> Any:
        """The angle of each element in the complex plane, in (-π, π]; of a real one 0 or π, and NaN for NaN."""
        if self.dtype.is_complex:
            return apply(ops.Angle, self)
        flat = (self < 0).to(self.dtype if self.dtype.is_floating_point else get_default_dtype()) * math.pi
        flat = flat.where(~self.isnan(), math.nan)
        return flat + nothing(self) if self.requires_grad else flat

    def resolve_conj(self) -> Any:
        """The tensor itself: `conj` leaves nothing to be done."""
        return self

    resolve_neg = resolve_conj

    def is_conj(self) -> bool:
        """False: `conj` computes its result at once."""
        return False

    is_neg = is_conj

    def isreal(self) -> Any:
        """Whether each element has the imaginary part 0."""
        return self.imag == 0 if self.dtype.is_complex else self.new_full(self._array.shape, True, dtype=bool_)
