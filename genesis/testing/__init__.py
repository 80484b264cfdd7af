"""Tools for tests: values compared, and kernels and optimizer rules tried against NumPy, under Oclgrind, and between
guard bands.

pytest finds them as fixtures, too; see ``pytest_genesis``.
"""

from .close import assert_close
from .guard import GuardError, guarded
from .oclgrind import OclgrindError, Report
from .rules import check_optimizer, check_rule

__all__ = ["GuardError", "OclgrindError", "Report", "assert_close", "check_optimizer", "check_rule", "guarded",
           "oclgrind"]

from . import oclgrind
