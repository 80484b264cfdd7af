"""GPT: a causal transformer over tokens, as GPT-2 lays it out (Radford et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import genesis
from genesis import nn
from genesis.nn.functional.attention import packed_self_attention


@dataclass(frozen=True)
class Config:
    """Sizes of a model.

    Attributes:
        vocab_size: number of different tokens.
        context: the most tokens it looks back on, the last one included.
        layers: number of blocks.
        width: width of the path through the blocks, a multiple of ``heads``.
        heads: attention heads a block.
        dropout: probability of dropping, in training, attention weights and what is added to the path.
        tied: whether the weights that turn vectors into logits are those that turn tokens into vectors.
    """

    vocab_size: int
    context: int = 256
    layers: int = 6
    width: int = 384
    heads: int = 6
    dropout: float = 0.0
    tied: bool = True


class Block(nn.Module):
    """Attention to what came before, then a network for each place by itself; each beside a residual path."""

    def __init__(self, config: Config):
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.contract = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: genesis.Tensor) -> genesis.Tensor:
        """(B, T, width) -> the same."""
        p = self.dropout if self.training else 0.0
        seen = packed_self_attention(self.qkv(self.norm1(x)), self.heads, dropout_p=p, is_causal=True)
        x = x + self.drop(self.projection(seen))
        return x + self.drop(self.contract(self.gelu(self.expand(self.norm2(x)))))


class GPT(nn.Module):
    """A causal transformer: tokens to the logits of the token after each.

    Every parameter has the name and shape that PyTorch's layers of these names would give it, so weights can be
    exchanged with the same model written there.

    Args:
        config: the sizes.

    Example:
        >>> from genesis.recipes.gpt import GPT, Config
        >>> model = GPT(Config(vocab_size=50, context=16, layers=2, width=32, heads=4))
        >>> model(genesis.zeros(3, 16, dtype=genesis.int64)).shape
        genesis.Size([3, 16, 50])
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.places = nn.Embedding(config.context, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.tokens.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew: deviation 0.02 at width 768, GPT-2's, and larger for smaller widths.

        What is added to the path gets less, so that the path does not grow with the number of blocks.
        """
        deviation = 0.02 * math.sqrt(768 / self.config.width)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                added = name.endswith(("projection.weight", "contract.weight"))
                nn.init.normal_(p, 0.0, deviation / math.sqrt(2 * self.config.layers) if added else deviation)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    @property
    def context(self) -> int:
        """The most tokens it looks back on."""
        return self.config.context

    def forward(self, tokens: genesis.Tensor) -> genesis.Tensor:
        """Tokens (B, T), T at most ``context``, to logits (B, T, vocab_size) for the one after each."""
        x = self.drop(self.tokens(tokens) + self.places.weight[:tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def groups(self) -> list[dict[str, object]]:
        """Parameters for an optimizer: matrices, which may decay, and vectors, which should not."""
        matrices = [p for p in self.parameters() if p.ndim > 1]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
