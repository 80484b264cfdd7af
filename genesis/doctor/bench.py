"""What the checks of a device share: inputs at awkward places, float64 references, and a record of what went wrong."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import genesis
from genesis.opencl import Device, Kernel

# Around the edges of vectors and work-groups, a prime, and more than one block of a reduction.
EDGES = (1, 2, 31, 33, 64, 65, 1003, 70001)
FEW_EDGES = (1, 33, 65)
_PADS = (0, 3, 1)                     # elements in front of an input, so that it does not begin on a vector's boundary


@dataclass
class Outcome:
    """The result of one check.

    Attributes:
        name: the family of operations, or ``"optimizer NAME"``.
        failures: a line a comparison that failed; empty when all is well.
        comparisons: how many comparisons were made.
        worst: the largest error, as a share of what is allowed.
        kernels: names of the kernels launched, as ``"ops/matmul.cl:matmul_tile"``.
        seconds: how long it took.
    """

    name: str
    failures: list[str] = field(default_factory=list)
    comparisons: int = 0
    worst: float = 0.0
    kernels: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing failed and something was compared."""
        return not self.failures and self.comparisons > 0


class Bench:
    """What a check is given: a device, random numbers that are the same every time, and comparisons.

    Args:
        device: the device to check.
        name: the check's name, which also seeds its random numbers.
        small: whether sizes are to be small, for interpreters of kernels such as Oclgrind.
    """

    def __init__(self, device: Device, name: str, small: bool = False):
        self.device = device
        self.small = small
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.outcome = Outcome(name)

    @property
    def edges(self) -> tuple[int, ...]:
        """Sizes around which kernels go wrong."""
        return FEW_EDGES if self.small else EDGES

    def size(self, full: int, small: int) -> int:
        """One of two sizes."""
        return small if self.small else full

    def normal(self, *shape: int) -> np.ndarray:
        """Normal numbers that float32 holds exactly, as float64."""
        return self.rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    def distinct(self, *shape: int) -> np.ndarray:
        """Numbers in random order, none nearer to another than 2 / their number: for what compares them."""
        n = int(np.prod(shape))
        return self.rng.permutation(np.linspace(-1, 1, n)).astype(np.float32).astype(np.float64).reshape(shape)

    def tensor(self, values: Any, dtype: Any = None, pad: int = 0, grad: bool = False) -> Any:
        """A tensor of the values; with ``pad``, a view that begins so many elements into its memory.

        What lies before and after such a view is NaN, or the type's largest number: who reads it is found out.
        """
        values = np.asarray(values)
        if dtype is None:
            dtype = genesis.float32 if values.dtype.kind == "f" else None
        plain = genesis.tensor(values, dtype=dtype, device=self.device)
        if not pad:
            return plain.requires_grad_() if grad else plain
        kind = plain.dtype.numpy
        poison = np.iinfo(kind).max if np.dtype(kind).kind in "iu" else True if np.dtype(kind).kind == "b" else math.nan
        around = np.full(values.size + pad + 5, poison, kind)
        around[pad:pad + values.size] = values.astype(kind).ravel()
        held = genesis.tensor(around, dtype=plain.dtype, device=self.device)
        view = held[pad:pad + values.size].reshape(values.shape).detach()
        return view.requires_grad_() if grad else view

    def compare(self, what: str, actual: Any, expected: Any, tolerance: float = 1e-4) -> None:
        """Note whether a result is what it should be.

        Args:
            what: the comparison's name.
            actual: a tensor or array.
            expected: the right values.
            tolerance: largest difference allowed, as a share of the largest expected value, or of 1 if that is less;
                0 asks for the very same bits.
        """
        outcome = self.outcome
        outcome.comparisons += 1
        got = actual.detach().numpy() if isinstance(actual, genesis.Tensor) else np.asarray(actual)
        want = np.asarray(expected)
        if got.shape != want.shape:
            outcome.failures.append(f"{what}: the shape is {got.shape} instead of {want.shape}")
            return
        if not got.size:
            return
        if tolerance == 0:
            wrong = ~((got == want) | ((got != got) & (want != want)))
            ratio = float(wrong.any())
        else:
            got, want = got.astype(np.float64), want.astype(np.float64)
            allowed = tolerance * max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
            with np.errstate(invalid="ignore"):
                error = np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0, np.abs(got - want)) / allowed
            wrong = ~(error <= 1)
            ratio = float(np.nanmax(error)) if not np.isnan(error).all() else math.inf
        outcome.worst = max(outcome.worst, ratio)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            outcome.failures.append(f"{what}: {int(wrong.sum())} of {wrong.size} elements are wrong; at {at} it is "
                                    f"{got[at]!s} instead of {want[at]!s}")

    def gradients(self, what: str, function: Callable[..., Any], reference: Callable[..., Any], *inputs: np.ndarray,
                  tolerance: float = 1e-4) -> None:
        """Compare values with a float64 reference, and gradients with its central differences along random directions.

        Args:
            what: the comparison's name.
            function: tensors -> tensor.
            reference: float64 arrays -> array.
            inputs: arrays; each becomes a view at another offset of its memory.
            tolerance: as in `compare`.
        """
        tensors = [self.tensor(x, pad=_PADS[i % 3], grad=True) for i, x in enumerate(inputs)]
        result = function(*tensors)
        expected = np.asarray(reference(*inputs))
        self.compare(what, result, expected, tolerance)
        g = self.normal(*expected.shape)
        result.backward(self.tensor(g, pad=1))
        for i, (x, tensor) in enumerate(zip(inputs, tensors)):
            if tensor.grad is None:
                self.outcome.failures.append(f"{what}: input {i} got no gradient")
                continue
            mine = tensor.grad.numpy().astype(np.float64)
            v, h = self.rng.standard_normal(x.shape), 1e-5
            up, down = reference(*inputs[:i], x + h * v, *inputs[i + 1:]), reference(*inputs[:i], x - h * v,
                                                                                      *inputs[i + 1:])
            slope = float(np.sum(g * (up - down))) / (2 * h)
            scale = math.sqrt(float(np.sum((mine * v) ** 2))) + abs(slope)
            self.compare(f"{what}, gradient of input {i}", np.sum(mine * v) / max(1, scale),
                         slope / max(1, scale), 5 * tolerance)


