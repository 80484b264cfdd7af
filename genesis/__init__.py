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
from math import e, inf, nan, pi

from . import (
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cuda,
    data,
    distributed,
    distributions,
    dtypes,
    errors,
    fft,
    forms,
    func,
    functions,
    jit,
    linalg,
    nn,
    opencl,
    optim,
    profiler,
    random,
    settings,
    sparse,
    special,
    testing,
    utils,
)
from .amp import autocast, get_autocast_dtype, is_autocast_enabled
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .compiler import _assert as _assert
from .compiler import compile
from .complex_numbers import complex, imag, polar, real, view_as_complex, view_as_real
from .creation import (
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    from_pyopencl,
    frombuffer,
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
    range,
    scalar_tensor,
    zeros,
    zeros_like,
)
from .cuda import amp as _cuda_amp  # noqa: F401  (makes it an attribute of `cuda`)
from .dlpack import from_dlpack
from .dtypes import DType as dtype
from .dtypes import (
    bfloat16,
    bool_,
    can_cast,
    complex64,
    complex128,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    result_type,
    set_default_dtype,
    uint8,
)
from .dtypes import bool_ as bool
from .dtypes import complex64 as cfloat
from .dtypes import complex128 as cdouble
from .dtypes import float16 as half
from .dtypes import float32 as float
from .dtypes import float64 as double
from .dtypes import int16 as short
from .dtypes import int32 as int
from .dtypes import int64 as long
from .errors import (
    DeviceIndexError,
    GenesisError,
    KernelError,
    NoDeviceError,
    OutOfMemoryError,
    SecondDerivativeError,
)
from .fingerprint import fingerprint
from .foreach import *
from .forms import *
from .func import vmap
from .functions import *
from .layouts import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    legacy_contiguous_format,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from .methods.printing import set_printoptions
from .opencl import Device, device, devices, set_default_device, synchronize
from .opencl import default_device as get_default_device
from .random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .serialization import CheckpointError, load, save
from .settings import *
from .sparse import mm as spmm
from .sparse import sparse_coo_tensor
from .spectrograms import istft, stft
from .tensor import Size, Tensor, tensor
from .windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window

from . import places as _places  # isort: skip  # noqa: F401 - it needs all the others

newaxis = None

try:
    __version__ = _version("genesis-cl")
except _PackageNotFoundError:      # run from a checkout that is not installed
    __version__ = "0+unknown"

enable_autocast = False     # True: operations choose their precision outside `autocast` regions too

__all__ = [
    "CheckpointError", "Device", "DeviceIndexError", "Generator", "GenesisError", "KernelError", "NoDeviceError",
    "OutOfMemoryError", "SecondDerivativeError", "Size", "Tensor", "amp", "arange", "as_tensor", "asarray",
    "autocast", "autograd", "bartlett_window", "bfloat16", "blackman_window", "bool", "bool_", "can_cast", "cdouble",
    "cfloat", "complex", "complex128", "complex64", "data", "device", "devices", "distributions", "double", "dtype",
    "dtypes", "e", "empty", "empty_like", "enable_autocast", "enable_grad", "errors", "eye", "fft", "finfo",
    "fingerprint", "float", "float16", "float32", "float64", "from_dlpack", "from_numpy", "from_pyopencl", "frombuffer",
    "full", "full_like", "func", "get_autocast_dtype", "get_default_device", "get_default_dtype", "get_rng_state",
    "half", "hamming_window", "hann_window", "iinfo", "imag", "inf", "inference_mode", "initial_seed", "int", "int16",
    "int32", "int64", "int8", "is_autocast_enabled", "is_grad_enabled", "istft", "kaiser_window", "linalg", "linspace",
    "load", "logspace", "long", "manual_seed", "nan", "newaxis", "nn", "no_grad", "normal", "ones", "ones_like",
    "opencl", "optim", "pi", "polar", "promote_types", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "random", "randperm", "range", "real", "result_type", "save", "scalar_tensor", "seed",
    "set_default_device", "set_default_dtype", "set_grad_enabled", "set_printoptions", "set_rng_state", "short",
    "special", "stft", "synchronize", "tensor", "uint8", "utils", "view_as_complex", "view_as_real", "zeros",
    "zeros_like", "accelerator",
    "channels_last", "channels_last_3d", "contiguous_format", "cuda", "memory_format", "preserve_format",
    "backends", "compile", "compiler", "distributed", "jit", "legacy_contiguous_format", "layout", "sparse",
    "profiler", "sparse_coo", "sparse_coo_tensor", "spmm", "strided", "testing", "vmap",
    *forms.__all__, *settings.__all__, *functions.__all__,
]
