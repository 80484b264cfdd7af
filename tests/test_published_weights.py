"""Weights that somebody else trained and published: loaded without PyTorch, and computed with as PyTorch does.

The three networks of MTCNN (Zhang et al. 2016, arXiv:1604.02878), which find faces, come in the wheel of
facenet-pytorch (1.9 MB, MIT licence). It pins old versions of PyTorch and NumPy, so it is no dependency of the tests:
they use an installed one, or, when the environment variable GENESIS_TEST_DOWNLOAD is set, fetch the wheel alone.
"""

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import genesis
from genesis import nn

WHEEL = "facenet-pytorch==2.6.0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder with pnet.pt, rnet.pt and onet.pt."""
    found = importlib.util.find_spec("facenet_pytorch")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "data"
    if not os.environ.get("GENESIS_TEST_DOWNLOAD"):
        pytest.skip("facenet-pytorch is not installed, and GENESIS_TEST_DOWNLOAD is not set")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"{WHEEL} could not be fetched: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith("facenet_pytorch/data/")])
    return folder / "facenet_pytorch" / "data"


def networks(library):
    """The three networks with either library's modules: name -> (model, size of its images)."""
    n = library

    class Turned(n.Module):
        """The order of dimensions in which the published dense layers expect their input: width first."""

        def forward(self, x):
            return x.permute(0, 3, 2, 1).reshape(x.shape[0], -1)

    class Network(n.Module):
        """Layers one after the other, then heads side by side; a head named with _1 gives probabilities."""

        def __init__(self, layers, heads):
            super().__init__()
            self.order, self.heads = list(layers), list(heads)
            for name, layer in {**layers, **heads}.items():
                setattr(self, name, layer)

        def forward(self, x):
            for name in self.order:
                x = getattr(self, name)(x)
            return [getattr(self, h)(x).softmax(1) if h.endswith("_1") else getattr(self, h)(x) for h in self.heads]

    def pool(size, stride):
        return n.MaxPool2d(size, stride, ceil_mode=True)

    pnet = Network(OrderedDict(
        conv1=n.Conv2d(3, 10, 3), prelu1=n.PReLU(10), pool1=pool(2, 2), conv2=n.Conv2d(10, 16, 3), prelu2=n.PReLU(16),
        conv3=n.Conv2d(16, 32, 3), prelu3=n.PReLU(32)), {"conv4_1": n.Conv2d(32, 2, 1), "conv4_2": n.Conv2d(32, 4, 1)})
    rnet = Network(OrderedDict(
        conv1=n.Conv2d(3, 28, 3), prelu1=n.PReLU(28), pool1=pool(3, 2), conv2=n.Conv2d(28, 48, 3), prelu2=n.PReLU(48),
        pool2=pool(3, 2), conv3=n.Conv2d(48, 64, 2), prelu3=n.PReLU(64), turned=Turned(), dense4=n.Linear(576, 128),
        prelu4=n.PReLU(128)), {"dense5_1": n.Linear(128, 2), "dense5_2": n.Linear(128, 4)})
    onet = Network(OrderedDict(
        conv1=n.Conv2d(3, 32, 3), prelu1=n.PReLU(32), pool1=pool(3, 2), conv2=n.Conv2d(32, 64, 3), prelu2=n.PReLU(64),
        pool2=pool(3, 2), conv3=n.Conv2d(64, 64, 3), prelu3=n.PReLU(64), pool3=pool(2, 2), conv4=n.Conv2d(64, 128, 2),
        prelu4=n.PReLU(128), turned=Turned(), dense5=n.Linear(1152, 256), prelu5=n.PReLU(256)),
        {"dense6_1": n.Linear(256, 2), "dense6_2": n.Linear(256, 4), "dense6_3": n.Linear(256, 10)})
    return {"pnet": (pnet, (37, 54)), "rnet": (rnet, (24, 24)), "onet": (onet, (48, 48))}


def images(size, count=5):
    """Smooth random pictures with values from -1 to 1, as the networks take them: (count, 3, height, width)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size[0], :size[1]] / 12.0
    waves = [np.sin(a * y + b * x + c) for a, b, c in rng.standard_normal((count * 3, 3)) * 2]
    return (np.stack(waves).reshape(count, 3, *size) * 0.8 + 0.1 * rng.standard_normal((count, 3, *size))).clip(
        -1, 1).astype(np.float32)


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_published_networks_compute_what_torch_does(weights, name, tmp_path):
    torch = pytest.importorskip("torch")
    mine, size = networks(nn)[name]
    its, _ = networks(torch.nn)[name]
    state = genesis.load(weights / f"{name}.pt")
    reference = torch.load(weights / f"{name}.pt", weights_only=True)
    assert list(state) == list(reference)
    for key, value in reference.items():
        np.testing.assert_array_equal(state[key].numpy(), value.numpy())
    mine.load_state_dict(state)
    its.load_state_dict(reference)
    pictures = images(size)
    with genesis.no_grad(), torch.no_grad():
        results, expected = mine(genesis.tensor(pictures)), its(torch.tensor(pictures))
        for a, b in zip(results, expected):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        assert expected[0].numpy().std() > 1e-4            # the pictures make a difference
        with genesis.autocast():
            for a, b in zip(mine(genesis.tensor(pictures)), expected):
                np.testing.assert_allclose(a.float().numpy(), b.numpy(), atol=0.05 * max(1, np.abs(b.numpy()).max()))
    genesis.save(mine.state_dict(), tmp_path / "ours.safetensors")
    again, _ = networks(nn)[name]
    again.load_state_dict(genesis.load(tmp_path / "ours.safetensors"))
    for key, value in again.state_dict().items():
        assert genesis.equal(value, mine.state_dict()[key])


@pytest.mark.parametrize("name", ["pnet", "rnet"])
def test_published_networks_have_torchs_gradients(weights, name):
    torch = pytest.importorskip("torch")
    mine, size = networks(nn)[name]
    its, _ = networks(torch.nn)[name]
    mine.load_state_dict(genesis.load(weights / f"{name}.pt"))
    its.load_state_dict(torch.load(weights / f"{name}.pt", weights_only=True))
    pictures = images(size, 3)
    sum((y * y).sum() for y in mine(genesis.tensor(pictures))).backward()
    sum((y * y).sum() for y in its(torch.tensor(pictures))).backward()
    for p, q in zip(mine.parameters(), its.parameters()):
        scale = np.abs(q.grad.numpy()).max()
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-4 * scale)
