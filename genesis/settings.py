"""Settings of PyTorch's that programs make at their start: all but one are already so, or of no effect here."""

from __future__ import annotations

import numbers
import os

from .ops import matmul, matmul_amx

__all__ = ["are_deterministic_algorithms_enabled", "get_float32_matmul_precision", "get_num_threads",
           "set_float32_matmul_precision", "set_num_threads", "use_deterministic_algorithms"]

_deterministic = False
_threads = os.cpu_count() or 1


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that repeat. They do, bit for bit on the same device, whatever is asked.

    Args:
        mode: what `are_deterministic_algorithms_enabled` is to answer.
        warn_only: accepted as PyTorch has it.
    """
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was last told; False before."""
    return _deterministic


def set_float32_matmul_precision(precision: str) -> None:
    """Allow less precise products of float32 matrices, and convolutions, where that is quicker: with AMX.

    There a product of float32 numbers is made of products of bfloat16 numbers, their parts of 8 bits each. Small
    products, and other devices, calculate in float32 whatever is set here; `autocast` takes products to 16 bits
    anywhere.

    Args:
        precision: ``"highest"``: three parts, the precision of float32 for numbers over 1e-32; ``"high"``: two, about
            16 bits of each number; ``"medium"``: one, its first 8 bits. Sums are float32 with each.

    Raises:
        ValueError: another one.
    """
    if precision not in matmul_amx.PRECISIONS:
        raise ValueError(f"precision must be 'highest', 'high' or 'medium', not {precision!r}")
    matmul_amx.precision = precision
    matmul.forget_plans()


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last told; ``"highest"`` before.

    Example:
        >>> genesis.get_float32_matmul_precision()
        'highest'
    """
    return matmul_amx.precision


def set_num_threads(num: int) -> None:
    """Say how many threads to use. The OpenCL runtime of a CPU decides that for itself, before it first computes.

    Args:
        num: what `get_num_threads` is to answer, at least 1.

    Raises:
        RuntimeError: it is not.
    """
    global _threads
    if not isinstance(num, numbers.Integral) or num < 1:
        raise RuntimeError(f"the number of threads must be a whole number of at least 1, not {num!r}")
    _threads = int(num)


def get_num_threads() -> int:
    """What `set_num_threads` was last told; the number of the machine's CPUs before."""
    return _threads
