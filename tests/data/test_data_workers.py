"""Worker processes."""

import itertools
import signal
import sys
import time

import data_worker_helpers as helpers
import numpy as np
import pytest

import genesis
from genesis.data import DataLoader, Subset, TensorDataset, default_collate
from genesis.data.pool import WorkerTraceback

# Python 3.12 and later warn of forks where there are threads; who asks for "fork" takes that on himself.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

# Starting an interpreter takes a while; most tests use the default, some all.
METHODS = ["forkserver", "spawn", "fork"] if sys.platform.startswith("linux") else ["spawn"]
every_method = pytest.mark.parametrize("method", METHODS)
quick_methods = pytest.mark.parametrize("method", METHODS[::2])


def seeded(seed=0):
    return genesis.Generator().manual_seed(seed)


def lists(batches):
    return [batch.tolist() for batch in batches]


def ended(pids):
    """Whether the processes are gone, or will be within a moment."""
    deadline = time.monotonic() + 5
    while any(map(alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def pools(monkeypatch):
    """The pools that a test started; each must have ended with the test."""
    import genesis.data.loader as module

    started, make = [], module.WorkerPool

    def remember(*arguments):
        pool = make(*arguments)
        started.append(pool.pids)
        return pool

    monkeypatch.setattr(module, "WorkerPool", remember)
    yield started
    assert ended(itertools.chain(*started))


def test_what_is_defined_in_a_notebook_is_told_to_move(monkeypatch):
    import types

    def collate(samples):
        return samples

    collate.__module__ = "__main__"
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    with pytest.raises(TypeError, match="collate_fn is defined in a notebook"):
        iter(DataLoader(range(3), num_workers=1, collate_fn=collate))


@every_method
def test_batches_are_the_same_and_in_order(method, pools):
    data = helpers.Squares(11)
    alone = DataLoader(data, batch_size=3, shuffle=True, generator=seeded(4))
    workers = DataLoader(
        data,
        batch_size=3,
        shuffle=True,
        generator=seeded(4),
        num_workers=2,
        multiprocessing_context=method,
        persistent_workers=method == "spawn",
    )
    for _ in range(2):
        for (x, y), (a, b) in zip(alone, workers, strict=True):
            assert isinstance(a, genesis.Tensor)
            assert (x.tolist(), y.tolist()) == (a.tolist(), b.tolist())
            assert (x.dtype, y.dtype) == (a.dtype, b.dtype)


@quick_methods
def test_device_tensors_arrive_in_workers_as_arrays(method, pools):
    rows = genesis.from_numpy(np.arange(8, dtype=np.float32).reshape(4, 2))
    for data in (TensorDataset(rows, rows), Subset(TensorDataset(rows, rows), [0, 1, 2, 3]), helpers.HasTensor(rows)):
        (batch, _) = next(iter(DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context=method)))
        assert batch.tolist() == rows.tolist()


def test_tensors_made_in_workers_arrive(pools):
    def batches(workers):
        loader = DataLoader(helpers.MakesTensor(), batch_size=2, num_workers=workers,
                            generator=genesis.Generator().manual_seed(3))
        return [x for batch in loader for x in batch]

    found, wanted = batches(2), batches(0)
    for i, (one, other) in enumerate(zip(found, wanted)):
        assert isinstance(one, genesis.Tensor)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert i % 3 == 2 or one.tolist() == other.tolist()
    assert found[2].tolist() == batches(1)[2].tolist()             # random numbers belong to the batch
    assert found[2].tolist() != found[5].tolist()


def test_a_tensor_made_in_a_forked_worker_is_refused(pools):
    with pytest.raises(RuntimeError, match="return NumPy arrays there"):
        list(DataLoader(helpers.MakesTensorWithoutDevice(), batch_size=None, num_workers=1,
                        multiprocessing_context="fork"))


def test_custom_collate_gives_the_same_with_and_without_workers(pools):
    def batches(workers):
        loader = DataLoader(helpers.Squares(5), batch_size=2, collate_fn=helpers.as_dict, num_workers=workers)
        return [(batch["n"].tolist(), type(batch["n"]), batch["count"], batch["names"]) for batch in loader]

    assert batches(0) == batches(2)


@pytest.mark.parametrize("arguments", [{"batch_size": None}, {"batch_size": None, "collate_fn": helpers.same}])
def test_samples_one_by_one(arguments, pools):
    samples = list(DataLoader(helpers.Squares(4), num_workers=2, **arguments))
    assert [(sample[0].tolist(), sample[1]) for sample in samples] == [([i] * 3, i * i) for i in range(4)]
    assert isinstance(samples[0][0], genesis.Tensor)


def test_large_batches_are_those_of_their_sample_even_if_its_array_is_used_again(pools):
    loader = DataLoader(helpers.Large(), batch_size=None, num_workers=2, prefetch_factor=3)
    assert [(batch[0].item(), batch[-1].item(), len(batch)) for batch in loader] == [(i, i, 200_000) for i in range(8)]


def test_worker_info_and_init_function(pools):
    loader = DataLoader(
        helpers.WhoAmI(), num_workers=2, worker_init_fn=helpers.tag_dataset, collate_fn=helpers.same, generator=seeded()
    )
    infos = [batch[0] for batch in loader]
    assert [(info["id"], info["n"], info["tag"]) for info in infos] == [(0, 2, 10), (1, 2, 11)] * 2
    assert infos[1]["seed"] == infos[0]["seed"] + 1
    assert [info["pid"] for info in infos] == pools[0] * 2


def test_stream_is_shared_out(pools):
    loader = DataLoader(helpers.Count(11), batch_size=2, num_workers=2)
    assert lists(loader) == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]]
    assert lists(DataLoader(helpers.Count(11), batch_size=2, num_workers=2, drop_last=True)) == lists(loader)[:-1]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # torch, on few cores