@contextlib.contextmanager
def launches(seen: set[str]) -> Iterator[None]:
    """Put the names of the kernels launched inside the block into a set."""
    original = Kernel.__call__

    def noting(self: Kernel, *arguments: Any) -> None:
        seen.add(self.name)
        original(self, *arguments)

    Kernel.__call__ = noting  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Kernel.__call__ = original  # type: ignore[method-assign]


Check = Callable[[Bench], None]


def run(name: str, check: Check, device: Device, small: bool = False) -> Outcome:
    """Run one check; an exception that it raises is a failure like any other.

    Args:
        name: the check's name.
        check: the check.
        device: the device to check, which is made the default meanwhile.
        small: see `Bench`.
    """
    bench = Bench(device, name, small)
    state, before = genesis.get_rng_state(), genesis.device()
    start = time.perf_counter()
    genesis.set_default_device(device)
    genesis.manual_seed(0)
    try:
        with launches(bench.outcome.kernels):
            check(bench)
            device.finish()
    except Exception as error:          # whatever a broken runtime makes of it belongs into the report
        place = traceback.extract_tb(error.__traceback__)[-1]
        bench.outcome.failures.append(f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})")
    finally:
        genesis.set_default_device(before)
        genesis.set_rng_state(state)
    bench.outcome.seconds = time.perf_counter() - start
    return bench.outcome


class Checks(dict[str, Check]):
    """Checks by name, in the order in which they were defined."""

    def add(self, name: str) -> Callable[[Check], Check]:
        """A decorator that adds a check."""
        def keep(check: Check) -> Check:
            self[name] = check
            return check
        return keep


def summary(outcomes: Sequence[Outcome]) -> set[str]:
    """Names of all kernels that were launched."""
    return set().union(*(outcome.kernels for outcome in outcomes)) if outcomes else set()
