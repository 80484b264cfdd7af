"""Updates of some rows of a parameter, those that a sparse gradient has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..gradients import GradientArena
from ..ops import elementwise
from ..tensor import Tensor
from . import rule as rules
from .cohort import Cohort
from .control import Control
from .scalars import Scalars


class RowLaunch(Scalars):
    """One call of a row update kernel, which works on a parameter wherever it lies.

    Args:
        gradients: the arena that has its gradient and states.
        tensor: the parameter.
        cohort: the parameter's own.
        candidates: as for `Scalars`.
    """

    def __init__(self, gradients: GradientArena, tensor: Tensor, cohort: Cohort, candidates: int):
        arena, device, dtype = gradients.arena, gradients.device, gradients.stored
        super().__init__(cohort.rule, [cohort], candidates, True, dtype.itemsize == 8)
        (self._slot,) = cohort.slots
        self._gradients, self._tensor = gradients, tensor
        shape = gradients.shapes[self._slot]
        self._width = math.prod(shape[1:]) * gradients.dtype.itemsize // dtype.itemsize
        # Vectors that fill a row: a last one that reaches into the next row would have to be cut.
        self._vector = math.gcd(self._width, rules.width_of(device, dtype)) or 1
        self._kernel = rules.kernel(cohort.rule, device, dtype, candidates, self._vector)
        item = rules.state_dtype(dtype).itemsize
        self._states = [arena.buffer(name, item) for name in cohort.rule.states]
        self._start = arena.starts[self._slot]
        self._row_buffer = None if device.quirks.indexed_structs else device.empty(rules.ROW_BYTES)

    def run(self, control: Control | None) -> None:
        """Enqueue it."""
        held, rows = self._tensor._array, self._gradients.rows.pop(self._slot)
        count = rows.index.size
        if not count or not self._width:
            return
        array = held if held.is_contiguous() else elementwise.copy(held)
        param, values = array.reals(), rows.values.reals()
        scalars: Any = self.rows
        if self._row_buffer is not None:
            scalars = self._row_buffer.handle
            self._row_buffer.device.write_later(self._row_buffer, 0, np.frombuffer(self.rows, np.uint8))
        items = count * (self._width // self._vector)
        local = min(64, 1 << (items - 1).bit_length())
        of_control = () if control is None else (control.buffer.handle, control.known)
        self._kernel((-(-items // local) * local,), (local,), param.buffer.handle, values.buffer.handle,
                     *(buffer.handle for buffer in self._states), rows.index.buffer.handle, count, rows.shape[0],
                     self._width, param.offset, values.offset, self._start, scalars, *of_control)
        if array is not held:
            elementwise.assign(held, array)
        held.version.count += 1
