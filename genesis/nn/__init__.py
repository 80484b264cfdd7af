"""Layers, losses and what they are made of."""

from . import functional, init, utils
from .container import Flatten, Identity, ModuleList, Sequential
from .layers import CrossEntropyLoss, Dropout, L1Loss, Linear, MSELoss, ReLU, Sigmoid, Tanh
from .module import Module
from .parameter import Parameter

__all__ = ["CrossEntropyLoss", "Dropout", "Flatten", "Identity", "L1Loss", "Linear", "MSELoss", "Module", "ModuleList",
           "Parameter", "ReLU", "Sequential", "Sigmoid", "Tanh", "functional", "init", "utils"]
