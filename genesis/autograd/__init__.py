"""Automatic differentiation: the graph of operations, backward, and the modes that switch recording off."""

from . import function, functional, inplace
from .anomaly import detect_anomaly, set_detect_anomaly
from .engine import backward, grad
from .function import Function, once_differentiable
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .graph import Node, View, apply, bind, refresh, same_device
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .notify import Afterwards
from .variable import Variable

__all__ = [
    "Afterwards", "Function", "GradcheckError", "Node", "Variable", "View",
    "apply", "backward", "bind", "detect_anomaly", "enable_grad", "function",
    "functional", "grad", "gradcheck", "gradgradcheck", "inference_mode", "inplace", "is_grad_enabled", "no_grad",
    "once_differentiable", "refresh", "same_device", "set_detect_anomaly", "set_grad_enabled",
]
