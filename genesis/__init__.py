"""genesis: train neural networks on any device with an OpenCL driver.

The interface follows PyTorch's. Every optimizer in `genesis.optim` is a short kernel in ``cl/optim``.

Example:
    >>> model = genesis.nn.Linear(3, 1)
    >>> optimizer = genesis.optim.Adam(model.parameters(), lr=0.01)
    >>> loss = (model(genesis.ones(2, 3)) - 1).square().mean()
    >>> loss.backward()
    >>> optimizer.step()
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from . import amp, autograd, data, distributions, dtypes, errors, func, functions, nn, opencl, optim, random, utils
from .amp import autocast, get_autocast_dtype, is_autocast_enabled
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    from_pyopencl,
    full,
    full_like,
    linspace,
    logspace,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    scalar_tensor,
    zeros,
    zeros_like,
)
from .dlpack import from_dlpack
from .dtypes import (
    bfloat16,
    bool_,
    can_cast,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int32,
    int64,
    promote_types,
    result_type,
    uint8,
)
from .dtypes import bool_ as bool
from .errors import (
    DeviceIndexError,
    GenesisError,
    KernelError,
    NoDeviceError,
    OutOfMemoryError,
    SecondDerivativeError,
)
from .fingerprint import fingerprint
from .functions import *
from .opencl import Device, device, devices, set_default_device, synchronize
from .random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .serialization import CheckpointError, load, save
from .tensor import Size, Tensor, tensor

try:
    __version__ = _version("genesis-cl")
except _PackageNotFoundError:      # run from a checkout that is not installed
    __version__ = "0+unknown"

enable_autocast = False     # True: operations choose their precision outside `autocast` regions too

__all__ = [
    "CheckpointError", "Device", "DeviceIndexError", "Generator", "GenesisError", "KernelError", "NoDeviceError",
    "OutOfMemoryError", "SecondDerivativeError", "Size", "Tensor", "amp", "arange", "as_tensor", "autocast",
    "autograd", "bfloat16", "bool", "bool_", "can_cast", "data", "device", "devices", "distributions", "dtypes",
    "empty", "empty_like", "enable_autocast", "enable_grad", "errors", "eye", "finfo", "fingerprint", "float16",
    "float32", "float64", "from_dlpack", "from_numpy", "from_pyopencl", "full", "full_like", "func",
    "get_autocast_dtype", "get_default_dtype", "get_rng_state", "iinfo", "inference_mode", "initial_seed", "int32",
    "int64", "is_autocast_enabled", "is_grad_enabled", "linspace", "load", "logspace", "manual_seed", "nn", "no_grad",
    "normal", "ones", "ones_like", "opencl", "optim", "promote_types", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "random", "randperm", "result_type", "save", "scalar_tensor", "seed", "set_default_device",
    "set_grad_enabled", "set_rng_state", "synchronize", "tensor", "uint8", "utils", "zeros", "zeros_like",
    *functions.__all__,
]
