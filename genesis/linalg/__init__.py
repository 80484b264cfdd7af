"""Linear algebra, by the names of ``torch.linalg``: norms, systems of equations, factorizations, spectra.

Matrices are the last two dimensions, all others a batch; float32, float64, complex64 or complex128. A work-group treats
one small matrix, so that batches of them are fast; of a large one a work-group factorizes a panel, and all of the
device updates the rest. Gradients are those of the results, of any order; those of complex matrices are PyTorch's,
``dL/dx + i dL/dy``.
"""

from .elimination import lu, lu_factor, lu_factor_ex, lu_solve
from .factors import cholesky, cholesky_ex, lstsq, qr
from .general import eig, eigvals
from .norms import (
    cross,
    diagonal,
    matmul,
    matrix_norm,
    matrix_power,
    multi_dot,
    norm,
    vander,
    vecdot,
    vector_norm,
)
from .solving import (
    det,
    inv,
    inv_ex,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .spectra import cond, eigh, eigvalsh, matrix_exp, matrix_rank, pinv, svd, svdvals
from .support import LinAlgError

__all__ = ["LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals",
           "eigvalsh", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp",
           "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve",
           "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
           "vector_norm"]
