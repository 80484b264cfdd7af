"""Which operations autocast runs in 16 bits, and which in float32: the one table.

The choice follows PyTorch's lists for autocast. Products gain most from 16 bits and accumulate in float32. What sums
many elements, or maps small differences to large ones (exponentials, logarithms, powers, norms, losses), is computed
and stored in float32. Everything else runs in the types that its inputs have, and promotes to the widest of them.
"""

from __future__ import annotations

# Names as users know them -> classes of operations below genesis.ops.
LOW: dict[str, tuple[str, ...]] = {
    "matmul, mm, bmm, @, einsum, tensordot": ("MatMul",),
    "addmm, addmv, addr, baddbmm, addbmm": ("AddProduct",),
    "nn.functional.linear": ("Linear",),
    "nn.functional.conv1d, conv2d, conv_transpose2d": ("Convolution", "TransposedConvolution"),
    "nn.functional.scaled_dot_product_attention": ("Attention", "PackedAttention"),
    "products of RNN, LSTM and GRU": ("Rnn", "Lstm", "Gru"),
    "nn.functional.prelu": ("Prelu",),
}
FLOAT32: dict[str, tuple[str, ...]] = {
    "exp, exp2, expm1": ("Exp", "Exp2", "Expm1"),
    "log, log2, log10, log1p": ("Log", "Log2", "Log10", "Log1p"),
    "pow, square, rsqrt, reciprocal": ("Pow", "Square", "Rsqrt", "Reciprocal"),
    "tan, asin, acos, sinh, cosh, asinh, acosh, atanh": (
        "Tan", "Asin", "Acos", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
    "logit, xlogy, logaddexp, erfinv": ("Logit", "Xlogy", "Logaddexp", "Erfinv"),
    "sum, nansum, mean, prod, var, std, norm, logsumexp": (
        "Sum", "NanSum", "Mean", "Prod", "Var", "VectorNorm", "LogSumExp"),
    "cumsum, cumprod, logcumsumexp": ("CumSum", "CumProd", "LogCumSumExp"),
    "softmax, log_softmax": ("Softmax", "LogSoftmax"),
    "nn.functional.softplus, logsigmoid": ("Softplus", "LogSigmoid"),
    "nn.functional.layer_norm, rms_norm, group_norm, batch_norm, instance_norm": (
        "LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm"),
    "cross_entropy, nll_loss, mse_loss and the other losses": (
        "CrossEntropy", "NLL", "PairLoss", "WeightedLogits"),
}

_POLICY = {cls: name for name, table in (("low", LOW), ("float32", FLOAT32))
           for classes in table.values() for cls in classes}


def policy(operation: str) -> str | None:
    """What autocast does to the inputs of a class of operations: ``"low"``, ``"float32"`` or None."""
    return _POLICY.get(operation)