def test_stream_order_matches_torch(pools):
    torch_data = pytest.importorskip("torch.utils.data")
    for n, batch_size, workers in ((11, 2, 3), (3, 2, 3), (0, 1, 2)):
        ours = lists(DataLoader(helpers.Count(n), batch_size=batch_size, num_workers=workers))

        class Stream(torch_data.IterableDataset):
            size = n

            def __iter__(self):
                info = torch_data.get_worker_info()
                return iter(range(info.id, self.size, info.num_workers))

        loader = torch_data.DataLoader(
            Stream(), batch_size=batch_size, num_workers=workers, multiprocessing_context="fork"
        )
        assert ours == lists(loader)


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_stream_resumes_exactly(stop, pools):
    def make():
        return DataLoader(helpers.Uneven(), batch_size=2, num_workers=3)

    loader = make()
    whole = lists(loader)
    batches = iter(loader)
    head = lists(itertools.islice(batches, stop))
    state = loader.state_dict()
    del batches
    other = make()
    other.load_state_dict(state)
    assert head + lists(other) == whole
    with pytest.raises(ValueError, match="num_workers=3"):
        DataLoader(helpers.Uneven(), batch_size=2, num_workers=2).load_state_dict(state)


def test_shuffled_epoch_resumes_exactly_with_random_augmentation_and_other_workers(pools):
    def make(workers):
        return DataLoader(
            helpers.Noisy(),
            batch_size=4,
            shuffle=True,
            num_workers=workers,
            generator=seeded(9),
            collate_fn=helpers.same,
        )

    whole = list(make(1))
    loader = make(3)
    batches = iter(loader)
    head = list(itertools.islice(batches, 2))
    state = loader.state_dict()
    other = make(2)
    other.load_state_dict(state)
    assert head + list(other) == whole
    assert len({sample[1] for batch in whole for sample in batch}) == 24
    assert len({sample[2] for batch in whole for sample in batch}) == 24


def test_random_numbers_of_this_process_do_not_depend_on_workers(pools):
    drawn = []
    for workers in (0, 1):
        genesis.manual_seed(3)
        list(DataLoader(helpers.Squares(4), shuffle=True, num_workers=workers))
        drawn.append(genesis.get_rng_state())
    assert drawn[0] == drawn[1]


def test_persistent_workers_stay_for_the_next_epoch(pools):
    loader = DataLoader(helpers.WhoAmI(), num_workers=2, persistent_workers=True, collate_fn=helpers.same)
    pids = [{sample[0]["pid"] for sample in loader} for _ in range(3)]
    assert pids[0] == pids[1] == pids[2] == set(pools[0])
    assert len(pools) == 1
    loader.timeout = 1
    del loader


def test_persistent_workers_after_an_epoch_that_was_left(pools):
    loader = DataLoader(helpers.Squares(20), batch_size=2, num_workers=2, persistent_workers=True, prefetch_factor=4)
    left = iter(loader)
    next(left)
    assert [batch[1].tolist() for batch in loader] == [[i**2, (i + 1) ** 2] for i in range(0, 20, 2)]
    with pytest.raises(RuntimeError, match="this iterator has ended"):
        next(left)
    assert len(list(loader)) == 10  # the pool is still there
    assert len(pools) == 1


def test_workers_of_a_loader_that_is_not_persistent_end_with_the_epoch(pools):
    loader = DataLoader(helpers.Squares(4), num_workers=1)
    list(loader)
    assert ended(pools[0])
    batches = iter(loader)
    next(batches)
    del batches  # what leaving a loop by break does
    assert ended(pools[1])


@quick_methods
def test_error_in_a_worker_is_raised_here_with_its_traceback(method, pools):
    error = KeyError("no such picture")
    loader = DataLoader(helpers.Fails(error), num_workers=2, multiprocessing_context=method)
    batches = iter(loader)
    assert lists(itertools.islice(batches, 3)) == [[0], [1], [2]]
    with pytest.raises(KeyError, match="no such picture") as caught:
        next(batches)
    assert caught.value.args == error.args
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in fail_here" in str(caught.value.__cause__)
    assert "DataLoader worker 1" in str(caught.value.__cause__)
    assert list(batches) == []
    assert ended(pools[0])


