"""Line search: how far to go along a direction, so that the loss falls enough and its slope flattens enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Point(NamedTuple):
    """A place along the direction: how far it is, and loss, gradient and slope (gradient times direction) there."""

    t: float
    loss: float
    grad: Any
    slope: float


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through losses and slopes of two points has its minimum, limited to [low, high].

    The middle where it has none; Nocedal & Wright, equation 3.59.
    """
    if a.t > b.t:
        a, b = b, a
    with np.errstate(all="ignore"):        # equal points give NaN, and not an error
        d1 = a.slope + b.slope - 3 * np.float64(a.loss - b.loss) / (a.t - b.t)
        square = d1 ** 2 - a.slope * b.slope
        if not square >= 0:
            return (low + high) / 2
        d2 = np.sqrt(square)
        found = float(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)))
    return min(max(found, low), high)


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, t: float, largest: float, most: int,
                 tolerance_change: float, c1: float = 1e-4, c2: float = 0.9) -> tuple[Point, int]:
    """Look for a point that satisfies the strong Wolfe conditions: Nocedal & Wright, Algorithms 3.5 and 3.6.

    With loss f and slope f' they are ``f(t) ≤ f(0) + c₁ t f'(0)`` and ``|f'(t)| ≤ -c₂ f'(0)``. As in PyTorch, steps
    are chosen by cubic interpolation, and moved away from the ends of a bracket that does not shrink.

    Args:
        evaluate: the point at a distance; called at least once.
        start: the point at 0, with a negative slope.
        t: the distance to try first.
        largest: the largest absolute value of the direction.
        most: how many times to evaluate after the first one, about.
        tolerance_change: a bracket in which no parameter moves by more is not refined.

    Returns:
        The point found, or the best one, and the number of evaluations.
    """
    def too_high(new: Point, best: float) -> bool:
        return new.loss > start.loss + c1 * new.t * start.slope or new.loss >= best

    def flat(new: Point) -> bool:
        return abs(new.slope) <= -c2 * start.slope

    # Algorithm 3.5: go further until two points have a suitable one between them.
    former, new = start, evaluate(t)
    count, tries = 1, 0
    bracket = [start, new]
    while True:
        if tries >= most:
            bracket = [start, new]
            break
        if too_high(new, former.loss if tries > 1 else np.inf):
            bracket = [former, new]
            break
        if flat(new):
            return new, count
        if new.slope >= 0:
            bracket = [former, new]
            break
        t = cubic_minimum(former, new, new.t + 0.01 * (new.t - former.t), new.t * 10)
        former, new = new, evaluate(t)
        count, tries = count + 1, tries + 1

    # Algorithm 3.6: make the bracket smaller; `low` is its end with the lower loss.
    stuck = False
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    while tries < most and abs(bracket[1].t - bracket[0].t) * largest >= tolerance_change:
        left, right = sorted(point.t for point in bracket)
        t = cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = evaluate(t)
        count, tries = count + 1, tries + 1
        if too_high(new, bracket[low].loss):
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if not flat(new) and new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
        if flat(new):
            break
    return bracket[low], count
