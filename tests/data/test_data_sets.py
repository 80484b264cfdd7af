"""The data sets that are always there."""

import hashlib
import sys
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import genesis
from genesis.data import DataLoader
from genesis.data.datasets import CharBlocks, CharText, DatasetError, digits, stdlib_text
from genesis.data.datasets._digits import split


def test_digits_have_the_documented_shapes_and_values():
    for train, size in ((True, 1437), (False, 360)):
        images, labels = digits(train=train).tensors
        assert isinstance(images, genesis.Tensor)
        assert (images.shape, images.dtype) == ((size, 1, 8, 8), genesis.float32)
        assert (labels.shape, labels.dtype) == ((size,), genesis.int64)
        assert set((images.numpy() * 16).ravel().tolist()) == set(map(float, range(17)))
    image, label = digits()[0]
    assert (image.shape, label.shape) == ((1, 8, 8), ())


def test_digits_split_is_the_documented_one():
    raw = np.genfromtxt(resources.files("genesis.data").joinpath("files/digits.csv.gz"), delimiter=",", dtype=int)
    order = sorted(range(1797), key=lambda row: hashlib.sha256(b"%d" % row).hexdigest())
    held_out = [row for digit in range(10) for row in [row for row in order if raw[row, 64] == digit][:36]]
    expected = [row for row in order if row in held_out]
    images, labels = split(train=False)
    np.testing.assert_array_equal(images.reshape(360, 64) * 16, raw[expected, :64])
    np.testing.assert_array_equal(labels, raw[expected, 64])
    assert expected[:8] == [1039, 886, 286, 1467, 1064, 671, 245, 374]  # for ever


def test_digits_parts_are_disjoint_complete_and_balanced():
    (train, train_labels), (test, test_labels) = split(True), split(False)
    rows = {image.tobytes() for image in np.concatenate([train, test])}
    assert len(rows) == 1797  # no two images are alike, so no image is in both
    assert np.bincount(test_labels).tolist() == [36] * 10
    assert np.bincount(train_labels).min() >= 138
    # Any stretch is a mixture: the file itself has runs of one writer.
    assert np.bincount(train_labels[:200], minlength=10).min() >= 10


def test_digits_are_separable_by_nearest_neighbour():
    (train, train_labels), (test, test_labels) = split(True), split(False)
    a, b = train.reshape(-1, 64), test.reshape(-1, 64)
    nearest = ((b[:, None] - a[None]) ** 2).sum(-1).argmin(1)
    assert (train_labels[nearest] == test_labels).mean() > 0.97


def test_digits_file_is_the_one_described_in_its_licence():
    folder = resources.files("genesis.data").joinpath("files")
    digest = hashlib.sha256(folder.joinpath("digits.csv.gz").read_bytes()).hexdigest()
    licence = folder.joinpath("LICENSE-digits.txt").read_text()
    for part in (digest, "10.24432/C50P49", "CC BY 4.0", "E. Alpaydin and C. Kaynak (1998)"):
        assert part in licence


def test_digits_without_its_file_says_so(monkeypatch, tmp_path):
    from genesis.data.datasets import _digits

    _digits._load.cache_clear()
    monkeypatch.setattr(_digits.resources, "files", lambda package: tmp_path)
    with pytest.raises(DatasetError, match="not complete"):
        digits()


def test_digits_can_be_changed_without_changing_them_for_others():
    split(True)[0][:] = 7
    assert split(True)[0].max() == 1


@pytest.fixture(scope="module")
def text():
    return stdlib_text(max_chars=50_000)


def test_stdlib_text_is_the_same_each_time(text):
    again = stdlib_text(max_chars=50_000)
    assert again.text == text.text
    assert again.sources == text.sources == tuple(sorted(text.sources))
    assert len(text.text) == 50_000
    assert stdlib_text(max_chars=20_000).text == text.text[:20_000]
    assert all(not name.startswith("_") for name in text.sources)


def test_stdlib_text_is_python(text):
    assert "def " in text.text
    assert text.text.isascii()
    assert "\r" not in text.text
    assert text.vocab == "".join(sorted(set(text.text)))
    assert 60 < text.vocab_size < 129


