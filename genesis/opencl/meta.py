"""The device that has no memory."""

from __future__ import annotations

from typing import Any, NoReturn


class Meta:
    """What ``genesis.device("meta")`` gives: equal to no device that tensors are on, as programs ask.

    PyTorch's tensors there have shapes but no values. Here they do not exist: whatever would make one says so.
    """

    type = "meta"
    index = None

    def __repr__(self) -> str:
        return "device(type='meta')"

    def __str__(self) -> str:
        return self.type

    def refuse(self, *args: Any) -> NoReturn:
        """Raise the error of whatever needs memory."""
        raise NotImplementedError("there are no tensors on 'meta', without memory; make them on a device; "
                                  "genesis.nn.utils.skip_init(class, ...) makes a module without drawing its values")

    def __reduce__(self) -> str:
        return "META"                       # there is one only

    __enter__ = __exit__ = refuse


META = Meta()
