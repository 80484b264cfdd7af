"""The mathematical methods of tensors, a family a module."""

from .arithmetic import Arithmetic
from .choice import Choice
from .ordering import Ordering
from .pointwise import Pointwise
from .products import Products
from .reductions import Reductions
from .selection import Selection
from .shapes import Shapes

FAMILIES = (Arithmetic, Pointwise, Reductions, Products, Choice, Selection, Ordering, Shapes)


class TensorMethods(*FAMILIES):  # type: ignore[misc]
    """Mixin of `genesis.Tensor`; operations follow PyTorch's names, argument order and rules."""

    __slots__ = ()


__all__ = ["FAMILIES", "TensorMethods"]
