"""What programs written for PyTorch do with values that elsewhere would be of another type."""

import numpy as np
import pytest

import genesis
from genesis import nn

x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_masks_of_bytes_choose_where_they_are_not_0():
    torch = pytest.importorskip("torch")

    def run(library):
        a, mask = library.tensor(x), library.tensor([[1, 0, 2], [0, 0, 1]], dtype=library.uint8)
        found = [a[mask], a[:, mask[0], 1], a[mask.sum() > 0]]
        a[mask[:, 0]] += 1
        return [t.numpy() for t in (*found, a)]

    with pytest.warns(UserWarning, match="uint8"):
        found = run(genesis)
    with pytest.warns(UserWarning, match="uint8"):
        wanted = run(torch)
    for one, other in zip(found, wanted):
        np.testing.assert_array_equal(one, other)


def test_sizes_may_be_tensors():
    n = genesis.tensor([2, 3]).max()
    assert genesis.zeros(n).shape == genesis.tensor(x)[0].new_zeros(n).shape == (3,)
    assert genesis.zeros(24).view(n, -1).shape == (3, 8)
    with pytest.raises(TypeError, match="whole"):
        genesis.zeros(genesis.tensor(2.5))


def test_norms_of_gradients_are_read_like_tensors_and_saved(tmp_path):
    weight = genesis.tensor([3.0, 4.0], requires_grad=True)
    weight.pow(2).sum().backward()
    norm = nn.utils.clip_grad_norm_(weight, 1.0)
    assert (norm.item(), norm.detach().cpu().item(), float(norm)) == (10.0, 10.0, 10.0)
    assert genesis.isfinite(norm).item()
    assert not genesis.isnan(norm)
    genesis.save({"norm": norm}, tmp_path / "norm")
    assert genesis.load(tmp_path / "norm") == {"norm": 10.0}


def test_memory_is_read_as_another_type():
    torch = pytest.importorskip("torch")

    def run(library):
        a = library.tensor(x)
        found = [a.view(library.int32), a.view(library.uint8), a[:, 1:].view(library.int16),
                 a[..., 2:].view(library.int64), (a > 3).view(library.uint8),
                 a.view(library.int32).view(library.float32), a[0, 0, 0].view(library.int32)]
        a.view(library.int32)[0, 0] = 1065353216
        return [t.numpy() for t in (*found, a)]

    for found, wanted in zip(run(genesis), run(torch)):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    a = genesis.tensor(x)
    assert a.view(genesis.float32).shape == a.shape
    for wrong in (a[..., :3], a[..., 1:3], a.mT):
        with pytest.raises(RuntimeError, match=r"view\(genesis.int64\)"):
            wrong.view(genesis.int64)


def test_places_in_memory_tell_shared_tensors():
    a = genesis.tensor(x)
    assert a.data_ptr() == a.view(-1).data_ptr() == a.detach().data_ptr() > 0
    assert a[1].data_ptr() == a.data_ptr() + 12 * 4
    assert a.clone().data_ptr() != a.data_ptr()
    assert a[:0].data_ptr() == 0
    tied = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    genesis.optim.SGD(tied.parameters(), lr=1.0)
    assert len({p.data_ptr() for layer in tied for p in layer.parameters()}) == 3


def test_generators_are_made_for_a_device():
    generator = genesis.Generator(device="cpu").manual_seed(3)
    assert generator.device == "cpu"
    assert genesis.rand(2, generator=generator).tolist() == genesis.rand(
        2, generator=genesis.Generator(genesis.device()).manual_seed(3)).tolist()
