"""Control: what the device decides about a step, and how the host learns of it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..dtypes import float32
from ..opencl import Buffer, Device, Reading
from ..ops.array import Array, empty
from ..ops.grad_norm import Finish, Gradients, PartialNorms
from ..ops.loss_scale import LossScale
from ..tensor import Tensor

if TYPE_CHECKING:
    from .cohort import Cohort

# The device decides to skip a step; the host learns of it some steps later, when the answer is long there. Until then
# the kernel itself chooses among the scalars of this step and of the LAG before it.
LAG = 4
EVERY = 3        # the host asks after so many steps: a question costs about as much as a launch


class _Question(NamedTuple):
    reading: Reading
    answer: np.ndarray
    steps: int
    cohorts: list[Cohort]


class Control:
    """The device's decisions about a step: the gradients' factor, whether to skip, how many steps were skipped.

    Attributes:
        buffer: three floats, as ``finish_norm`` in ``cl/optim/grad_norm.cl`` describes them.
        known: skipped steps that the host has taken into account.
    """

    def __init__(self, device: Device):
        self.device = device
        self.buffer = device.empty(16)
        device.write(self.buffer, 0, np.array([1, 0, 0, 0], np.float32))
        self.known = 0
        self._norm = device.empty(float32.itemsize)
        self._norms = PartialNorms((), math.inf)      # of the last step's gradients
        self._order = math.inf
        self._partial: Array | None = None
        self._finish: Finish | None = None
        self._asked: deque[_Question] = deque()
        self._unasked = 0
        self._cohorts: list[Cohort] = []              # that the unasked steps updated

    def sum_up(self, parts: Sequence[Gradients], max_norm: float | None, loss_scale: LossScale | None) -> None:
        """Enqueue the pass over all gradients of the step that `decide` needs; decides nothing yet.

        Args:
            parts: all gradients of the step.
            max_norm: limit of their norm; None for none.
            loss_scale: the scale that they carry, or that they were freed of before.
        """
        # Without a limit the norm only serves to find what is not finite, and a sum of squares may overflow.
        self._order = math.inf if max_norm is None else 2.0
        if max_norm is None and loss_scale is not None and loss_scale.checked is not None:
            self._partial = None         # known already
            return
        if not self._norms.fits(parts, self._order):
            self._norms = PartialNorms(parts, self._order)
        self._partial = self._norms.run()

    def decide(self, max_norm: float | None, loss_scale: LossScale | None) -> None:
        """Decide about the step on the device, from what `sum_up` found."""
        if self._finish is None or not self._finish.fits(self._partial, self._order):
            self._finish = Finish(self._partial, self.buffer, self._norm, self._order)
        self._finish.run(math.inf if max_norm is None else float(max_norm), loss_scale)

    def norm(self) -> Tensor:
        """The norm that the last step's gradients had without the loss scale, 0-d.

        Of order 2 where there was a limit, else the largest absolute value, which can only be infinite where a gradient
        is; 0 where the gradients were checked before.
        """
        copy = empty(self.device, (), float32)
        assert isinstance(copy.buffer, Buffer)
        self.device.copy(self._norm, 0, copy.buffer, 0, float32.itemsize)
        return Tensor._wrap(copy)

    def stepped(self, cohorts: list[Cohort]) -> None:
        """A step that updates ``cohorts`` is enqueued; others than in the step before only after `learn`."""
        self._cohorts = cohorts
        self._unasked += 1
        if self._unasked == EVERY:
            self._ask()

    def _ask(self) -> None:
        answer = np.zeros(1, np.float32)
        self._asked.append(_Question(self.device.read_later(self.buffer, 8, answer), answer, self._unasked,
                                     self._cohorts))
        self._unasked = 0

    def keep_up(self) -> int:
        """Before a step: wait until at most LAG steps before it are unknown to the host; returns how many are."""
        while self._asked and self._asked[0].reading.done():
            self._take_next()
        unknown = self._unasked + sum(question.steps for question in self._asked)
        while unknown > LAG:
            unknown -= self._take_next()
        return unknown

    def learn(self) -> None:
        """Wait until all steps are known."""
        if self._unasked:
            self._ask()
        while self._asked:
            self._take_next()

    def _take_next(self) -> int:
        """Take the oldest answer into account: cohorts that were skipped count as many steps less."""
        question = self._asked[0]
        question.reading.wait()      # may raise what kernels found wrong; the answer is then there for the next time
        self._asked.popleft()
        skipped = int(question.answer[0])
        for cohort in question.cohorts:
            cohort.skipped(skipped - self.known)
        self.known = skipped
        return question.steps
