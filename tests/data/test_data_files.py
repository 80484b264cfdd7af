"""Readers and downloads, with files that the tests write."""

import gzip
import hashlib
import http.client
import io
import struct
import tarfile
import urllib.error

import numpy as np
import pytest

import genesis
from genesis.data import DataLoader
from genesis.data.datasets import CIFAR10, MNIST, DatasetError, FashionMNIST, _files, read_idx

TYPES = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    header = bytes([0, 0, TYPES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def mnist_files(n=5, part="train"):
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    return images, labels, {f"{part}-images-idx3-ubyte": idx(images), f"{part}-labels-idx1-ubyte": idx(labels)}


def cifar_records(n, seed=0):
    records = np.random.default_rng(seed).integers(0, 256, (n, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    return records


class Server:
    """Stands in for urllib's opener; has files by URL."""

    def __init__(self, monkeypatch, files=None, error=None):
        self.files, self.error, self.asked, self.moved = files or {}, error, [], None
        monkeypatch.setattr("urllib.request.urlopen", self)

    def __call__(self, request, timeout):
        assert timeout > 0
        assert request.full_url.startswith("https://")
        self.asked.append(request.full_url)
        if self.error is not None:
            raise self.error
        name = request.full_url.rpartition("/")[2]
        if name not in self.files:
            raise urllib.error.HTTPError(request.full_url, 404, "Not Found", http.client.HTTPMessage(), io.BytesIO())
        response = io.BytesIO(self.files[name])
        response.geturl = lambda: self.moved or request.full_url
        return response


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_idx_round_trip(tmp_path, dtype, compressed):
    array = np.arange(-6, 18).reshape(2, 3, 4).astype(dtype)
    content = idx(array)
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if compressed else content)
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


WHOLE = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))


DAMAGED = {
    "empty": (b"", "not an IDX file"),
    "two bytes": (b"\0\0", "not an IDX file"),
    "a web page": (b"<html>", "begins with the bytes 3c 68 74 6d"),
    "no such type": (b"\0\0\x07\x01" + WHOLE[4:], "not an IDX file"),
    "half a header": (WHOLE[:9], "within the header"),
    "short": (WHOLE[:-1], r"shape \(3, 4\) needs 12 bytes after the header, there are only 11"),
    "long": (WHOLE + b"x", "there are more"),
    "huge shape": (b"\0\0\x08\x03" + b"\xff" * 12 + b"abc", "damaged"),
    "short gzip": (gzip.compress(WHOLE)[:-12], "damaged"),
    "half a gzip header": (gzip.compress(WHOLE)[:5], "damaged"),
    "not gzip": (b"\x1f\x8b\x08" + b"\xff" * 30, "damaged"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_idx_says_what_is_wrong_with_a_file(tmp_path, content, message):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_idx_of_no_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("folder", ["MNIST/raw", ""])
def test_mnist_reads_files_wherever_they_are(tmp_path, folder, compressed):
    images, labels, files = mnist_files()
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = tmp_path / folder / (name + ".gz" * compressed)
        path.write_bytes(gzip.compress(content) if compressed else content)
    data = MNIST(tmp_path)
    image, label = data[2]
    assert (len(data), data.data.shape, data.targets.dtype) == (5, (5, 1, 28, 28), np.int64)
    assert (image.shape, image.dtype, label) == ((1, 28, 28), np.float32, labels[2])
    np.testing.assert_allclose(image[0], images[2] / 255, rtol=1e-6)
    assert data.classes[int(label)] == FashionMNIST.__base__.classes[labels[2]]


def test_mnist_makes_batches_and_transforms_apply(tmp_path):
    images, labels, files = mnist_files(part="t10k")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    batch, targets = next(iter(DataLoader(MNIST(tmp_path, train=False), batch_size=5)))
    assert isinstance(batch, genesis.Tensor)
    assert (batch.shape, batch.dtype, targets.tolist()) == ((5, 1, 28, 28), genesis.float32, labels.tolist())
    np.testing.assert_allclose(batch.numpy()[:, 0], images / 255, rtol=1e-6)
    data = MNIST(tmp_path, train=False, transform=lambda image: 1 - image, target_transform=lambda label: -label)
    inverted, negative = next(iter(DataLoader(data, batch_size=5)))
    np.testing.assert_allclose(inverted.numpy(), 1 - batch.numpy(), rtol=1e-6)
    assert negative.tolist() == (-labels.astype(int)).tolist()


def test_mnist_missing_files_are_named_with_their_place(tmp_path):
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz and train-labels.*download=True") as caught:
        FashionMNIST(tmp_path)
    assert str(tmp_path / "FashionMNIST" / "raw") in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros(3, np.uint8), np.zeros(3, np.uint8), "not images"),
        (np.zeros((3, 28, 28), np.int32), np.zeros(3, np.uint8), "not images"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8), "not a label for each of 3 images"),
        (np.zeros((3, 28, 28), np.uint8), np.full(3, 10, np.uint8), "the label 10"),
    ],
)
def test_mnist_files_must_fit_together(tmp_path, images, labels, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(DatasetError, match=message):
        MNIST(tmp_path)


@pytest.fixture
def server(monkeypatch):
    """A server with a small MNIST, whose checksums are the expected ones."""
    files = {name + ".gz": gzip.compress(content) for name, content in mnist_files()[2].items()}
    monkeypatch.setattr(MNIST, "checksums", {name: md5(content) for name, content in files.items()})
    return Server(monkeypatch, files)


def test_mnist_downloads_once_and_leaves_only_whole_files(tmp_path, server):
    assert len(MNIST(tmp_path, download=True)) == 5
    assert len(server.asked) == 2
    assert len(MNIST(tmp_path, download=True)) == len(MNIST(tmp_path)) == 5
    assert len(server.asked) == 2
    assert sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir()) == sorted(server.files)


