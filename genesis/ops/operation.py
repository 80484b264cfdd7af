"""What an operation is to autograd: a forward on arrays, a backward on gradients, and what is kept between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import GenesisError
from .array import Array
from .precision import policy


class Context:
    """What an operation's forward keeps for its backward.

    Attributes:
        needs: for each input, whether it needs a gradient.
        targets: for each input, an array into which backward may write that input's gradient instead of into a new
            one; None where there is none. Returning the array itself says that it was used.
        so_far: for an operation with `Operation.adds`, the gradient of its input so far, if there is one.
        casts: for each input the type from which autocast converted it, or None; None when it converted none.
    """

    casts: list[Any] | None = None
    so_far: Array | None = None

    def __init__(self, needs: tuple[bool, ...]):
        self.needs = needs
        self.targets: tuple[Array | None, ...] = (None,) * len(needs)
        self._saved: tuple[Any, ...] = ()
        self._versions: tuple[int, ...] = ()

    if TYPE_CHECKING:      # operations keep plain values under names of their own
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def save(self, *values: Any) -> None:
        """Keep arrays (and numbers) for backward, which raises if an array is changed in place meanwhile."""
        self._saved = values
        self._versions = tuple([v.version.now if isinstance(v, Array) else 0 for v in values])

    @property
    def saved(self) -> tuple[Any, ...]:
        """What was saved."""
        for value, version in zip(self._saved, self._versions):
            if isinstance(value, Array) and value.version.now != version:
                raise GenesisError(
                    f"a tensor of shape {value.shape} that backward needs was changed in place after it was used "
                    f"({value.version.now - version} times); use an operation that makes a new tensor, or clone() it")
        return self._saved

    def clear(self) -> None:
        """Let go of what was saved."""
        self._saved = ()


class Operation:
    """Base class: ``forward`` computes an array, ``backward`` the gradients of the inputs.

    ``forward(ctx, *inputs, **options)`` gets arrays and plain numbers. ``backward(ctx, g)`` gets the gradient of the
    result and returns one gradient an input (None for those that need none), or a bare one for a single input.

    An operation with several results returns a tuple of arrays from ``forward``, also when it has only one, and its
    ``backward(ctx, *gradients)`` gets one gradient a result: None for those that the loss does not depend on, and for
    those that are not floating point.

    Attributes:
        autocast: what autocast does to the inputs: ``"low"``, ``"float32"`` or None; set from the table in
            `genesis.ops.precision`.
        into_targets: whether backward makes use of `Context.targets`, which may have to be allocated.
        adds: whether backward, of an operation with one input, adds to `Context.so_far` and returns that where it can,
            and else returns memory that nobody else knows.
    """

    autocast: ClassVar[str | None] = None
    into_targets: ClassVar[bool] = True
    adds: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found = policy(cls.__name__)
        if found is not None and cls.__module__.startswith(f"{__package__}."):     # not what a user calls the same
            cls.autocast = found

    @classmethod
    def forward(cls, ctx: Context, *inputs: Any, **options: Any) -> Any:
        """Compute the result, or a tuple of results."""
        raise NotImplementedError

    @classmethod
    def backward(cls, ctx: Context, *gradients: Any) -> Any:
        """Compute the inputs' gradients."""
        raise NotImplementedError
