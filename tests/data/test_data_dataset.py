"""Datasets."""

import numpy as np
import pytest

import genesis
from genesis.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from genesis.data.dataset import Samples
from genesis.data.pool import host_copy


@pytest.fixture
def arrays():
    return np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6)


def test_tensor_dataset_gives_rows(arrays):
    data = TensorDataset(*map(genesis.from_numpy, arrays))
    row, label = data[4]
    assert len(data) == 6
    assert row.tolist() == [8.0, 9.0]
    assert label.item() == 4


def test_tensor_dataset_gathers_a_batch_by_one_indexing_operation(arrays):
    class Counting:
        """A tensor that counts how often it is indexed."""

        def __init__(self, tensor):
            self.tensor, self.shape, self.calls = tensor, tensor.shape, 0

        def __len__(self):
            return len(self.tensor)

        def __getitem__(self, index):
            self.calls += 1
            return self.tensor[index]

    data = TensorDataset(*map(genesis.from_numpy, arrays))
    data.tensors = tuple(Counting(tensor) for tensor in data.tensors)
    rows, labels = next(iter(DataLoader(data, batch_size=4)))
    assert isinstance(rows, genesis.Tensor)
    assert (rows.shape, labels.tolist()) == ((4, 2), [0, 1, 2, 3])
    assert [tensor.calls for tensor in data.tensors] == [1, 1]


def test_tensor_dataset_batch_does_not_alias_the_data(arrays):
    data = TensorDataset(*map(genesis.from_numpy, arrays))
    next(iter(DataLoader(data, batch_size=6)))[0].zero_()
    assert data.tensors[0].tolist() == arrays[0].tolist()


@pytest.mark.parametrize("on_device", [False, True])
def test_tensor_dataset_checks_indices_of_a_batch(arrays, on_device):
    data = TensorDataset(*map(genesis.from_numpy, arrays)) if on_device else TensorDataset(*arrays)
    assert np.asarray(data.__getitems__([-1, 5])[0][1].tolist()) == 5
    for bad in ([6], [0, -7]):
        with pytest.raises(IndexError, match="6 samples"):
            data.__getitems__(bad)


def test_tensor_dataset_refuses_what_it_cannot_hold(arrays):
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()
    with pytest.raises(ValueError, match=r"\[6, 5\]"):
        TensorDataset(arrays[0], arrays[1][:5])
    with pytest.raises(TypeError, match="argument 1 is a list"):
        TensorDataset(arrays[0], [1, 2, 3, 4, 5, 6])
    with pytest.raises(ValueError, match="no dimensions"):
        TensorDataset(np.array(3))


def test_samples_read_as_a_sequence():
    samples = Samples(np.arange(3), np.arange(3) * 10)
    assert list(samples) == [(0, 0), (1, 10), (2, 20)]
    assert samples[-1] == (2, 20)
    assert samples[1:] == [(1, 10), (2, 20)]
    assert [list(column) for column in zip(*samples)] == [[0, 1, 2], [0, 10, 20]]


def test_concat_dataset_indexes_across_parts():
    data = ConcatDataset([range(3), [], range(10, 12)])
    assert [data[i] for i in range(-5, 5)] == [0, 1, 2, 10, 11] * 2
    for bad in (5, -6):
        with pytest.raises(IndexError, match="5 samples"):
            data[bad]


def test_concat_dataset_refuses_streams_and_nothing():
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="ChainDataset"):
        ConcatDataset([IterableDataset()])


def test_plus_joins_datasets(arrays):
    data = TensorDataset(arrays[1])
    assert int((data + data)[7][0]) == 1
    assert len(data + data) == 12
    assert list(ChainDataset(["ab"]) + ChainDataset(["c"])) == ["a", "b", "c"]


def test_base_classes_say_what_to_define():
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


def test_subset_forwards_whole_batches(arrays):
    subset = Subset(TensorDataset(*arrays), [5, 3, 1])
    assert isinstance(subset.__getitems__([0, 2]), Samples)
    assert [int(label) for _, label in subset.__getitems__([0, 2])] == [5, 1]
    assert Subset(range(10), [4, 2]).__getitems__([1, 0]) == [2, 4]


def test_subset_of_subset_in_a_loader(arrays):
    subset = Subset(Subset(TensorDataset(*map(genesis.from_numpy, arrays)), [5, 4, 3]), [2, 0])
    assert next(iter(DataLoader(subset, batch_size=2)))[1].tolist() == [3, 5]


def test_subset_with_own_samples_needs_own_batches():
    class Doubled(Subset):
        def __getitem__(self, index):
            return 2 * super().__getitem__(index)

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Doubled(range(3), [0])


def test_random_split_is_a_partition_and_reproducible():
    def split():
        return random_split(range(20), [12, 8], generator=genesis.Generator().manual_seed(3))

    first, second = split()
    assert (len(first), len(second)) == (12, 8)
    assert sorted([*first, *second]) == list(range(20))
    assert list(first) != list(range(12))
    assert [list(part) for part in split()] == [list(first), list(second)]


def test_random_split_uses_the_global_seed():
    parts = []
    for _ in range(2):
        genesis.manual_seed(11)
        parts.append([list(part) for part in random_split(range(9), [4, 5])])
    assert parts[0] == parts[1]


@pytest.mark.parametrize("fractions", [[0.5, 0.5], [0.3, 0.3, 0.4], [0.1] * 10, [0.9, 0.1], [1.0], [1 / 3] * 3])
@pytest.mark.parametrize("n", [10, 11, 17, 100])
def test_random_split_rounds_fractions_as_torch(n, fractions):
    torch_data = pytest.importorskip("torch.utils.data")
    expected = [len(part) for part in torch_data.random_split(range(n), fractions)]
    assert [len(part) for part in random_split(range(n), fractions)] == expected


def test_random_split_refuses_lengths_that_do_not_fit():
    with pytest.raises(ValueError, match="sum to 9"):
        random_split(range(10), [4, 5])
    with pytest.raises(ValueError, match="not negative"):
        random_split(range(10), [11, -1])
    with pytest.raises(ValueError, match="whole numbers"):
        random_split(range(10), [4.5, 5.5])
    with pytest.warns(UserWarning, match="part 1 of the split is empty"):
        random_split(range(1), [0.5, 0.5])


def test_host_copy_replaces_tensors_and_leaves_the_original(arrays):
    tensor = genesis.from_numpy(arrays[0])
    data = ConcatDataset([Subset(TensorDataset(tensor), range(3)), TensorDataset(arrays[0])])
    copy = host_copy(data)
    assert type(copy.datasets[0].dataset.tensors[0]) is np.ndarray
    assert copy.datasets[1].tensors[0] is arrays[0]
    assert data.datasets[0].dataset.tensors[0] is tensor
