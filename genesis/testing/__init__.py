"""Tools for testing kernels and optimizer rules: against NumPy, under Oclgrind, and between guard bands.

pytest finds them as fixtures, too; see ``pytest_genesis``.
"""

from .guard import GuardError, guarded
from .oclgrind import OclgrindError, Report
from .rules import check_optimizer, check_rule

__all__ = ["GuardError", "OclgrindError", "Report", "check_optimizer", "check_rule", "guarded", "oclgrind"]

from . import oclgrind
