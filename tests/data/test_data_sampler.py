"""Samplers."""

import itertools

import numpy as np
import pytest

import genesis
from genesis.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(seed=0):
    return genesis.Generator().manual_seed(seed)


SAMPLERS = {
    "random": lambda g: RandomSampler(range(50), generator=g),
    "replacement": lambda g: RandomSampler(range(50), replacement=True, num_samples=70, generator=g),
    "subset": lambda g: SubsetRandomSampler(list(range(100, 140)), generator=g),
    "weighted": lambda g: WeightedRandomSampler(np.arange(50), 30, generator=g),
    "weighted_once": lambda g: WeightedRandomSampler(np.arange(50), 30, replacement=False, generator=g),
    "batches": lambda g: BatchSampler(RandomSampler(range(50), generator=g), 7, False),
}
make_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)


@make_sampler
def test_random_order_is_fixed_by_the_seed_and_new_in_each_epoch(make):
    sampler = make(seeded(1))
    first, second = list(sampler), list(sampler)
    assert first != second
    again = make(seeded(1))
    assert [list(again), list(again)] == [first, second]
    assert list(make(seeded(2))) != first


@make_sampler
def test_random_order_follows_the_global_seed(make):
    genesis.manual_seed(5)
    first = list(make(None))
    genesis.manual_seed(5)
    assert list(make(None)) == first


@make_sampler
def test_length_is_the_number_of_items(make):
    sampler = make(seeded())
    assert len(list(sampler)) == len(sampler)


@make_sampler
def test_loaded_state_repeats_the_order_and_then_goes_on(make):
    sampler = make(seeded(3))
    list(sampler)
    running = iter(sampler)
    begun = [next(running)]
    state = sampler.state_dict()
    expected = [begun + list(running), list(sampler), list(sampler)]
    other = make(seeded(99))
    other.load_state_dict(state)
    assert [list(other), list(other), list(other)] == expected


@make_sampler
def test_two_iterations_at_once_do_not_disturb_each_other(make):
    sampler = make(seeded(4))
    pairs = list(zip(iter(sampler), iter(sampler)))
    again = make(seeded(4))
    assert [list(part) for part in zip(*pairs)] == [list(again), list(again)]


def test_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="not the state of a RandomSampler"):
        RandomSampler(range(3)).load_state_dict({"seeds": 3})


def test_generator_of_the_wrong_type_is_refused():
    with pytest.raises(TypeError, match=r"genesis\.Generator"):
        list(RandomSampler(range(3), generator=np.random.default_rng()))


def test_random_sampler_without_replacement_is_permutations():
    order = list(RandomSampler(range(4), num_samples=10, generator=seeded()))
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3]
    assert len(set(order[8:])) == 2


def test_random_sampler_all_permutations_are_equally_likely():
    generator = seeded(7)
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for _ in range(1200):
        counts[tuple(RandomSampler(range(3), generator=generator))] += 1
    assert all(140 < count < 260 for count in counts.values())  # 200, standard deviation 13


def test_random_sampler_with_replacement_draws_in_chunks(monkeypatch):
    monkeypatch.setattr("genesis.data.sampler.CHUNK", 8)
    order = list(RandomSampler(range(3), replacement=True, num_samples=20, generator=seeded()))
    assert len(order) == 20
    assert set(order) == {0, 1, 2}


def test_random_sampler_follows_the_length_of_the_data():
    data = [0, 1]
    sampler = RandomSampler(data, generator=seeded())
    data.append(2)
    assert sorted(sampler) == [0, 1, 2]
    assert len(sampler) == 3


def test_weighted_sampler_follows_the_weights():
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    order = list(WeightedRandomSampler(weights, 8000, generator=seeded(1)))
    counts = np.bincount(order, minlength=4)
    assert counts[1] == 0
    np.testing.assert_allclose(counts / 8000, weights / 8, atol=0.03)


