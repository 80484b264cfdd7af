"""How a tensor's elements lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import apply
from ..layouts import MemoryFormat, channels_last, channels_last_3d, contiguous_format
from ..ops.pointwise import Copy
from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


class Layout(Methods):
    """Sizes, strides and gaps; none of these is a function at the top level."""

    __slots__ = ()

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """A number for the place of the first element: that of tensors which begin at the same memory, 0 for none.

        It is no address that the host could read from.
        """
        x = self._array
        return x.buffer.handle.int_ptr + x.offset * self.itemsize if x.size else 0

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, or that of one dimension."""
        return self._array.strides if dim is None else self._array.strides[dim]

    def storage_offset(self) -> int:
        """Position of the first element in its buffer."""
        return self._array.offset

    def contiguous(self, memory_format: MemoryFormat = contiguous_format) -> Tensor:
        """The tensor itself when its elements lie row by row, else a copy that does.

        ``memory_format`` is accepted as PyTorch has it; the elements lie row by row in any case.
        """
        return self if self._array.is_contiguous() else apply(Copy, self)  # type: ignore[return-value]

    def is_contiguous(self, memory_format: MemoryFormat = contiguous_format) -> bool:
        """Whether the elements lie row by row without gaps; or, for ``channels_last``, the channels innermost."""
        x = self._array
        if memory_format in (channels_last, channels_last_3d):
            wanted = 4 if memory_format is channels_last else 5
            return len(x.shape) == wanted and x.permute((0, *range(2, wanted), 1)).is_contiguous()
        return x.is_contiguous()
