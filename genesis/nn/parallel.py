"""What programs for several GPUs wrap a model in; here it runs on one device."""

from __future__ import annotations

from typing import Any

from .module import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """A module under the name ``module``, called as it is, as PyTorch's where there is one device at most.

    Programs may wrap their models, and load states whose names begin with ``module.``.

    Args:
        module: the module; it runs where its parameters are.
        device_ids, output_device, dim: accepted as PyTorch has them; batches are not divided.

    Example:
        >>> model = genesis.nn.DataParallel(genesis.nn.Linear(3, 2))
        >>> list(model.state_dict()), model(genesis.ones(4, 3)).shape
        (['module.weight', 'module.bias'], genesis.Size([4, 2]))
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0):
        super().__init__()
        self.module = module
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module makes of the arguments."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(DataParallel):
    """Not there: a model trains in one process. `DataParallel` wraps one, under the same names of parameters.

    Raises:
        RuntimeError: whenever one is made.
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any):
        raise RuntimeError("DistributedDataParallel: genesis trains in one process, on one device; use the model as it "
                           "is, or nn.DataParallel for the same names of parameters")
