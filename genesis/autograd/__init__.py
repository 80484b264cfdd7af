"""Automatic differentiation: the graph of operations, backward, and the modes that switch recording off."""

from .engine import backward, grad
from .graph import Node, apply, same_device
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = ["Node", "apply", "backward", "enable_grad", "grad", "inference_mode", "is_grad_enabled", "no_grad",
           "same_device", "set_grad_enabled"]
