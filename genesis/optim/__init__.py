"""Optimizers. Each but LBFGS is a rule in ``cl/optim`` and a class of the same name here."""

from . import lr_scheduler, swa_utils
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .asgd import ASGD
from .lbfgs import LBFGS
from .lion import Lion
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD

# Name, as in files and on the command line -> class: every optimizer with a rule that is imported above.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): value for name, value in sorted(vars().items())
    if isinstance(value, type) and issubclass(value, Optimizer) and value.source}

__all__ = ["LBFGS", "OPTIMIZERS", "Optimizer", "lr_scheduler", "swa_utils",
           *(value.__name__ for value in OPTIMIZERS.values())]