def test_errors_that_cannot_be_pickled_are_still_told(pools):
    with pytest.raises(RuntimeError, match="AwkwardError: a b") as caught:
        list(DataLoader(helpers.Fails(helpers.AwkwardError("a", "b")), num_workers=1, multiprocessing_context="fork"))
    assert "in fail_here" in str(caught.value.__cause__)


def test_stop_iteration_in_a_worker_does_not_end_the_epoch_silently(pools):
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(helpers.Fails(StopIteration()), num_workers=1))


def test_loader_works_again_after_an_error(pools):
    loader = DataLoader(helpers.Fails(ValueError("x"), at=1), num_workers=1, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            list(loader)
    assert len(pools) == 2


def test_errors_at_the_start_are_raised_at_the_first_batch(pools):
    with pytest.raises(OSError, match="worker 0 has no licence"):
        list(DataLoader(helpers.Squares(), num_workers=1, worker_init_fn=helpers.fail_at_start))
    with pytest.raises(RuntimeError, match="will not be made again"):
        list(DataLoader(helpers.WontUnpickle(), num_workers=1))
    with pytest.raises(ValueError, match="no beginning"):
        list(DataLoader(helpers.IterFails(), num_workers=1))


@pytest.mark.parametrize("name", ["dataset", "collate_fn", "worker_init_fn"])
def test_what_does_not_pickle_is_named(name):
    arguments = {"dataset": helpers.Squares(), name: helpers.WontPickle() if name == "dataset" else lambda _: None}
    with pytest.raises(TypeError, match=f"cannot send {name} to worker processes.*top level"):
        iter(DataLoader(**arguments, num_workers=1))
    loader = DataLoader(**arguments, num_workers=1, multiprocessing_context=METHODS[-1])
    if METHODS[-1] == "fork" and name != "dataset":
        list(loader)  # needs no pickle


@quick_methods
def test_death_of_a_worker_is_told(method, pools):
    loader = DataLoader(helpers.Dies(), num_workers=2, multiprocessing_context=method)
    with pytest.raises(RuntimeError, match=r"worker 1 \(pid \d+\) was killed by SIGKILL"):
        list(loader)


def test_timeout_is_told_and_ends_the_workers(pools, monkeypatch):
    monkeypatch.setattr("genesis.data.pool.GRACE", 0.1)
    loader = DataLoader(helpers.Slow(60), num_workers=1, timeout=0.3)
    with pytest.raises(RuntimeError, match=r"timed out.*0\.3 seconds"):
        list(loader)
    assert ended(pools[0])


def test_leaving_early_does_not_wait_for_requests_under_way(pools):
    start = time.monotonic()
    for _ in DataLoader(helpers.Slow(0.2), num_workers=2, prefetch_factor=20):
        break
    assert time.monotonic() - start < 3  # 40 batches would be 4 s


def test_interrupt_while_waiting_ends_the_workers(pools, monkeypatch):
    monkeypatch.setattr("genesis.data.pool.GRACE", 0.1)
    loader = DataLoader(helpers.Slow(30), num_workers=1, persistent_workers=True)
    batches = iter(loader)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ended(pools[0])


@pytest.mark.skipif("forkserver" not in METHODS, reason="there is no fork server on this system")
def test_other_children_of_the_fork_server_hear_of_ctrl_c(pools):
    import multiprocessing

    list(DataLoader(helpers.Squares(2), num_workers=1))
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=helpers.tell_of_interrupts, args=(there,))
    process.start()
    assert here.recv() == (False, True)
    process.join()


def test_interrupt_while_a_worker_starts_comes_afterwards():
    from genesis.data._start import interrupts_held

    seen = []

    def interrupted():
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            seen.append("still here")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == ["still here"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_global_start_method_is_heeded_unless_fork(monkeypatch):
    import multiprocessing

    from genesis.data._start import default_context

    expected = {None: METHODS[0], "fork": METHODS[0], "spawn": "spawn"}
    for method, result in expected.items():
        monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none, method=method: method)
        assert default_context().get_start_method() == result


def test_a_worker_of_another_installation_is_refused():
    from genesis.data.fetch import Fetcher
    from genesis.data.worker import Setup, _initialize

    with pytest.raises(RuntimeError, match="imported genesis from"):
        _initialize(0, Setup(Fetcher([0], default_collate, True, False), None, 1, 0, package="/elsewhere"))


def test_messages_survive_the_pipe():
    import multiprocessing
    import threading

    from genesis.data._pipe import dumps, loads, receive, send

    value = {"large": np.arange(300_000), "small": np.arange(3), "empty": np.zeros((0, 4)), "text": "x" * 50_000}
    here, there = multiprocessing.Pipe()
    thread = threading.Thread(target=lambda: (send(here, dumps(value, None)), send(here, dumps(value, None))))
    thread.start()
    for _ in range(2):
        got = loads(receive(there))
        assert {key: np.array_equal(got[key], value[key]) for key in value} == dict.fromkeys(value, True)
        got["large"][0] = 5  # not read-only
    thread.join()
    here.close()
    with pytest.raises(EOFError):
        receive(there)
