"""A softmax over many classes, most of them rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..functions import cat
from ..tensor import Tensor, tensor
from . import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """What the layer returns: the log-probability of each target, and their mean with the sign changed."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of targets by clusters of classes (Grave et al. 2017, arXiv:1609.04309).

    Classes are numbered by falling frequency. The head tells the frequent ones, up to ``cutoffs[0]``, and the clusters
    of the others apart; a cluster's own classes are only computed for the samples that are in it, from ever fewer
    features. The targets are read by the host.

    Args:
        in_features: the features of a sample.
        n_classes: the number of classes.
        cutoffs: where clusters begin: rising, from 1 to ``n_classes - 1``.
        div_value: cluster i (from 0) works with ``in_features // div_value ** (i + 1)`` features.
        head_bias: whether the head has a bias.
        device, dtype: of the parameters.

    Attributes:
        head: linear, to ``cutoffs[0]`` classes and the clusters.
        tail: for each cluster two linear layers without biases.

    Raises:
        ValueError: ``cutoffs`` are none, or not as they should be.

    Example:
        >>> layer = genesis.nn.AdaptiveLogSoftmaxWithLoss(16, 100, cutoffs=[10, 40])
        >>> output, loss = layer(genesis.randn(8, 16), genesis.arange(0, 96, 12))
        >>> output.shape, bool((layer.log_prob(genesis.randn(2, 16)).exp().sum(1) - 1 < 1e-5).all())
        (genesis.Size([8]), True)
    """

    def __init__(self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
                 head_bias: bool = False, device: Any = None, dtype: Any = None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs must hold at least one number")
        if (any(int(c) != c for c in cutoffs) or sorted(set(cutoffs)) != cutoffs or cutoffs[0] <= 0
                or cutoffs[-1] > n_classes - 1):
            raise ValueError(f"cutoffs must be rising whole numbers from 1 to n_classes - 1, {n_classes - 1}, not "
                             f"{cutoffs}")
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            width = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(Linear(in_features, width, bias=False, device=device, dtype=dtype),
                                        Linear(width, size, bias=False, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for layer in cluster:
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        """Log-probabilities of targets.

        Args:
            input_: (N, in_features), or (in_features,).
            target_: classes, int64 (N,), or ().

        Returns:
            A named tuple: ``output``, the log-probability of each target, (N,) or (), and ``loss``, minus their mean.

        Raises:
            RuntimeError: shapes that do not fit, or a target that is no class.
        """
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1 or input_.shape[:-1] != target_.shape:
            raise RuntimeError("an adaptive softmax needs an input (N, in_features) and targets (N,), or both without "
                               f"N, not of shapes {tuple(input_.shape)} and {tuple(target_.shape)}")
        x = input_ if target_.ndim else input_.unsqueeze(0)
        classes = target_.numpy().reshape(-1)
        if classes.size and not (classes.min() >= 0 and classes.max() < self.n_classes):
            raise RuntimeError(f"targets must be from 0 to {self.n_classes - 1}, found {classes.min()} to "
                               f"{classes.max()}")
        cluster = np.searchsorted(self.cutoffs, classes, side="right")            # 0 for the head's own classes
        place = np.where(cluster == 0, classes, self.shortlist_size + cluster - 1)

        def on_device(values: np.ndarray) -> Tensor:
            return tensor(values.astype(np.int64), device=x.device)

        output: Tensor = F.log_softmax(self.head(x), dim=1).gather(1, on_device(place).unsqueeze(1)).squeeze(1)
        for i, layers in enumerate(self.tail):
            rows = np.flatnonzero(cluster == i + 1)
            if rows.size:
                at = on_device(rows)
                logs = F.log_softmax(layers(x.index_select(0, at)), dim=1)
                inside = on_device(classes[rows] - self.cutoffs[i]).unsqueeze(1)
                output = output.index_add(0, at, logs.gather(1, inside).squeeze(1))
        loss = (-output).mean()
        return ASMoutput(output if target_.ndim else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: (N, in_features) -> (N, n_classes)."""
        head = F.log_softmax(self.head(input), dim=1)
        parts = [head[:, :self.shortlist_size]]
        for i, layers in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(layers(input), dim=1) + head[:, at:at + 1])
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of each sample: (N, in_features) -> int64 (N,).

        Clusters are looked into only for samples whose likeliest output of the head is a cluster, as in PyTorch.
        """
        result: Tensor = self.head(input).argmax(dim=1)
        rows = np.flatnonzero(result.numpy() >= self.shortlist_size)
        if rows.size:
            at = tensor(rows.astype(np.int64), device=input.device)
            result = result.index_copy(0, at, self.log_prob(input.index_select(0, at)).argmax(dim=1))
        return result