def test_weighted_sampler_without_replacement_first_draw_follows_the_weights():
    generator = seeded(2)
    weights = [1, 2, 0, 5]
    draws = [list(WeightedRandomSampler(weights, 3, replacement=False, generator=generator)) for _ in range(2000)]
    assert all(sorted(draw) == [0, 1, 3] for draw in draws)
    first = np.bincount([draw[0] for draw in draws], minlength=4) / 2000
    np.testing.assert_allclose(first, np.array(weights) / 8, atol=0.05)


def test_weighted_sampler_takes_extreme_weights():
    order = list(WeightedRandomSampler([1e308, 1e308, 0, 1e-300], 200, generator=seeded()))
    assert set(order) == {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, -1], 1), "not negative"),
        (([0, 0], 1), "not all 0"),
        (([1, float("nan")], 1), "finite"),
        (([[1.0]], 1), "one dimension"),
        (([1, 1], 0), "num_samples"),
        (([1, 0, 1], 3, False), "only 2 weights"),
        (([1, 1], 1, "yes"), "replacement"),
    ],
)
def test_weighted_sampler_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(*arguments)


def test_random_sampler_refuses_bad_arguments():
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler(range(3), replacement=1)
    for bad in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="num_samples"):
            RandomSampler(range(3), num_samples=bad)
    with pytest.raises(ValueError, match="num_samples"):
        RandomSampler([])


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None])
def test_batch_sampler_refuses_bad_sizes(bad):
    with pytest.raises(ValueError, match="batch_size"):
        BatchSampler(range(3), bad, False)
    with pytest.raises(ValueError, match="drop_last"):
        BatchSampler(range(3), 1, 0)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", range(9))
def test_batch_sampler_matches_torch(n, batch_size, drop_last):
    torch_data = pytest.importorskip("torch.utils.data")
    ours = BatchSampler(SequentialSampler(range(n)), batch_size, drop_last)
    theirs = torch_data.BatchSampler(torch_data.SequentialSampler(range(n)), batch_size, drop_last)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


def test_batch_sampler_without_an_inner_state():
    sampler = BatchSampler(range(5), 2, False)
    assert sampler.state_dict() is None
    sampler.load_state_dict(None)
    assert list(sampler) == [[0, 1], [2, 3], [4]]


def test_base_class_says_what_to_define():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())


def test_parts_of_several_processes_are_those_of_torch():
    other = pytest.importorskip("torch.utils.data.distributed").DistributedSampler
    for size, parts, drop_last in itertools.product((0, 1, 7, 12), (1, 3, 4, 15), (False, True)):
        for rank in range(parts):
            options = {"num_replicas": parts, "rank": rank, "shuffle": False, "drop_last": drop_last}
            mine, its = DistributedSampler(range(size), **options), other(range(size), **options)
            assert list(mine) == list(its), (size, options)
            assert (len(mine), mine.total_size) == (len(its), its.total_size)


def test_parts_of_several_processes_are_of_one_permutation():
    samplers = [DistributedSampler(range(10), 4, rank, seed=5) for rank in range(4)]
    orders = []
    for epoch in (0, 1):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        parts = [list(sampler) for sampler in samplers]
        assert parts == [list(sampler) for sampler in samplers]
        order = [i for row in zip(*parts) for i in row]
        assert order[:10] == genesis.randperm(10, generator=seeded(5 + epoch)).tolist()
        assert order[10:] == order[:2]
        orders.append(order)
    assert orders[0] != orders[1]
    loaded = genesis.utils.data.distributed.DistributedSampler(range(10), 4, 3, seed=5)
    loaded.load_state_dict(samplers[3].state_dict())
    assert list(loaded) == parts[3]


def test_a_part_needs_to_know_which_it_is():
    other = pytest.importorskip("torch.utils.data.distributed").DistributedSampler
    for sampler in (DistributedSampler, other):
        for rank in (3, -1):
            with pytest.raises(ValueError, match="rank"):
                sampler(range(5), 3, rank)
    for missing in ({}, {"num_replicas": 2}, {"rank": 0}):
        with pytest.raises(RuntimeError, match="num_replicas and rank"):
            DistributedSampler(range(5), **missing)
