"""Transforms of any real numbers to where a constraint wants them: `biject_to` and `transform_to`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints
from .transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    IndependentTransform,
    SigmoidTransform,
    SoftmaxTransform,
    StickBreakingTransform,
    Transform,
    identity_transform,
)

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]

Factory = Callable[[Any], Transform]


class ConstraintRegistry:
    """A function of constraints that gives transforms onto where they hold; `register` adds to it.

    Example:
        >>> D = genesis.distributions
        >>> scale = D.transform_to(D.Normal.arg_constraints["scale"])
        >>> scale(genesis.tensor([0.0]))
        tensor([1.])
    """

    def __init__(self) -> None:
        self._factories: dict[type, Factory] = {}

    def register(self, constraint: Any, factory: Factory | None = None) -> Any:
        """Say what makes the transform for a class of constraints, or for the class of the one given.

        Args:
            constraint: a constraint or a class of them.
            factory: a function of the constraint; without it, a decorator is returned.

        Raises:
            TypeError: ``constraint`` is neither.
        """
        if factory is None:
            return lambda function: self.register(constraint, function)
        kind = constraint if isinstance(constraint, type) else type(constraint)
        if not issubclass(kind, constraints.Constraint):
            raise TypeError(f"register() takes a constraint or a class of them, not {constraint!r}")
        self._factories[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Transform:
        """The transform onto where a constraint holds.

        Raises:
            NotImplementedError: none is known.
        """
        if type(constraint) not in self._factories:
            raise NotImplementedError(f"no transform to {constraint!r} is known; give one by register()")
        return self._factories[type(constraint)](constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _between(constraint: Any) -> Transform:
    low, high = constraint.lower_bound, constraint.upper_bound
    if isinstance(low, float) and isinstance(high, float) and (low, high) == (0.0, 1.0):
        return SigmoidTransform()
    return ComposeTransform([SigmoidTransform(), AffineTransform(low, high - low)])


for _registry in (biject_to, transform_to):
    _registry.register(constraints.real, lambda constraint: identity_transform)
    for _above in (constraints.greater_than, constraints.greater_than_eq):
        _registry.register(_above, lambda constraint: ExpTransform() if constraint is constraints.positive else
                           ComposeTransform([ExpTransform(), AffineTransform(constraint.lower_bound, 1)]))
    _registry.register(constraints.less_than, lambda constraint: ComposeTransform(
        [ExpTransform(), AffineTransform(constraint.upper_bound, -1)]))
    for _kind in (constraints.interval, constraints.half_open_interval):
        _registry.register(_kind, _between)
biject_to.register(constraints.independent, lambda constraint: IndependentTransform(
    biject_to(constraint.base_constraint), constraint.reinterpreted_batch_ndims))
transform_to.register(constraints.independent, lambda constraint: IndependentTransform(
    transform_to(constraint.base_constraint), constraint.reinterpreted_batch_ndims))
biject_to.register(constraints.simplex, lambda constraint: StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: SoftmaxTransform())
