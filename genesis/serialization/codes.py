"""Element types as safetensors and as PyTorch name them."""

from __future__ import annotations

import ml_dtypes
import numpy as np

# safetensors' name of every element type it and NumPy (with ml_dtypes) both have, by NumPy's name
CODE_OF: dict[str, str] = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "bfloat16": "BF16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a name among the keys of `CODE_OF`."""
    return np.dtype(getattr(ml_dtypes, name, None) or name)


DTYPE_OF: dict[str, np.dtype] = {code: numpy_dtype(name) for name, code in CODE_OF.items()}

# NumPy scalars are kept as bytes in the metadata, where complex numbers of any width are no trouble
SCALAR_TYPES: dict[str, np.dtype] = {name: numpy_dtype(name) for name in CODE_OF} | {
    "complex128": np.dtype(np.complex128)
}

# torch.FloatStorage and its kin
TORCH_STORAGES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
}

# torch.float32 and its kin, under both of the names that some have
TORCH_DTYPES: dict[str, np.dtype] = {name: numpy_dtype(name) for name in CODE_OF} | {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "half": np.dtype(np.float16),
    "long": np.dtype(np.int64),
    "int": np.dtype(np.int32),
    "short": np.dtype(np.int16),
    "complex128": np.dtype(np.complex128),
}
