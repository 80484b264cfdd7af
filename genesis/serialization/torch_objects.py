"""What a pickle of PyTorch may be made of, and how it becomes tensors of ours.

A pickle is run once. What stands for a tensor in it becomes a `TorchTensor`, a note of where its elements lie;
when every note has been checked against the file, the elements are read and the notes give way to tensors.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from .codes import TORCH_DTYPES, TORCH_STORAGES
from .errors import CheckpointError, check_shape, show
from .unpickle import Constructor, add_items, check_key, refuse_global

_MAX_KEY = 256


@dataclass(frozen=True)
class Storage:
    """A run of elements in the file; ``start`` and ``count`` are the part of it that very old files call a view."""

    key: str
    dtype: np.dtype | None  # None: bytes, of the type that the tensor says
    start: int
    count: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.count * (self.dtype.itemsize if self.dtype else 1)


@dataclass(frozen=True)
class TorchTensor:
    """Where a tensor's elements lie: ``offset`` and ``stride`` count elements from the start of the storage."""

    key: str
    dtype: np.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool

    @property
    def identity(self) -> str:
        """Equal for tensors that are one. A string, because the hash of a tuple of numbers can be made to collide."""
        return repr((self.key, self.dtype.name, self.offset, self.size, self.stride, self.requires_grad))


@dataclass(frozen=True)
class Named:
    """A class or dtype that a pickle mentions without calling it."""

    name: str
    storage: bool = False
    dtype: np.dtype | None = None


