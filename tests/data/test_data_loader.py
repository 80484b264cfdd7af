"""The loader in one process."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genesis
from genesis.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class SizedStream(Stream):
    def __len__(self):
        return self.n


def seeded(seed=0):
    return genesis.Generator().manual_seed(seed)


def lists(batches):
    return [batch.tolist() if hasattr(batch, "tolist") else batch for batch in batches]


CASES = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": 20},
    {"batch_size": 20, "drop_last": True},
    {"batch_size": None},
    {"sampler": [3, 1, 2], "batch_size": 2},
    {"sampler": [3, 1, 2], "batch_size": None},
    {"batch_sampler": [[1, 2], [3], [4, 5, 6]]},
    {"shuffle": False, "batch_size": 4},
]


@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_batches_match_torch(arguments):
    torch_data = pytest.importorskip("torch.utils.data")
    ours, theirs = DataLoader(range(10), **arguments), torch_data.DataLoader(range(10), **arguments)
    assert lists(ours) == lists(theirs)
    assert len(ours) == len(theirs) == len(iter(ours))
    assert lists(ours) == lists(theirs)  # a second epoch


@pytest.mark.parametrize("arguments", CASES[:6], ids=str)
@pytest.mark.parametrize("n", [0, 1, 9])
def test_batches_of_a_stream_match_torch(n, arguments):
    torch_data = pytest.importorskip("torch.utils.data")

    class TorchStream(torch_data.IterableDataset):
        __iter__, __len__ = Stream.__iter__, SizedStream.__len__

    theirs = TorchStream()
    theirs.n = n
    ours, theirs = DataLoader(SizedStream(n), **arguments), torch_data.DataLoader(theirs, **arguments)
    assert lists(ours) == lists(theirs)
    assert len(ours) == len(theirs)


def test_batches_are_the_samples_in_order():
    assert lists(DataLoader(range(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert lists(DataLoader(range(5), batch_size=2, sampler=[4, 0, 2])) == [[4, 0], [2]]
    assert lists(DataLoader(range(5), batch_sampler=[[3], [1, 0]])) == [[3], [1, 0]]
    assert lists(DataLoader(range(2), batch_size=None)) == [0, 1]


def test_length_of_a_stream_without_one_is_a_type_error():
    loader = DataLoader(Stream(3))
    for sized in (loader, iter(loader)):
        with pytest.raises(TypeError):
            len(sized)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"multiprocessing_context": "spawn"},
        {"num_workers": 1, "multiprocessing_context": "telepathy"},
        {"num_workers": 1, "prefetch_factor": -1},
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "sampler": [0]},
        {"batch_sampler": [[0]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"batch_size": 1.5},
    ],
    ids=str,
)
def test_bad_arguments_raise_value_error_as_in_torch(arguments):
    with pytest.raises(ValueError):
        DataLoader(range(10), **arguments)
    torch_data = pytest.importorskip("torch.utils.data")
    with pytest.raises(ValueError):
        torch_data.DataLoader(range(10), **arguments)


@pytest.mark.parametrize("arguments", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}], ids=str)
def test_a_stream_has_its_own_order(arguments):
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Stream(3), **arguments)


def test_arguments_of_the_wrong_type_are_refused():
    with pytest.raises(TypeError, match=r"genesis\.Generator"):
        DataLoader(range(3), generator=3)
    with pytest.raises(TypeError, match="multiprocessing context"):
        DataLoader(range(3), num_workers=1, multiprocessing_context=3)
    with pytest.raises(ValueError, match="timeout"):
        DataLoader(range(3), timeout=3)
    with pytest.raises(ValueError, match="batch_size"):
        DataLoader(Stream(3), batch_size=-1)


@pytest.mark.parametrize("name", ["batch_size", "sampler", "batch_sampler", "drop_last", "dataset"])
def test_what_is_fixed_cannot_be_set_later(name):
    loader = DataLoader(range(3))
    with pytest.raises(ValueError, match=name):
        setattr(loader, name, None)
    loader.timeout = 0


def test_shuffling_is_fixed_by_the_seed_and_new_in_each_epoch():
    def epochs(**arguments):
        loader = DataLoader(range(30), batch_size=4, shuffle=True, **arguments)
        return [lists(loader) for _ in range(3)]

    first = epochs(generator=seeded(1))
    assert first[0] != first[1] != first[2]
    assert all(sorted(itertools.chain(*epoch)) == list(range(30)) for epoch in first)
    assert epochs(generator=seeded(1)) == first
    assert epochs(generator=seeded(2)) != first
    genesis.manual_seed(8)
    globally = epochs()
    genesis.manual_seed(8)
    assert epochs() == globally


def test_a_new_epoch_in_the_middle_of_another_is_independent():
    loader = DataLoader(range(9), batch_size=2, shuffle=True, generator=seeded())
    first = iter(loader)
    head = [next(first)]
    second = iter(loader)
    assert sorted(itertools.chain(*lists(second))) == list(range(9))
    assert sorted(itertools.chain(*lists(head), *lists(first))) == list(range(9))


def test_custom_collate_gets_a_plain_list_and_arrays_become_tensors():
    def collate(samples):
        assert type(samples) is list
        samples.sort(key=lambda sample: -int(sample[0]))
        return {"n": np.array([int(sample[0]) for sample in samples]), "names": ["x"] * len(samples)}

    batch = next(iter(DataLoader(TensorDataset(np.arange(3)), batch_size=3, collate_fn=collate)))
    assert isinstance(batch["n"], genesis.Tensor)
    assert batch["n"].tolist() == [2, 1, 0]
    assert batch["names"] == ["x"] * 3


def test_custom_collate_keeps_tuples_and_may_make_tensors():
    def collate(samples):
        return tuple(default_collate(samples))

    batch = next(iter(DataLoader([(1, "a"), (2, "b")], batch_size=2, collate_fn=collate)))
    assert type(batch) is tuple
    assert (batch[0].tolist(), batch[1]) == ([1, 2], ("a", "b"))


@pytest.mark.parametrize("batch_size", [None, 2])
def test_stop_iteration_in_a_dataset_does_not_end_the_epoch_silently(batch_size):
    class Exhausted:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Exhausted(), batch_size=batch_size))


def test_an_iterator_that_failed_has_ended():
    batches = iter(DataLoader([1, 2, None, 4]))
    assert [next(batches).item(), next(batches).item()] == [1, 2]
    with pytest.raises(TypeError):
        next(batches)
    assert list(batches) == []


LOADERS = {
    "in order": lambda g: DataLoader(range(23), batch_size=4, generator=g),
    "shuffled": lambda g: DataLoader(range(23), batch_size=4, shuffle=True, generator=g),
    "drop last": lambda g: DataLoader(range(23), batch_size=4, shuffle=True, drop_last=True, generator=g),
    "one by one": lambda g: DataLoader(range(8), batch_size=None, shuffle=True, generator=g),
    "subset sampler": lambda g: DataLoader(range(23), batch_size=4, sampler=SubsetRandomSampler(range(9), g)),
    "weighted": lambda g: DataLoader(range(9), batch_size=2, sampler=WeightedRandomSampler(range(9), 13, generator=g)),
    "replacement": lambda g: DataLoader(
        range(23), batch_size=4, sampler=RandomSampler(range(23), True, 20, g), generator=g
    ),
    "batch sampler": lambda g: DataLoader(
        range(23), batch_sampler=BatchSampler(RandomSampler(range(23), generator=g), 5, True)
    ),
    "plain list": lambda g: DataLoader(range(9), sampler=[8, 1, 5, 3, 0, 2, 7], batch_size=2),
    "stream": lambda g: DataLoader(Stream(9), batch_size=2, generator=g),
}


@pytest.mark.parametrize("at", [0, 1, 3, "end"])
@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_resumed_epoch_has_exactly_the_remaining_batches(make, at):
    loader = make(seeded(6))
    list(loader)  # one epoch before
    running = iter(loader)
    for _ in range(len(lists(make(seeded(6)))) if at == "end" else at):
        next(running)
    state = json.loads(json.dumps(loader.state_dict()))  # plain data
    expected = [lists(running), lists(loader), lists(loader)]
    other = make(seeded(1234))
    other.load_state_dict(state)
    assert [lists(other), lists(other), lists(other)] == expected


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30),
    batch_size=st.integers(1, 8),
    drop_last=st.booleans(),
    stops=st.lists(st.integers(0, 12), max_size=3),
)
def test_resuming_again_and_again_changes_nothing(n, batch_size, drop_last, stops):
    def make():
        return DataLoader(range(n), batch_size, shuffle=True, drop_last=drop_last, generator=seeded(n))

    loader = make()
    expected = lists(loader) + lists(loader)
    got, loader = [], make()
    for stop in stops:
        for batch in itertools.islice(iter(loader), stop):
            got.append(batch.tolist())
        state = loader.state_dict()
        loader = make()
        loader.load_state_dict(state)
    while len(got) < len(expected):
        got += lists(loader)
    assert got[: len(expected)] == expected


def test_state_between_epochs_leads_to_the_next_epoch():
    loader = DataLoader(range(9), 2, shuffle=True, generator=seeded(3))
    fresh = loader.state_dict()
    first = lists(loader)
    between = loader.state_dict()
    second = lists(loader)
    for state, expected in ((fresh, first), (between, second)):
        other = DataLoader(range(9), 2, shuffle=True, generator=seeded(77))
        other.load_state_dict(state)
        assert lists(other) == expected


def test_resuming_with_the_global_generator_leaves_other_random_numbers_alone():
    def run(stop_at=None):
        """Batches of two epochs, each with a random number drawn beside it."""
        genesis.manual_seed(21)
        loader, seen = DataLoader(range(9), 2, shuffle=True), []
        for _ in range(2):
            for batch in loader:
                seen.append((batch.tolist(), float(genesis.random.default_generator.host_rng().random())))
                if len(seen) == stop_at:
                    return loader.state_dict(), genesis.get_rng_state(), seen
        return seen

    whole = run()
    state, rng, seen = run(stop_at=3)
    genesis.manual_seed(5)
    loader = DataLoader(range(9), 2, shuffle=True)
    loader.load_state_dict(state)
    genesis.set_rng_state(rng)
    for _ in range(2):
        for batch in loader:
            seen.append((batch.tolist(), float(genesis.random.default_generator.host_rng().random())))
    assert seen == whole


def test_state_that_was_loaded_can_be_saved_again():
    loader = DataLoader(range(9), 2, shuffle=True, generator=seeded())
    next(iter(loader))
    state = loader.state_dict()
    other = DataLoader(range(9), 2, shuffle=True, generator=seeded(5))
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_state_is_a_snapshot():
    loader = DataLoader(range(9), 2, shuffle=True, generator=seeded())
    batches = iter(loader)
    state = loader.state_dict()
    before = json.dumps(state)
    list(batches)
    assert json.dumps(state) == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (DataLoader(range(9), 3), "batch_size=2, this one has 3"),
        (DataLoader(range(8), 2), "samples=9, this one has 8"),
        (DataLoader(range(9), 2, drop_last=True), "drop_last"),
    ],
)
def test_state_of_a_different_loader_is_refused(other, message):
    state = DataLoader(range(9), 2).state_dict()
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)
    with pytest.raises(ValueError, match="not the state"):
        other.load_state_dict({"seed": 3})


def test_sampler_with_its_own_state_is_asked_for_it():
    class Rotating:
        """Begins one further on in each epoch."""

        start = 0

        def __iter__(self):
            self.start += 1
            return iter([(self.start + i) % 5 for i in range(5)])

        def __len__(self):
            return 5

        def state_dict(self):
            return {"start": self.start}

        def load_state_dict(self, state):
            self.start = state["start"] - 1

    loader = DataLoader(range(5), sampler=Rotating())
    list(loader)
    batches = iter(loader)
    next(batches)
    state, expected = loader.state_dict(), [lists(batches), lists(loader)]
    other = DataLoader(range(5), sampler=Rotating())
    other.load_state_dict(state)
    assert [lists(other), lists(other)] == expected


def test_loader_over_device_tensors_trains_on_shuffled_rows():
    data = TensorDataset(genesis.arange(10), genesis.arange(10) * 2)
    for numbers, doubles in DataLoader(data, batch_size=5, shuffle=True):
        assert (numbers * 2).tolist() == doubles.tolist()


def test_worker_arguments_are_accepted_where_torch_users_write_them():
    loader = DataLoader(range(4), 2, False, None, None, 0, None, True, True)
    assert (loader.pin_memory, loader.drop_last) == (True, True)
