"""Switches of CUDA's libraries. Those of ``matmul`` and of attention may be set and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

__all__ = ["enable_cudnn_sdp", "enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp", "is_built",
           "sdp_kernel"]

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
                         allow_bf16_reduced_precision_reduction=True)


def is_built() -> bool:
    """False: genesis reaches NVIDIA's devices by OpenCL; `genesis.cuda.is_available` says whether there are any."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Nothing: attention is computed in one way, in memory linear in the length. So are the next three."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Nothing."""


def enable_math_sdp(enabled: bool) -> None:
    """Nothing."""


def enable_cudnn_sdp(enabled: bool) -> None:
    """Nothing."""


@contextmanager
def sdp_kernel(enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True,
               enable_cudnn: bool = True) -> Iterator[None]:
    """Choose how attention is computed in a ``with`` block, by the older name of `nn.attention.sdpa_kernel`."""
    yield
