"""Constraints: where parameters and outcomes of distributions may lie, by PyTorch's names.

``constraint.check(x)`` says, for each element or event, whether it lies there.

Example:
    >>> from genesis.distributions import constraints
    >>> constraints.positive.check(genesis.tensor([-1.0, 2.0]))
    tensor([False,  True])
"""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

__all__ = ["Constraint", "boolean", "dependent", "greater_than", "greater_than_eq", "half_open_interval",
           "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
           "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive",
           "positive_definite", "positive_integer", "real", "real_vector", "simplex", "square", "symmetric",
           "unit_interval"]


class Constraint:
    """Where values may lie.

    Attributes:
        is_discrete: whether the values lie apart from one another.
        event_dim: how many of the last dimensions are one value.
    """

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Any:
        """bool, whether values lie there, in their shape without the last ``event_dim`` dimensions."""
        raise NotImplementedError(f"{type(self).__name__} has no check()")

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value}" for name, value in self.__dict__.items())
        return f"{type(self).__name__.lstrip('_')}({inner})"


class _Dependent(Constraint):
    """Depends on other parameters."""

    def check(self, value: Tensor) -> Any:
        raise ValueError("a constraint that depends on parameters is known of an object only: its `support`")


class _Independent(Constraint):
    """Of each element of the last dimensions."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    def check(self, value: Tensor) -> Any:
        n, result = self.reinterpreted_batch_ndims, self.base_constraint.check(value)
        return result.all(tuple(range(-n, 0))) if n else result

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Real(Constraint):
    """Any number but NaN."""

    def check(self, value: Tensor) -> Any:
        return value == value


class _Boolean(Constraint):
    """0 or 1."""

    is_discrete = True

    def check(self, value: Tensor) -> Any:
        zero: Any = value == 0
        return zero.logical_or(value == 1)


class _OneHot(Constraint):
    """Vectors of zeros and a one."""

    is_discrete, event_dim = True, 1

    def check(self, value: Tensor) -> Any:
        return boolean.check(value).all(-1).logical_and(value.sum(-1) == 1)


class _IntegerInterval(Constraint):
    """Whole numbers between bounds, which belong to it."""

    is_discrete = True

    def __init__(self, lower_bound: Any, upper_bound: Any):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Tensor) -> Any:
        return (value.fmod(1) == 0).logical_and(value >= self.lower_bound).logical_and(value <= self.upper_bound)


class _IntegerGreaterThan(Constraint):
    """Whole numbers from a bound on."""

    is_discrete = True

    def __init__(self, lower_bound: Any):
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Any:
        return (value.fmod(1) == 0).logical_and(value >= self.lower_bound)


class _GreaterThan(Constraint):
    """Above a bound."""

    def __init__(self, lower_bound: Any):
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Any:
        return value > self.lower_bound


class _GreaterThanEq(_GreaterThan):
    """From a bound on."""

    def check(self, value: Tensor) -> Any:
        return value >= self.lower_bound


class _LessThan(Constraint):
    """Below a bound."""

    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Any:
        return value < self.upper_bound


class _Interval(Constraint):
    """Between bounds, which belong to it."""

    def __init__(self, lower_bound: Any, upper_bound: Any):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Tensor) -> Any:
        return (value >= self.lower_bound).logical_and(value <= self.upper_bound)


class _HalfOpenInterval(_Interval):
    """Between bounds, of which the upper one does not belong to it."""

    def check(self, value: Tensor) -> Any:
        return (value >= self.lower_bound).logical_and(value < self.upper_bound)


class _Simplex(Constraint):
    """Vectors of numbers that are not negative and whose sum is 1, to 1e-6."""

    event_dim = 1

    def check(self, value: Tensor) -> Any:
        return (value >= 0).all(-1).logical_and((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Vectors of whole numbers that are not negative, whose sum is at most a bound."""

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Any:
        return (value >= 0).all(-1).logical_and(value.sum(-1) <= self.upper_bound)


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        return value.new_full(value.shape[:-2], value.shape[-1] == value.shape[-2]).bool()


class _Symmetric(_Square):
    """Symmetric matrices, to 1e-6."""

    def check(self, value: Tensor) -> Any:
        if value.shape[-1] != value.shape[-2]:
            return super().check(value)
        return value.isclose(value.mT, atol=1e-6).all((-2, -1))


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices of positive eigenvalues."""

    def check(self, value: Tensor) -> Any:
        from ..linalg import cholesky_ex

        symmetric = super().check(value)
        if value.shape[-1] != value.shape[-2]:
            return symmetric
        return symmetric.logical_and(cholesky_ex(value.detach()).info == 0)


class _LowerTriangular(Constraint):
    """Lower triangular matrices."""

    event_dim = 2

    def check(self, value: Tensor) -> Any:
        return (value.tril() == value).all((-2, -1))


class _LowerCholesky(_LowerTriangular):
    """Lower triangular matrices of positive diagonals."""

    def check(self, value: Tensor) -> Any:
        return super().check(value).logical_and((value.diagonal(0, -2, -1) > 0).all(-1))


def is_dependent(constraint: Constraint) -> bool:
    """Whether a constraint depends on parameters, so that it is known of an object only."""
    return isinstance(constraint, _Dependent)


dependent = _Dependent()
independent = _Independent
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
square = _Square()
symmetric = _Symmetric()
positive_definite = _PositiveDefinite()
