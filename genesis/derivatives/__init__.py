"""Second derivatives: how the backward of each operation is written with tensors, so that it is recorded itself.

`genesis.autograd` looks here for an operation's rule when it runs backward with ``create_graph=True``, and imports this
package only then. Operations work on arrays and know nothing of tensors; so the rules, which do, stand here and not
with them.
"""

from . import (  # noqa: F401 - they enter their rules
    attention,
    binary,
    complex,
    indexing,
    losses,
    normalization,
    pointwise,
    products,
    recurrent,
    reductions,
    sampling,
    views,
)
from .rules import Rule, find

__all__ = ["Rule", "find"]
