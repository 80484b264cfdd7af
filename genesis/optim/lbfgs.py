"""LBFGS."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd import enable_grad, no_grad
from ..ops.array import Array, upload
from ..tensor import Tensor
from . import checks
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer
from .quasi_newton import Flat, History

_VECTORS = ("d", "prev_flat_grad")
_LISTS = ("old_dirs", "old_stps")


class LBFGS(Optimizer):
    """L-BFGS: a quasi-Newton method, which learns the curvature from the last steps, for losses without noise.

    Each iteration goes along ``d = -H g``, where H, an approximation of the inverse Hessian, follows from the last
    ``history_size`` steps s and the changes y of the gradient along them, by two loops over these pairs::

        q ← -g;      for each pair from the newest:  αᵢ ← sᵢ·q / sᵢ·yᵢ,  q ← q - αᵢ yᵢ
        d ← γ q;     for each pair from the oldest:  β ← yᵢ·d / sᵢ·yᵢ,  d ← d + (αᵢ - β) sᵢ

    with γ = s·y / y·y of the newest pair. A pair without positive curvature, s·y > 1e-10, is left out. One call of
    `step` makes up to ``max_iter`` iterations, and calls the closure for each, or with a line search once for each
    step length that it tries. The very first direction is ``-g``, at most 1 long in the sum of absolute values.

    The loss must be the same function each time, that of all data: the noise of batches, which differs from one
    evaluation to the next, is taken for curvature. It needs ``2 history_size + 4`` times the memory of the parameters,
    two of them for each pair, as far as there are pairs.

    Args:
        params: tensors or ``(name, tensor)`` pairs, of one device and element type; at most one group.
        lr: learning rate α, at least 0: the length of a step in units of d; with a line search the length tried first.
        max_iter: iterations in a step, at least 1.
        max_eval: calls of the closure in a step after which no further iteration begins, at least 1; the default is
            ``max_iter * 5 // 4``.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when neither loss nor any parameter changes by more.
        history_size: how many pairs to keep, at least 1.
        line_search_fn: None for steps of length α, or ``"strong_wolfe"`` for a search of a length that satisfies the
            strong Wolfe conditions.

    The state is that of the first parameter, as in PyTorch: ``func_evals`` and ``n_iter``, the last direction ``d`` and
    length ``t``, the pairs ``old_stps`` (s) and ``old_dirs`` (y) with ``ro`` (1 / s·y), ``H_diag`` (γ),
    ``prev_flat_grad`` and ``prev_loss``. Vectors are float32, or float64 for parameters of that type. Other parameters
    in its group forget all of it.

    Raises:
        ValueError: a value out of range, more than one group, or parameters of several devices or types.
        TypeError: `step` without a closure.

    References:
        Liu & Nocedal 1989, "On the Limited Memory BFGS Method for Large Scale Optimization", Mathematical Programming
        45; Nocedal & Wright 2006, "Numerical Optimization", Algorithms 7.4 and 7.5, 3.5 and 3.6.

    Example:
        >>> x = genesis.tensor([-1.2, 1.0], requires_grad=True)
        >>> optimizer = genesis.optim.LBFGS([x], max_iter=50, line_search_fn="strong_wolfe")
        >>> def closure():                        # Rosenbrock's valley, with its minimum at (1, 1)
        ...     optimizer.zero_grad()
        ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        ...     loss.backward()
        ...     return loss
        >>> round(optimizer.step(closure).item(), 2)      # the loss at the start
        24.2
        >>> bool((x - 1).abs().max() < 1e-3)
        True
    """

    def __init__(self, params: Any, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None):
        if max_eval is None and isinstance(max_iter, int):
            max_eval = max(1, max_iter * 5 // 4)
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn})
        self._one_group()

    def _set_up(self) -> None:
        super()._set_up()
        self._flat: Flat | None = None
        self._history: History | None = None
        self._listed: Any = None              # the list of pairs in the state that the history stands for

    def check_group(self, group: dict[str, Any]) -> None:
        """Whole numbers, tolerances, and the name of the line search."""
        for name in ("max_iter", "max_eval", "history_size"):
            value = group[name]
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        for name in ("tolerance_grad", "tolerance_change"):
            checks.number(name, group[name])
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn must be None or 'strong_wolfe', got {group['line_search_fn']!r}")
        if any(x.is_complex() for x in group["params"]):
            raise TypeError("LBFGS does not take complex parameters; give it view_as_real() of them")
        kinds = {(x.device, x.dtype) for x in group["params"]}
        if len(kinds) > 1:
            raise ValueError("LBFGS needs parameters of one device and element type, got "
                             + ", ".join(sorted(f"{dtype} on {device}" for device, dtype in kinds)))

    def _one_group(self) -> None:
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS has one parameter group for all parameters, got {len(self.param_groups)}")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused: one history stands for all parameters.

        Raises:
            ValueError: always.
        """
        raise ValueError("LBFGS has one parameter group for all parameters; make a new optimizer with more of them")

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over group and state from `state_dict`, ours or PyTorch's; see `Optimizer.load_state_dict`.

        Raises:
            ValueError: groups or the lengths of vectors do not fit; nothing is changed then.
        """
        size = sum(x.numel() for group in self.param_groups for x in group["params"])
        for held in (state_dict.get("state") or {}).values():
            vectors = [held[name] for name in _VECTORS if held.get(name) is not None]
            lists = [held.get(name) or [] for name in _LISTS]
            if len(lists[0]) != len(lists[1]):
                raise ValueError(f"the state has {len(lists[0])} changes of the gradient for {len(lists[1])} steps")
            for x in (*vectors, *lists[0], *lists[1]):
                if tuple(x.shape) != (size,):
                    raise ValueError(f"the state has vectors of shape {tuple(x.shape)}, the parameters {size} elements")
        super().load_state_dict(state_dict)

    # Step ------------------------------------------------------------------------------------------------------------

    def _prepared(self, state: dict[str, Any]) -> tuple[Flat, History]:
        """The parameters as a vector, and the history that the state tells of."""
        group = self.param_groups[0]
        if self._flat is None or not self._flat.still(group["params"]):
            if self._flat is not None:
                self._flat.release()
            self._flat, self._history = Flat(self, group["params"]), None
        flat, size = self._flat, int(group["history_size"])
        if self._history is None or self._listed is not state.get("old_dirs") or self._history.size != size:
            if any(x is not None and tuple(x.shape) != (flat.size,) for x in (state.get(name) for name in _VECTORS)):
                state.clear()                     # it is that of other parameters
            for name in _VECTORS:
                if state.get(name) is not None:
                    state[name] = Tensor._wrap(_vector(flat, state[name]))
            history = History(flat, size)
            history.restore([(_vector(flat, y), _vector(flat, s))
                             for y, s in zip(*(state.get(name) or [] for name in _LISTS))])
            self._history = history
        return flat, self._history

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Make up to ``max_iter`` iterations.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss; called with
                gradients enabled.

        Returns:
            The loss before the first iteration, as the closure returned it.
        """
        if not callable(closure):
            raise TypeError(f"LBFGS.step needs a closure, which computes the loss anew, not {type(closure).__name__}")
        self._follow_edits()
        self._one_group()
        closure = enable_grad(closure)
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        flat, history = self._prepared(state)
        max_eval, tolerance_grad, tolerance_change = (
            group[name] for name in ("max_eval", "tolerance_grad", "tolerance_change"))
        for name in ("func_evals", "n_iter"):
            state.setdefault(name, 0)

        first = closure()
        evaluations = 1
        state["func_evals"] += 1
        g = flat.gradient()
        measured = flat.measure(g, g)
        loss = float(first)
        largest, total, _ = flat.read(measured)
        if largest <= tolerance_grad:
            return first

        d, former, t = (_array(state.get("d")), _array(state.get("prev_flat_grad")), float(state.get("t") or 0.0))
        scale, former_loss = float(state.get("H_diag", 1.0)), loss
        for iteration in range(1, int(group["max_iter"]) + 1):
            state["n_iter"] += 1
            # The direction.
            if state["n_iter"] == 1 or d is None or former is None:
                scale, t = 1.0, min(1.0, 1.0 / total) * group["lr"]
                history = self._history = History(flat, history.size)
            else:
                scale = history.offer(g, former, d, t) or scale
                t = group["lr"]
            d = history.direction(g, scale)
            former, former_loss = g, loss
            reach, _, slope = flat.read(flat.measure(d, g))
            if slope > -tolerance_change:
                break

            # The step, and loss and gradient after it.
            used = 0
            if group["line_search_fn"] is not None:
                here, used = self._search(closure, Point(0.0, loss, g, slope), t, d, reach, max_eval - evaluations)
                t, loss, g = here.t, here.loss, here.grad
                flat.move(t, d, "start")
                largest = flat.read(flat.measure(g, g))[0]
            else:
                flat.move(t, d)
                if iteration < group["max_iter"]:      # after the last one nobody asks for them
                    value = closure()
                    g, used = flat.gradient(), 1
                    measured = flat.measure(g, g)
                    loss, largest = float(value), flat.read(measured)[0]
            evaluations += used
            state["func_evals"] += used

            if (evaluations >= max_eval or largest <= tolerance_grad or abs(t) * reach <= tolerance_change
                    or abs(loss - former_loss) < tolerance_change):
                break

        assert d is not None
        assert former is not None
        old_dirs, old_stps, ro = history.lists()
        state.update(d=Tensor._wrap(d), t=float(t), old_dirs=old_dirs, old_stps=old_stps, ro=ro, H_diag=scale,
                     prev_flat_grad=Tensor._wrap(former), prev_loss=former_loss)
        self._listed = old_dirs
        return first

    def _search(self, closure: Callable[[], Any], start: Point, t: float, d: Array, reach: float,
                most: int) -> tuple[Point, int]:
        """A line search from where the parameters are, which it leaves somewhere along the direction."""
        flat = self._flat
        assert flat is not None
        flat.remember()

        def evaluate(t: float) -> Point:
            flat.move(t, d, "start")
            value = closure()
            g = flat.gradient()
            measured = flat.measure(g, d)
            loss = float(value)
            return Point(t, loss, g, float(flat.read(measured)[2]))

        return strong_wolfe(evaluate, start, float(t), float(reach), most, self.param_groups[0]["tolerance_change"])


def _array(x: Any) -> Array | None:
    return None if x is None else x._array


def _vector(flat: Flat, x: Any) -> Array:
    """A vector of a state, such as a tensor of PyTorch's, on the device; a copy."""
    if isinstance(x, Tensor):
        return x.detach().to(device=flat.device, dtype=flat.dtype).clone()._array
    values = x.detach().cpu().double().numpy() if hasattr(x, "detach") else np.asarray(x)
    return upload(flat.device, values.astype(flat.dtype.numpy))
