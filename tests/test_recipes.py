"""The recipes: they learn, repeat themselves, and leave files that can be used."""

import csv
import math
import sys

import numpy as np
import pytest

import genesis
from genesis.data.datasets import CharText
from genesis.optim import OPTIMIZERS
from genesis.recipes import digits, text
from genesis.recipes.curves import Curves, Panel
from genesis.recipes.gpt import GPT, Config
from genesis.recipes.progress import Progress


def weights(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.lengthy
def test_digits_reaches_its_accuracy_and_repeats_it(tmp_path):
    first, second = (digits.train(out=tmp_path / name, quiet=True) for name in ("first", "second"))
    assert first.accuracy >= 0.97
    assert second.accuracy == first.accuracy
    assert second.compiled == 0
    for name, value in weights(first.model).items():
        assert np.array_equal(value, weights(second.model)[name]), name
    assert first.curves.rows == second.curves.rows


@pytest.mark.parametrize("optimizer", [name if name == "adamw" else pytest.param(name, marks=pytest.mark.lengthy)
                                       for name in OPTIMIZERS])
def test_digits_learns_with_every_optimizer(optimizer, tmp_path):
    result = digits.train(optimizer, epochs=2, out=tmp_path, quiet=True)
    assert result.curves["train_loss"][1] < result.curves["train_loss"][0] < math.log(10)
    assert result.images_per_second > 0


def test_digits_seeds_differ(tmp_path):
    one, two = (digits.train(seed=seed, epochs=1, out=tmp_path, quiet=True) for seed in (1, 2))
    assert one.loss != two.loss


def test_digits_says_what_it_did(tmp_path, capsys):
    result = digits.train(epochs=1, out=tmp_path / "new" / "folder")
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[-1] == f"test accuracy {result.accuracy:.4f}"
    assert lines[0].startswith(f"device: {genesis.device()}, {genesis.device().name}")
    assert f"kernels: {result.compiled} compiled, {result.loaded} loaded from the cache" in lines
    assert f"checkpoint: {result.checkpoint}" in lines
    assert "images a second" in out
    assert result.checkpoint.parent == tmp_path / "new" / "folder"
    assert result.csv.is_file()


def test_digits_checkpoint_holds_everything(tmp_path):
    result = digits.train("adamw", epochs=2, seed=3, out=tmp_path, quiet=True)
    saved = genesis.load(result.checkpoint)
    assert saved["epoch"] == 2
    assert saved["config"] == {"recipe": "digits", "optimizer": "adamw", "lr": None, "epochs": 2, "batch_size": 64,
                               "seed": 3}
    assert saved["curves"] == result.curves.rows
    assert saved["rng"] == genesis.get_rng_state()
    model = digits.network()
    model.load_state_dict(saved["model"])
    assert digits.evaluate(model, *digits.load_data(train=False)) == (result.loss, result.accuracy)
    optimizer = genesis.optim.AdamW(model.parameters())
    optimizer.load_state_dict(saved["optimizer"])
    assert optimizer.param_groups[0]["initial_lr"] == 0.01


def test_digits_pixels_are_normalised():
    images, labels = digits.load_data(train=True)
    assert images.shape == (1437, 1, 8, 8)
    assert labels.shape == (1437,)
    assert abs(images.mean().item()) < 1e-2
    assert abs(images.std().item() - 1) < 1e-2


def test_digits_without_the_extra_packages(tmp_path, monkeypatch, capsys):
    for name in ("tqdm", "matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    result = digits.train(epochs=2, out=tmp_path)
    shown = capsys.readouterr()
    assert result.png is None
    assert not (tmp_path / "curves.png").exists()
    assert 'pip install "genesis-cl[recipes]"' in shown.out
    assert "epoch 2/2: loss" in shown.err
    with result.csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["test_accuracy"]) == result.accuracy


def test_digits_draws_its_curves(tmp_path):
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib, the extra 'recipes'")
    result = digits.train(epochs=2, out=tmp_path, quiet=True)
    assert result.png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_interrupt_keeps_the_last_checkpoint(tmp_path, monkeypatch, capsys):
    calls = []
    evaluate = digits.evaluate

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 3:                   # in the second epoch
            raise KeyboardInterrupt
        return evaluate(*args)

    monkeypatch.setattr(digits, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        digits.train(epochs=5, out=tmp_path)
    assert genesis.load(tmp_path / "checkpoint.safetensors")["epoch"] == 1
    assert "checkpoint of epoch 1 is kept" in capsys.readouterr().out


def test_interrupt_right_after_a_checkpoint_appeared(tmp_path, monkeypatch, capsys):
    save = genesis.save

    def interrupt(*args):
        save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(genesis, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        digits.train(epochs=5, out=tmp_path)
    assert "checkpoint of epoch 1 is kept" in capsys.readouterr().out


def test_interrupt_beside_another_runs_checkpoint(tmp_path, monkeypatch, capsys):
    digits.train(epochs=2, out=tmp_path, quiet=True)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(digits, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        digits.train(epochs=5, out=tmp_path)
    assert genesis.load(tmp_path / "checkpoint.safetensors")["epoch"] == 2
    assert "interrupted before the first checkpoint" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", [digits, text])
@pytest.mark.parametrize(("settings", "message"), [
    ({"epochs": 0}, "epochs"), ({"epochs": 1.5}, "epochs"), ({"batch_size": -1}, "batch_size"),
    ({"lr": math.nan}, "lr"), ({"lr": -0.1}, "lr"), ({"optimizer": "sdg"}, "'sdg'"), ({"seed": 1 << 70}, "seed"),
])
def test_settings_out_of_range(recipe, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        recipe.train(**settings, out=tmp_path, quiet=True)


def test_unusable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        digits.train(out=tmp_path / "file", quiet=True)


@pytest.mark.lengthy
def test_text_learns_and_writes(tmp_path, capsys):
    result = text.train(epochs=2, batch_size=8, characters=20_000, out=tmp_path)
    shown = capsys.readouterr().out
    assert result.bits < 5.5 < math.log2(96)
    assert result.sample.startswith("def ")
    assert len(result.sample) == 404
    assert shown.splitlines()[-1] == f"bits per character {result.bits:.4f} (unigram entropy {result.unigram:.4f})"
    saved = genesis.load(result.checkpoint)
    assert saved["step"] == result.curves["step"][-1] == 2 * math.ceil((18_000 - 1) // text.CONTEXT / 8)
    assert saved["config"]["characters"] == 20_000


def test_text_looks_only_back():
    model = GPT(Config(7, context=10, layers=2, width=32, heads=2))
    before = genesis.randint(0, 7, (2, 10))
    after = before.clone()
    after[:, 6] = (after[:, 6] + 1) % 7
    with genesis.no_grad():
        same = model(before).numpy() == model(after).numpy()
    assert same[:, :6].all()
    assert not same[:, 6:].all(-1).any()


def test_text_reads_shorter_contexts_alike():
    model = GPT(Config(7, context=10, layers=2, width=32, heads=2))
    characters = genesis.randint(0, 7, (1, 10))
    with genesis.no_grad():
        np.testing.assert_allclose(model(characters[:, :4]).numpy(), model(characters)[:, :4].numpy(), atol=1e-5)


def its_gpt(torch, config):
    """The same model in PyTorch."""
    def block():
        width = config.width
        return torch.nn.ModuleDict({
            "norm1": torch.nn.LayerNorm(width), "qkv": torch.nn.Linear(width, 3 * width),
            "projection": torch.nn.Linear(width, width), "norm2": torch.nn.LayerNorm(width),
            "expand": torch.nn.Linear(width, 4 * width), "contract": torch.nn.Linear(4 * width, width)})

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = torch.nn.Embedding(config.vocab_size, config.width)
            self.places = torch.nn.Embedding(config.context, config.width)
            self.blocks = torch.nn.ModuleList(block() for _ in range(config.layers))
            self.norm = torch.nn.LayerNorm(config.width)
            self.head = torch.nn.Linear(config.width, config.vocab_size, bias=False)
            if config.tied:
                self.head.weight = self.tokens.weight

        def forward(self, tokens):
            batch, length = tokens.shape
            x = self.tokens(tokens) + self.places.weight[:length]
            for b in self.blocks:
                q, k, v = b["qkv"](b["norm1"](x)).reshape(batch, length, 3, config.heads, -1).permute(2, 0, 3, 1, 4)
                seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + b["projection"](seen.transpose(1, 2).reshape(batch, length, config.width))
                x = x + b["contract"](torch.nn.functional.gelu(b["expand"](b["norm2"](x))))
            return self.head(self.norm(x))

    return Model()


@pytest.mark.parametrize("tied", [True, False])
def test_gpt_equals_the_same_model_in_pytorch(tied):
    torch = pytest.importorskip("torch")
    config = Config(50, context=40, layers=2, width=48, heads=3, tied=tied)
    mine, its = GPT(config), its_gpt(torch, config).double()
    assert [(n, tuple(p.shape)) for n, p in mine.state_dict().items()] == [
        (n, tuple(p.shape)) for n, p in its.state_dict().items()]
    its.load_state_dict({n: torch.tensor(p.numpy()) for n, p in mine.state_dict().items()})
    tokens = np.random.default_rng(0).integers(0, 50, (3, 33))
    result, expected = mine(genesis.tensor(tokens)), its(torch.tensor(tokens))
    np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), rtol=1e-3, atol=1e-4)
    result.sin().sum().backward()
    expected.sin().sum().backward()
    for (name, x), (other, y) in zip(mine.named_parameters(), its.named_parameters()):
        assert name == other
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-3,
                                   atol=1e-4 * float(y.grad.abs().max()), err_msg=name)
    again = GPT(config)
    again.load_state_dict({n: p.detach().float().numpy() for n, p in its.state_dict().items()})
    with genesis.no_grad():
        assert genesis.equal(again(genesis.tensor(tokens)), result)


def test_gpt_of_the_usual_size():
    model = GPT(Config(65))
    assert (len(model.blocks), model.context) == (6, 256)
    assert sum(p.numel() for p in model.parameters()) == 65 * 384 + 256 * 384 + 6 * (12 * 384 * 384 + 13 * 384) + 768
    decayed, others = (group["params"] for group in model.groups())
    assert len(decayed) + len(others) == len(list(model.parameters()))
    assert all(p.ndim == 2 for p in decayed)


def test_gpt_dropout_only_in_training():
    model = GPT(Config(7, context=10, layers=1, width=32, heads=2, dropout=0.5))
    tokens = genesis.randint(0, 7, (2, 10))
    with genesis.no_grad():
        assert not genesis.equal(model(tokens), model(tokens))
        model.eval()
        assert genesis.equal(model(tokens), model(tokens))


def test_text_measures_bits():
    corpus = CharText("abcd" * 400, val_fraction=0.5)

    class Uniform(genesis.nn.Module):
        def forward(self, x):
            return genesis.zeros(*x.shape, 4)

    assert text.measure(Uniform(), corpus) == pytest.approx(2)
    assert text.measure(Uniform(), corpus, 3) == pytest.approx(2)
    assert text.unigram_entropy(corpus) == pytest.approx(2)
    assert text.unigram_entropy(CharText("aaab", 0)) == pytest.approx(0.75 * math.log2(4 / 3) + 0.25 * 2)


@pytest.mark.lengthy
def test_text_repeats_what_it_writes():
    corpus = CharText("def f(): return " * 20)
    model = text.network(corpus.vocab_size)
    first, second, other = (text.write(model, corpus, "def ", 30, seed) for seed in (1, 1, 2))
    assert first == second != other


def test_progress_bar_shows_figures(capsys):
    pytest.importorskip("tqdm", reason="the bar needs tqdm, the extra 'recipes'")
    with Progress(2, "training") as progress:
        progress.advance()
        progress.note("epoch 1/2", "loss 0.5")
        progress.advance()
        progress.note("epoch 2/2", "loss 0.25")
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert "2/2" in shown
    assert "loss 0.25" in shown


def test_quiet_progress_shows_nothing(capsys):
    with Progress(1, "training", quiet=True) as progress:
        progress.advance()
        progress.note("epoch 1/1", "loss 0.5")
    assert capsys.readouterr() == ("", "")


def test_curves_of_a_run_that_went_wrong_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib, the extra 'recipes'")
    curves = Curves("epoch")
    curves.add(epoch=1, loss=math.nan)
    curves.add(epoch=2, loss=math.inf)
    assert curves.draw(tmp_path / "curves.png", "diverged", [Panel("loss", {"loss": "train"}, log=True)])