def test_damaged_file_is_downloaded_again(tmp_path, server):
    MNIST(tmp_path, download=True)
    path = tmp_path / "MNIST/raw/train-labels-idx1-ubyte.gz"
    path.write_bytes(b"half")
    assert len(MNIST(tmp_path, download=True)) == 5
    assert len(server.asked) == 3


def test_download_tries_the_next_mirror(tmp_path, server):
    first, second = MNIST.mirrors
    answer = server.__call__

    def only_the_second(request, timeout):
        if request.full_url.startswith(first):
            server.asked.append(request.full_url)
            raise urllib.error.URLError("unreachable")
        return answer(request, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("urllib.request.urlopen", only_the_second)
        assert len(MNIST(tmp_path, download=True)) == 5
    assert [url.startswith(second) for url in server.asked] == [False, True, False, True]


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Temporary failure in name resolution"),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        http.client.IncompleteRead(b""),
    ],
)
def test_offline_says_which_files_to_put_where(tmp_path, monkeypatch, error):
    Server(monkeypatch, error=error)
    with pytest.raises(DatasetError, match=r"could not download train-images-idx3-ubyte\.gz") as caught:
        MNIST(tmp_path, download=True)
    assert f"put it into {tmp_path / 'MNIST' / 'raw'}" in str(caught.value)
    assert all(mirror in str(caught.value) for mirror in MNIST.mirrors)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_wrong_checksum_leaves_no_file(tmp_path, server):
    server.files["train-images-idx3-ubyte.gz"] += b"x"
    with pytest.raises(DatasetError, match="checksum"):
        MNIST(tmp_path, download=True)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_redirection_away_from_https_is_refused(tmp_path, server):
    server.moved = "http://somewhere.example/file"
    with pytest.raises(DatasetError, match="not HTTPS"):
        MNIST(tmp_path, download=True)


def test_interrupted_download_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def interrupted():
        with _files.replacing(target) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_bytes() == b"old"


def test_addresses_are_https_and_checksums_complete():
    for data in (MNIST, FashionMNIST):
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in data.mirrors)
        assert len(data.checksums) == 4
        assert all(len(bytes.fromhex(checksum)) == 16 for checksum in data.checksums.values())
        assert len(data.classes) == 10
    assert CIFAR10.url.startswith("https://")
    assert len(bytes.fromhex(CIFAR10.md5)) == 16


def cifar_archive(files, prefix="cifar-10-batches-bin/"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def cifar_files():
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    return {name: cifar_records(2 + i, i).tobytes() for i, name in enumerate(names)}


def test_cifar_reads_the_binary_files(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in cifar_files().items():
        (folder / name).write_bytes(content)
    train, test = CIFAR10(tmp_path), CIFAR10(tmp_path, train=False)
    assert (len(train), len(test), train.data.shape) == (2 + 3 + 4 + 5 + 6, 7, (20, 3, 32, 32))
    record = cifar_records(7, 5)[3]
    image, label = test[3]
    assert (image.shape, image.dtype, label) == ((3, 32, 32), np.float32, record[0])
    np.testing.assert_allclose(image[1, 0], record[1 + 1024 : 1 + 1024 + 32] / 255, rtol=1e-6)  # green, first row


def test_cifar_unpacks_an_archive_that_is_there(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar_archive(cifar_files()))
    assert len(CIFAR10(tmp_path, train=False)) == 7
    assert [path.name for path in (tmp_path / "cifar-10-batches-bin").iterdir()] == ["test_batch.bin"]
    assert len(CIFAR10(tmp_path)) == 20


def test_cifar_downloads(tmp_path, monkeypatch):
    archive = cifar_archive(cifar_files())
    server = Server(monkeypatch, {"cifar-10-binary.tar.gz": archive})
    with pytest.raises(DatasetError, match="checksum"):
        CIFAR10(tmp_path, download=True)
    monkeypatch.setattr(CIFAR10, "md5", md5(archive))
    assert len(CIFAR10(tmp_path, download=True)) == 20
    assert len(CIFAR10(tmp_path, train=False, download=True)) == 7
    assert len(server.asked) == 2


def test_cifar_missing_files_are_named_with_their_place(tmp_path):
    with pytest.raises(DatasetError, match=r"data_batch_5\.bin into .*cifar-10-binary\.tar\.gz.*download=True"):
        CIFAR10(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole number of records"),
        (b"x" * 3072, "3072 bytes are not a whole number"),
        (b"\x0b" + b"x" * 3072, "a label 11"),
    ],
)
def test_cifar_says_what_is_wrong_with_a_file(tmp_path, content, message):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        CIFAR10(tmp_path, train=False)


def test_cifar_archives_that_are_damaged_or_strange(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    whole = cifar_archive(cifar_files())
    for content in (b"no archive", whole[: len(whole) // 2], gzip.compress(b"no archive either")):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"damaged|does not have"):
            CIFAR10(tmp_path)
    path.write_bytes(cifar_archive({"data.pickle": b"x"}))
    with pytest.raises(DatasetError, match=r"does not have test_batch\.bin"):
        CIFAR10(tmp_path, train=False)


def test_cifar_archive_cannot_write_elsewhere(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
        content = cifar_records(1).tobytes()
        info = tarfile.TarInfo("../../test_batch.bin")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    (root / "cifar-10-binary.tar.gz").write_bytes(stream.getvalue())
    assert len(CIFAR10(root, train=False)) == 1  # by its last name, in the folder where it belongs
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert not (root / "cifar-10-batches-bin" / "test_batch.bin").is_symlink()
