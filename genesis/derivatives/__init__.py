"""Second derivatives: how the backward of each operation is written with tensors, so that it is recorded itself.

`genesis.autograd` looks here for an operation's rule when it runs backward with ``create_graph=True``, and imports this
package only then. Operations work on arrays and know nothing of tensors; so the rules, which do, stand here and not
with them.
"""

from . import attention, binary, indexing, losses, normalization, pointwise, products, reductions, views  # noqa: F401
from .rules import Rule, find

__all__ = ["Rule", "find"]
