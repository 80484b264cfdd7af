"""The names under which operations appear: those that PyTorch's profiler gives them, where it has the same ones."""

from __future__ import annotations

import functools
import re
from typing import Any

# Operations whose name in PyTorch is not their own in lower case with underscores.
THEIRS = {
    "AddProduct": "addmm", "AddScaled": "add", "Attention": "scaled_dot_product_attention", "AvgPool": "avg_pool2d",
    "CTC": "ctc_loss", "Cast": "_to_copy", "ClampBetween": "clamp", "Col2Im": "col2im", "Copy": "clone",
    "CrossEntropy": "cross_entropy_loss", "CumProd": "cumprod", "CumSum": "cumsum", "DiagonalMatrix": "diag_embed",
    "GeluTanh": "gelu", "I0e": "special_i0e", "I1": "special_i1", "I1e": "special_i1e", "Im2Col": "im2col",
    "Kth": "kthvalue", "LogCumSumExp": "logcumsumexp", "LogNdtr": "special_log_ndtr", "LogSumExp": "logsumexp",
    "MatMul": "matmul", "MaxPool": "max_pool2d", "NLL": "nll_loss", "NanSum": "nansum", "Ndtri": "special_ndtri",
    "PackedAttention": "scaled_dot_product_attention", "RMSNorm": "rms_norm", "SparseEmbedding": "embedding",
    "TopK": "topk", "TransposedConvolution": "convolution", "TruncDivide": "div", "VectorNorm": "linalg_vector_norm",
    "WeightedLogits": "binary_cross_entropy_with_logits",
}

# Those of several kinds: by an option of the call.
KINDS: dict[str, tuple[str, dict[Any, str]]] = {
    "Extreme": ("op", {"max": "max", "min": "min"}),
    "PairLoss": ("loss", {"mse": "mse_loss", "l1": "l1_loss", "smooth_l1": "smooth_l1_loss", "huber": "huber_loss",
                          "bce": "binary_cross_entropy", "bce_logits": "binary_cross_entropy_with_logits",
                          "kl": "kl_div", "kl_log": "kl_div"}),
    "Triangle": ("sign", {1: "triu", -1: "tril"}),
}

# Those that PyTorch does not have as one operation.
OWN = frozenset("FromParts Joined LogGamma Norm PadAround Parts Product Put Rearrange Resize Rnn Rotary ScatterExtreme "
                "ScatterProd Softsign Transfer Transform Undifferentiable WeightGradient".split())


@functools.cache
def _of_class(operation: Any) -> str:
    name = operation.__name__
    if not operation.__module__.startswith("genesis."):
        return name                                      # a user's own
    if name in OWN or name.startswith("_"):
        return f"genesis::{name.removeprefix('_')}"
    return "aten::" + (THEIRS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def of(operation: Any, options: dict[str, Any]) -> str:
    """The name of an operation, a class, that is called with some options."""
    option, found = KINDS.get(operation.__name__, ("", {}))
    name = found.get(options.get(option))
    return f"aten::{name}" if name else _of_class(operation)
