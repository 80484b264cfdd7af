"""Finding the operation whose backward makes the first NaN."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph import Node


class _State(threading.local):
    enabled = False


state = _State()


class set_detect_anomaly:
    """Look for NaN in all gradients, or stop doing so; as a context, until it is left.

    Backward then waits for the device after each operation, so this is for finding a fault and not for training.

    Args:
        mode: whether to look.
        check_nan: False to look for nothing.

    Example:
        >>> x = genesis.zeros(1, requires_grad=True)
        >>> with genesis.autograd.set_detect_anomaly(True):
        ...     (x.sqrt() * 0).sum().backward()
        Traceback (most recent call last):
        RuntimeError: SqrtBackward returned NaN in the gradient of input 0, of shape (1,)
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = state.enabled
        state.enabled = bool(mode) and bool(check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        state.enabled = self._before


class detect_anomaly(set_detect_anomaly):
    """A context in which backward looks for NaN in all gradients; see `set_detect_anomaly`.

    Args:
        check_nan: False to look for nothing.

    Raises:
        RuntimeError: from backward, with the name of the operation that made one.
    """

    def __init__(self, check_nan: bool = True):
        super().__init__(True, check_nan)


def check(node: Node, grads: Sequence[Any]) -> None:
    """Refuse NaN among the gradients of a node's inputs, arrays or tensors."""
    from ..ops.sparse import SparseRows
    from ..tensor import Tensor

    for i, g in enumerate(grads):
        if g is None:
            continue
        x: Any = g.detach() if isinstance(g, Tensor) else Tensor._wrap(g.values if type(g) is SparseRows else g)
        if x.isnan().any():
            raise RuntimeError(f"{node.name()} returned NaN in the gradient of input {i}, of shape {tuple(g.shape)}")
