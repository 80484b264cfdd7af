"""Names of memory layouts, which PyTorch's programs ask for: genesis takes them and lets memory lie row by row."""

from __future__ import annotations


class MemoryFormat:
    """The name of a layout."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"genesis.{self.name}"


class Layout(MemoryFormat):
    """The name of what a tensor's ``layout`` says: whether all elements are there, or only some rows."""


contiguous_format = MemoryFormat("contiguous_format")
legacy_contiguous_format = contiguous_format
preserve_format = MemoryFormat("preserve_format")
channels_last = MemoryFormat("channels_last")
channels_last_3d = MemoryFormat("channels_last_3d")
memory_format = MemoryFormat
strided = Layout("strided")
sparse_coo = Layout("sparse_coo")
layout = Layout