class TorchObjects:
    """The globals and persistent objects of one pickle.

    Args:
        length: bytes of the pickle. As many items may be copied from one container to another: each has a byte of
            its own in an honest pickle, while copying one list again and again would grow without bound.

    Attributes:
        storages: each storage that the pickle mentions, by its key.
    """

    def __init__(self, length: int):
        self.storages: dict[str, Storage] = {}
        self._copies = length
        self._globals: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_v3,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): self._parameter,
            ("torch._tensor", "_rebuild_from_type_v2"): self._from_type,
            ("torch", "Size"): self._size,
            ("torch", "device"): self._device,
            ("collections", "OrderedDict"): self._dict,
            ("collections", "Counter"): self._dict,
            ("builtins", "set"): self._set,
            ("__builtin__", "set"): self._set,
            ("_codecs", "encode"): self._bytes,
        }

    def lookup(self, module: str, name: str) -> Any:
        """What a global stands for."""
        build = self._globals.get((module, name))
        if build is not None:
            return Constructor(f"{module}.{name}", build)
        if module == "torch" and name in TORCH_STORAGES:
            return Named(name, storage=True, dtype=TORCH_STORAGES[name])
        if module in ("torch", "torch.storage") and name in ("UntypedStorage", "_UntypedStorage"):
            return Named(name, storage=True)
        if module == "torch" and name in TORCH_DTYPES:
            return Named(name, dtype=TORCH_DTYPES[name])
        if (module, name) in (("torch", "Tensor"), ("torch.nn.parameter", "Parameter")):
            return Named(name)
        return refuse_global(module, name)

    def persistent(self, pid: Any) -> Storage:
        """The storage of ``("storage", type, key, location, count)`` and, in old files, a view of it."""
        if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
            raise CheckpointError(
                "the pickle refers to an object outside itself that is no storage; if the file holds a whole model, "
                "save the state_dict() instead"
            )
        kind, key, count = pid[1], pid[2], pid[4]
        if type(kind) is not Named or not kind.storage or type(key) is not str or len(key) > _MAX_KEY:
            raise CheckpointError(f"storage {show(key)} is not described by its type, key, location and size")
        whole = Storage(key, kind.dtype, 0, _count(count, "the size of a storage"))
        if self.storages.setdefault(key, whole) != whole:
            raise CheckpointError(f"storage {show(key)} has one size or type here and another elsewhere")
        if len(pid) == 5 or pid[5] is None:
            return whole
        if type(pid[5]) is not tuple or len(pid[5]) != 3 or kind.dtype is None:
            raise CheckpointError(f"the view of storage {show(key)} is not described by three values")
        start, count = _count(pid[5][1], "the start of a view"), _count(pid[5][2], "the size of a view")
        if start + count > whole.count:
            raise CheckpointError(f"the view of storage {show(key)} reaches beyond it")
        return Storage(key, kind.dtype, start, count)

    # what may be called

    def _tensor(self, arguments: tuple[Any, ...], dtype: np.dtype | None = None) -> TorchTensor:
        if not 4 <= len(arguments) <= 7 or type(arguments[0]) is not Storage:
            raise CheckpointError("a tensor is not described by a storage, offset, size and stride")
        storage, offset, size, stride = arguments[:4]
        if len(arguments) == 7 and arguments[6]:
            raise CheckpointError("a tensor has properties (conjugate or negative bit) that genesis does not read")
        dtype = dtype or storage.dtype or np.dtype(np.uint8)
        # Without a type of its own a storage counts bytes, but the tensor's offset and strides count its elements.
        count = storage.count if storage.dtype else storage.count // dtype.itemsize
        if storage.dtype and storage.dtype != dtype:
            raise CheckpointError(f"a tensor of {dtype.name} lies in a storage of {storage.dtype.name}")
        what = f"a tensor in storage {show(storage.key)}"
        if type(size) is not tuple or type(stride) is not tuple or len(size) != len(stride):
            raise CheckpointError(f"{what} has {show(size)} for a size and {show(stride)} for strides")
        sizes = check_shape(size, dtype.itemsize, what)
        strides = tuple(_count(step, f"a stride of {what}") for step in stride)
        end = _count(offset, f"the offset of {what}")
        if 0 not in sizes:
            end += 1 + sum((length - 1) * step for length, step in zip(sizes, strides))
        if end > count:
            raise CheckpointError(f"{what} reaches to element {show(end)}, but the storage has {count}")
        grad = len(arguments) > 4 and arguments[4] is True
        return TorchTensor(storage.key, dtype, storage.start + offset, sizes, strides, grad)

    def _tensor_v3(self, arguments: tuple[Any, ...]) -> TorchTensor:
        """As ``_tensor``, with the dtype after the hooks: for the types that have no storage class."""
        dtype = arguments[6] if len(arguments) in (7, 8) else None
        if type(dtype) is not Named or dtype.dtype is None or dtype.storage:
            raise CheckpointError(f"a tensor has {show(dtype)} for a dtype")
        return self._tensor(arguments[:6] + arguments[7:], dtype.dtype)

    def _parameter(self, arguments: tuple[Any, ...]) -> TorchTensor:
        """``(tensor, requires_grad, hooks[, state])``; the state is attributes a user set, and is dropped."""
        if len(arguments) not in (3, 4) or type(arguments[0]) is not TorchTensor:
            raise CheckpointError("a parameter is made of something else than a tensor")
        return dataclasses.replace(arguments[0], requires_grad=arguments[1] is True)

    def _from_type(self, arguments: tuple[Any, ...]) -> Any:
        """``(constructor, class, its arguments, state)``: a tensor with attributes, which are dropped."""
        # Not _from_type itself: none of these calls another constructor, so the depth of calls is two.
        allowed = (self._tensor, self._tensor_v3, self._parameter)
        if len(arguments) != 4 or type(arguments[0]) is not Constructor or arguments[0].build not in allowed:
            raise CheckpointError("a tensor with attributes is not described as PyTorch does")
        if type(arguments[2]) is not tuple:
            raise CheckpointError(f"a tensor with attributes is described by {show(arguments[2])}")
        return arguments[0].build(arguments[2])

    def _size(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        items = self._copied(arguments, (tuple, list))
        return tuple(_count(item, "a size") for item in items)

    def _device(self, arguments: tuple[Any, ...]) -> str:
        if len(arguments) == 2 and type(arguments[0]) is str and type(arguments[1]) is int:
            return f"{arguments[0][:80]}:{_count(arguments[1], 'the number of a device')}"
        if len(arguments) == 1 and type(arguments[0]) is str:
            return arguments[0]
        raise CheckpointError("a device is not described by its name and number")

    def _dict(self, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        """OrderedDict, of pairs in Python 2, and Counter, of a dict. Both become plain dicts."""
        result: dict[Any, Any] = {}
        if not arguments:
            return result
        items = self._copied(arguments, (list, dict))
        if type(items) is dict:
            return dict(items)
        if any(type(item) not in (list, tuple) or len(item) != 2 for item in items):
            raise CheckpointError("an OrderedDict is made of something else than pairs")
        add_items(result, items)
        return result

    def _set(self, arguments: tuple[Any, ...]) -> set[Any]:
        return {check_key(item) for item in self._copied(arguments, (list, tuple))}

    def _bytes(self, arguments: tuple[Any, ...]) -> bytes:
        """``bytes`` as protocol 2 writes them: a string whose characters are the bytes."""
        text = self._copied(arguments[:1], (str,))
        if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1"):
            raise CheckpointError(f"bytes are given in the encoding {show(arguments[1:])}")
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise CheckpointError("bytes are given as a string that is not Latin-1") from None

    def _copied(self, arguments: tuple[Any, ...], kinds: tuple[type, ...]) -> Any:
        if len(arguments) != 1 or type(arguments[0]) not in kinds:
            raise CheckpointError("a container is made of something else than a container")
        self._copies -= len(arguments[0])
        if self._copies < 0:
            raise CheckpointError("the pickle copies its containers more often than one written by PyTorch does")
        return arguments[0]


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise CheckpointError(f"{what} is {show(value)}")
    return value
