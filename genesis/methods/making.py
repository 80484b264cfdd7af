"""New tensors of this one's type on its device, and what a program asks about the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


class Making(Methods):
    """New tensors of this one's type and on its device, unless others are given; questions about the type."""

    __slots__ = ()
    FUNCTIONS = "equal is_complex is_floating_point is_nonzero is_same_size is_signed numel"

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """A tensor with a copy of ``data``; see `genesis.tensor`."""
        from ..tensor import tensor

        return tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
                 requires_grad: bool = False) -> Any:
        """A tensor with the same number everywhere."""
        from ..creation import full

        return full(size, fill_value, dtype=dtype or self.dtype, device=device or self.device,
                    requires_grad=requires_grad)

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """A tensor of zeros."""
        from ..creation import zeros

        return zeros(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """A tensor of ones."""
        from ..creation import ones

        return ones(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def new_empty(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """A tensor whose elements are whatever the memory holds."""
        from ..creation import empty

        return empty(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def new(self, *data: Any, device: Any = None) -> Any:
        """A tensor of sizes, with any elements, or with a copy of data, as `genesis.Tensor` makes it; an older form.

        Example:
            >>> genesis.ones(2, dtype=genesis.int64).new([3, 4]), genesis.ones(2).new(5, 6).shape
            (tensor([3, 4]), genesis.Size([5, 6]))
        """
        from ..tensor import Tensor

        return Tensor(*data, dtype=self.dtype, device=device or self.device)

    def pin_memory(self) -> Any:
        """The tensor itself: genesis copies between host and device without memory of a kind of its own."""
        return self

    def type_as(self, other: Tensor) -> Any:
        """Converted to the element type of another tensor."""
        return self.to(other.dtype)

    def numel(self) -> int:
        """Number of elements."""
        return self._array.size

    nelement = numel

    def ndimension(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def element_size(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the element type is a floating-point type."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the element type is complex64 or complex128."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether the element type has negative numbers."""
        return self.dtype.kind in "ifc"

    def is_same_size(self, other: Tensor) -> bool:
        """Whether another tensor has the same shape."""
        return self._array.shape == other._array.shape

    def is_nonzero(self) -> bool:
        """Whether the value of a one-element tensor is not 0; waits for the device."""
        return bool(self)

    def equal(self, other: Tensor) -> bool:
        """Whether another tensor has the same shape and the same elements; waits for the device."""
        return self.is_same_size(other) and bool(self.eq(other).all())
