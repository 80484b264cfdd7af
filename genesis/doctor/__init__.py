"""Examines devices: runs every kernel against float64 NumPy. The command ``genesis doctor`` shows what it finds."""

from .bench import Bench, Outcome, launches, run
from .examine import CHECKS, blamed, examine
from .measure import measure

__all__ = ["CHECKS", "Bench", "Outcome", "blamed", "examine", "launches", "measure", "run"]
