"""Switches of CUDA's libraries. Those of ``matmul`` may be set and change nothing."""

from __future__ import annotations

from types import SimpleNamespace

__all__ = ["is_built"]

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
                         allow_bf16_reduced_precision_reduction=True)


def is_built() -> bool:
    """False: genesis reaches NVIDIA's devices by OpenCL; `genesis.cuda.is_available` says whether there are any."""
    return False
