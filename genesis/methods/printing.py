"""How tensors are printed, and the choices that a program has about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Options:
    """See `set_printoptions`."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 75
    sci_mode: bool | None = None


PROFILES = {"default": Options(), "short": Options(precision=2, edgeitems=2), "full": Options(threshold=math.inf)}
_options = Options()


def set_printoptions(precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
                     linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None) -> None:
    """Choose how tensors are printed. What is not given stays, but for ``sci_mode``.

    Args:
        precision: digits after the point, 4 at first.
        threshold: tensors with more elements than this, 1000 at first, are cut.
        edgeitems: how many elements are left at each end of a dimension that is cut, 3 at first.
        linewidth: characters a line, 75 at first.
        profile: begin with all options ``"default"``, with fewer digits and elements (``"short"``), or without
            cutting (``"full"``).
        sci_mode: True for exponents, False for none, None for what fits the numbers.

    Raises:
        ValueError: no such profile.

    Example:
        >>> genesis.set_printoptions(precision=2)
        >>> genesis.tensor([1 / 3])
        tensor([0.33])
        >>> genesis.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
    before = _options if profile is None else PROFILES[profile]
    given: dict[str, Any] = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
                             "linewidth": linewidth}
    _options = replace(before, sci_mode=sci_mode, **{name: x for name, x in given.items() if x is not None})


def text_of(values: np.ndarray, prefix: str) -> str:
    """The values as text that follows ``prefix``."""
    o = _options
    threshold = int(min(o.threshold, 2 ** 62))
    if o.sci_mode is None:
        return np.array2string(values, separator=", ", prefix=prefix, threshold=threshold, edgeitems=o.edgeitems,
                               precision=o.precision, max_line_width=o.linewidth)
    style = f".{o.precision}{'e' if o.sci_mode else 'f'}"
    return np.array2string(values, separator=", ", prefix=prefix, threshold=threshold, edgeitems=o.edgeitems,
                           max_line_width=o.linewidth, formatter={"float_kind": lambda x: format(float(x), style)})
