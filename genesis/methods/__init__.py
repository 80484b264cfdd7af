"""The mathematical methods of tensors, a family a module."""

from .algebra import Algebra
from .analysis import Analysis
from .arithmetic import Arithmetic
from .choice import Choice
from .complex import Complex
from .conversion import Conversion
from .layout import Layout
from .making import Making
from .ordering import Ordering
from .parts import Parts
from .pickling import Pickling
from .pointwise import Pointwise
from .products import Products
from .reductions import Reductions
from .sampling import Sampling
from .selection import Selection
from .shapes import Shapes
from .special import Special
from .statistics import Statistics
from .twins import in_place

FAMILIES = (Arithmetic, Pointwise, Special, Reductions, Products, Choice, Selection, Ordering, Statistics, Shapes,
            Complex, Parts, Analysis, Algebra, Sampling, Making)
ELEMENTWISE = (Arithmetic, Pointwise, Choice)      # whose methods all have in-place twins


InPlace = in_place(FAMILIES, ELEMENTWISE)


class TensorMethods(InPlace, *FAMILIES):  # type: ignore[misc, valid-type]
    """Mixin of `genesis.Tensor`; operations follow PyTorch's names, argument order and rules."""

    __slots__ = ()


__all__ = ["ELEMENTWISE", "FAMILIES", "Conversion", "Layout", "Pickling", "TensorMethods"]
