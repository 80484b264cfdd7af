"""Optimizers. Each but LBFGS is a rule in ``cl/optim`` and a class of the same name here."""

from . import lr_scheduler, swa_utils
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .asgd import ASGD
from .lbfgs import LBFGS
from .lion import Lion
from .muon import Muon
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD
from .sparseadam import SparseAdam

# Name, as in files and on the command line -> class: every optimizer with a rule that is imported above.
ALGORITHMS: dict[str, type[Optimizer]] = {
    name.lower(): value for name, value in sorted(vars().items())
    if isinstance(value, type) and issubclass(value, Optimizer) and value.source}
# Those that train any model by themselves.
OPTIMIZERS = {name: value for name, value in ALGORITHMS.items() if not (value.matrices_only or value.rows_only)}

__all__ = ["ALGORITHMS", "LBFGS", "OPTIMIZERS", "Optimizer", "lr_scheduler", "swa_utils",
           *(value.__name__ for value in ALGORITHMS.values())]
