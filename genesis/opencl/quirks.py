"""What is known of particular OpenCL runtimes: the one table of vendor quirks, and of tuning by device class."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Quirks:
    """How to treat the devices of a runtime.

    Attributes:
        rank: the choice of a default device takes the highest; a negative rank is never chosen unasked.
        warning: said when the device is used; empty when there is nothing to say.
        rule_width: elements a work-item of an optimizer's kernel handles at once.
        parallel: work-items that keep the device busy, a compute unit; decides when a reduction is split.
        max_loop: most iterations all loops of one work-item may take together; 0: no limit.
        host_memory: whether a buffer over host memory is that memory itself, not a copy of it.
        indexed_structs: whether a kernel may index an array inside a struct argument by a computed position.
        half_bits: whether kernels convert single float16 numbers by their bits where there is no cl_khr_fp16:
            vload_half of one element, in work-items that are made lanes of a vector, takes up to eight times as long.
        scalar_erfc: whether erfc takes one number at a time, forty times as long as exp.
        assembly: whether its compiler passes instructions on that a kernel has written out for the processor.
        prefetch: the call that brings the cache line at an address ``p`` nearer, on processors; empty where there is
            none or it gains nothing.
    """

    rank: int = 0
    warning: str = ""
    rule_width: int = 4
    parallel: int = 2048
    max_loop: int = 0
    host_memory: bool = False
    indexed_structs: bool = True
    half_bits: bool = False
    scalar_erfc: bool = False
    assembly: bool = False
    prefetch: str = ""


CPU = Quirks(rank=10, rule_width=16, parallel=4)
INTEGRATED_GPU = Quirks(rank=100)
DISCRETE_GPU = Quirks(rank=200)
ACCELERATOR = Quirks(rank=-1)

_POCL_OLD = ("PoCL 3.0 and older give wrong results or abort the process on some kernels; "
             'install a newer runtime: pip install "genesis-cl[cpu]"')


# OpenCL's own prefetch() does nothing on PoCL; on Intel's runtime it is a call, around which all registers are saved.
_PREFETCH = "__builtin_prefetch(p, 0, 2)"


def lookup(platform: str, version: str, kind: str) -> Quirks:
    """The quirks of a device, by its platform's name and version and by its kind.

    Args:
        platform: the platform's name as the runtime gives it.
        version: the platform's version string, such as ``"OpenCL 3.0 PoCL 3.1+debian ..."``.
        kind: ``"gpu"``, ``"integrated"``, ``"cpu"`` or ``"accelerator"``.
    """
    quirks = {"gpu": DISCRETE_GPU, "integrated": INTEGRATED_GPU, "cpu": CPU}.get(kind, ACCELERATOR)
    name = platform.lower()
    if "fpga" in name:
        return replace(quirks, rank=-3)
    if "portable computing language" in name:
        old = any(f"PoCL {v}" in version for v in ("0.", "1.", "2.", "3.0"))
        if old:
            return replace(quirks, rank=-2, warning=_POCL_OLD)
        return replace(quirks, rank=quirks.rank + 5, host_memory=kind == "cpu", half_bits=kind == "cpu",
                       scalar_erfc=kind == "cpu", prefetch=_PREFETCH if kind == "cpu" else "")
    if "intel" in name and kind == "cpu":
        return replace(quirks, rank=quirks.rank + 9, host_memory=True, half_bits=True, assembly=True,
                       prefetch=_PREFETCH)
    if name == "rusticl" and kind == "cpu":
        # llvmpipe counts the iterations of all loops of a work-item and silently stops at 65,535; rusticl of Mesa 22
        # crashes the process on an indexed struct argument.
        return replace(quirks, rank=quirks.rank - 5, rule_width=4, max_loop=60_000, indexed_structs=False)
    if "oclgrind" in name:
        return replace(quirks, rank=-1, rule_width=4)
    return quirks
