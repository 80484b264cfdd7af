"""Switches of the libraries that PyTorch computes with: programs set them, and here nothing reads them.

OpenCL is all that genesis computes with. Its results repeat bit for bit on a device, and its products of matrices are
float32's, whatever is set.
"""

from . import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
