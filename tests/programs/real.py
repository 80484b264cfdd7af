"""What the programs stand on: the handwritten digits, Python source text, and models for both."""

import genesis
from genesis import nn
from genesis.data import DataLoader, Dataset, TensorDataset
from genesis.data.datasets import digits, stdlib_text

CONTEXT = 32


class MyModel(nn.Module):
    """Reads a digit: images (N, 1, 8, 8) to logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU())
        self.classifier = nn.Linear(48, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


class Autoencoder(nn.Module):
    """Reads a digit through a bottleneck, with the three parts that fine-tuning gives rates of their own."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.decoder(self.encoder(x)))


class TransformerModel(nn.Module):
    """A causal transformer over the characters of the text: (N, T) to logits (N, T, vocabulary)."""

    def __init__(self, width=64, heads=2, layers=2):
        super().__init__()
        self.characters = nn.Embedding(text.vocab_size, width)
        self.places = nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True,
                                           norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width))
        self.head = nn.Linear(width, text.vocab_size)
        places = genesis.arange(CONTEXT)
        self.register_buffer("later", places > places.unsqueeze(1), persistent=False)

    def forward(self, characters):
        x = self.characters(characters) + self.places(genesis.arange(CONTEXT, device=characters.device))
        return self.head(self.encoder(x, mask=self.later, is_causal=True))


class Blocks(Dataset):
    """Stretches of the text as dicts: what is read, and what comes after each character."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        piece = text.train[i * CONTEXT:(i + 1) * CONTEXT + 1]
        return {"input": piece[:-1], "target": piece[1:]}


text = stdlib_text(40_000)


def digit_batches(count=1437, batch_size=64):
    """The training images in shuffled batches."""
    images, labels = digits(train=True).tensors
    return DataLoader(TensorDataset(images[:count], labels[:count]), batch_size, shuffle=True)


def text_batches(batches, batch_size=16):
    """Batches of the text."""
    return DataLoader(Blocks(batches * batch_size), batch_size, shuffle=True)


def text_criterion(outputs, target):
    """Cross-entropy over all places: outputs (N, T, V), target (N, T)."""
    return nn.functional.cross_entropy(outputs.flatten(0, 1), target.flatten())


@genesis.no_grad()
def accuracy(model):
    """Share of the 360 held-out digits that a model reads correctly."""
    model.eval()
    images, labels = digits(train=False).tensors
    return (model(images).argmax(1) == labels).float().mean().item()


@genesis.no_grad()
def digit_loss(model):
    """Cross-entropy of a model on the held-out digits."""
    model.eval()
    images, labels = digits(train=False).tensors
    return nn.functional.cross_entropy(model(images), labels).item()


@genesis.no_grad()
def text_loss(model):
    """Cross-entropy of a model on the beginning of the text that is held out."""
    model.eval()
    piece = genesis.tensor(text.val[:64 * CONTEXT + 1])
    return text_criterion(model(piece[:-1].reshape(64, CONTEXT)), piece[1:].reshape(64, CONTEXT)).item()
