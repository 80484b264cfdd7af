"""PyTorch's files before 1.6: five pickles one after the other, then the storages, each with its size in front."""

from __future__ import annotations

from typing import Any

from .errors import CheckpointError, show
from .source import Source
from .torch_build import build
from .torch_objects import Storage, TorchObjects
from .unpickle import MAX_PICKLE, Machine

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_torch_stream(source: Source, device: Any) -> Any:
    """The object in a file of PyTorch's older form.

    Raises:
        CheckpointError: the file is damaged or none of PyTorch's, or holds what genesis refuses.
    """
    # The pickles do not say how long they are. Storages follow, so this is rarely more than the file has to offer.
    data = source.bytes(0, min(source.size, MAX_PICKLE), "the file")
    magic = Machine(data, 0, what="the file")
    if magic.run() != _MAGIC:
        raise CheckpointError("the file is a pickle, but not one that torch.save wrote")
    version = Machine(data, magic.position, what="the version")
    number = version.run()
    if number != _PROTOCOL:
        raise CheckpointError(f"the file is of version {show(number)}; only {_PROTOCOL} is known")
    system = Machine(data, version.position, what="the description of the system")
    system.run()  # sizes of C types; the elements below are little-endian whatever it says
    objects = TorchObjects(len(data))
    pickle = Machine(data, system.position, objects.lookup, objects.persistent, "the object's pickle")
    root = pickle.run()
    listing = Machine(data, pickle.position, what="the list of storages")
    keys = listing.run()
    places = _storages(source, keys, objects.storages, listing.position)
    return build(root, lambda key: source.array(*places[key], f"storage {show(key)}"), source.size, device)


def _storages(source: Source, keys: Any, known: dict[str, Storage], position: int) -> dict[str, tuple[int, int]]:
    """Start and bytes of each storage, after making sure that the storages fill the rest of the file exactly."""
    if type(keys) is not list:
        raise CheckpointError("the list of storages is no list")
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        if type(key) is not str or key not in known or key in places:
            raise CheckpointError(f"the list of storages has {show(key)}, unknown to the object or twice in the list")
        count = known[key].count
        found = int.from_bytes(source.bytes(position, 8, f"the size of storage {show(key)}"), "little")
        if found != count:
            raise CheckpointError(f"storage {show(key)} should have {count} elements, but has {found} at {position}")
        places[key] = (position + 8, known[key].nbytes)
        position = sum(places[key])
        if position > source.size:
            raise CheckpointError(f"storage {show(key)} should end at byte {position}, but the file at {source.size}")
    if len(places) != len(known):
        raise CheckpointError(f"the file does not hold storage {show(min(known.keys() - places.keys()))}")
    if position != source.size:
        raise CheckpointError(f"the storages end at byte {position}, but the file at byte {source.size}")
    return places
