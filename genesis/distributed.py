"""Training by several processes, which genesis does not do: programs can ask, and are told so if they go on.

`is_available` is False, so that programs with a way for one process take it. The functions that need a group of
processes can be imported, and raise a ``RuntimeError``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

__all__ = ["is_available", "is_initialized", "is_torchelastic_launched"]


def is_available() -> bool:
    """False.

    Example:
        >>> genesis.distributed.is_available() and genesis.distributed.is_initialized()
        False
    """
    return False


def is_initialized() -> bool:
    """False: there is no group of processes."""
    return False


def is_torchelastic_launched() -> bool:
    """False."""
    return False


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(f"{name}: genesis trains in one process, on one device; start the program without a "
                           "launcher of several, or guard the call by genesis.distributed.is_available()")

    refuse.__name__ = name
    return refuse


_NAMES = ("all_gather", "all_gather_object", "all_reduce", "barrier", "broadcast", "broadcast_object_list",
          "destroy_process_group", "gather", "get_backend", "get_rank", "get_world_size", "init_process_group",
          "new_group", "recv", "reduce", "reduce_scatter", "scatter", "send")
globals().update((name, _refusing(name)) for name in _NAMES)

ReduceOp = SimpleNamespace(SUM="sum", AVG="avg", PRODUCT="product", MIN="min", MAX="max")