def test_stdlib_text_encodes_and_splits(text):
    assert text.decode(text.data) == text.text
    assert (text.data.dtype, len(text.train), len(text.val)) == (np.int64, 45_000, 5_000)
    assert text.decode(text.train) + text.decode(text.val) == text.text
    assert text.decode(genesis.from_numpy(text.train[:50])) == text.text[:50]


def test_stdlib_text_without_files_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "python.zip"))
    with pytest.raises(DatasetError, match=r"as \.py files; use a Python"):
        stdlib_text()
    with pytest.raises(ValueError, match="max_chars"):
        stdlib_text(max_chars=1)


def test_stdlib_text_leaves_out_files_that_are_not_ascii(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset({"b", "a", "c", "_d", "gone"}))
    for name, content in {"a": b"one\r\n", "b": "grün".encode(), "c": b"two\n", "_d": b"x", "other": b"y"}.items():
        (tmp_path / f"{name}.py").write_bytes(content)
    text = stdlib_text(val_fraction=0)
    assert (text.text, text.sources, len(text.val)) == ("one\ntwo\n", ("a.py", "c.py"), 0)


@given(st.text(min_size=2), st.floats(0, 0.99))
def test_char_text_round_trip(content, fraction):
    text = CharText(content, fraction)
    assert text.decode(text.encode(content)) == content
    assert text.decode([*text.train, *text.val]) == content
    assert len(text.val) == int(len(content) * fraction)


def test_char_text_refuses_what_it_does_not_know():
    text = CharText("abc")
    with pytest.raises(ValueError, match="'é'"):
        text.encode("caé")
    with pytest.raises(ValueError, match=r"0\.\.2"):
        text.decode([3])
    with pytest.raises(ValueError, match="split"):
        text.blocks("test")
    with pytest.raises(ValueError, match="2 characters"):
        CharText("a")
    with pytest.raises(ValueError, match="val_fraction"):
        CharText("ab", 1.0)


@pytest.mark.parametrize("stride", [None, 1, 3])
@pytest.mark.parametrize("n", [5, 6, 9, 12, 13])
def test_blocks_cover_the_data_and_targets_are_one_further(n, stride):
    data = np.arange(n) * 10
    blocks = CharBlocks(data, context=4, stride=stride)
    starts = list(range(0, n - 4, stride or 4))
    assert len(blocks) == len(starts)
    for (inputs, targets), start in zip(blocks, starts, strict=True):
        assert inputs.tolist() == data[start : start + 4].tolist()
        assert targets.tolist() == data[start + 1 : start + 5].tolist()
    assert [part.tolist() for part in blocks[-1]] == [part.tolist() for part in blocks[len(blocks) - 1]]
    with pytest.raises(IndexError, match="blocks"):
        blocks[len(blocks)]


def test_blocks_refuse_bad_lengths():
    with pytest.raises(ValueError, match="5 characters, got 4"):
        CharBlocks(np.arange(4), 4)
    with pytest.raises(ValueError, match=">= 1"):
        CharBlocks(np.arange(9), 0)
    with pytest.raises(ValueError, match=">= 1"):
        CharBlocks(np.arange(9), 2, 0)


def test_blocks_come_as_batches_of_int64(text):
    inputs, targets = next(iter(DataLoader(text.blocks("val", 16), batch_size=5)))
    assert (inputs.shape, inputs.dtype) == ((5, 16), genesis.int64)
    assert inputs.tolist()[0][1:] == targets.tolist()[0][:-1]


def test_random_batches_are_fixed_by_the_generator(text):
    def batch(seed):
        return text.batch("train", 4, 8, generator=genesis.Generator().manual_seed(seed))

    (inputs, targets), (again, _) = batch(1), batch(1)
    assert (inputs.shape, targets.dtype) == ((4, 8), genesis.int64)
    assert inputs.tolist() == again.tolist() != batch(2)[0].tolist()
    assert all(text.decode(row) in text.text for row in inputs.tolist())
    assert [row[1:] for row in inputs.tolist()] == [row[:-1] for row in targets.tolist()]
