"""What goes wrong in the life of a training run: memory runs out, numbers overflow, somebody presses Ctrl-C.

Kernels that do not compile, damaged caches, and the ends of processes are with ``tests/opencl``, workers that are
forked or die with ``tests/data``.
"""

import gc
import os
import sys
import threading

import numpy as np
import pyopencl as cl
import pytest
from helpers import run_python

import genesis
from genesis import OutOfMemoryError, nn
from genesis.opencl import memory
from genesis.optim import OPTIMIZERS

DEVICE = genesis.device()


def made(seed=0, **arguments):
    genesis.manual_seed(seed)
    model = nn.Sequential(nn.Linear(33, 65), nn.GELU(), nn.LayerNorm(65), nn.Linear(65, 7))
    return model, genesis.optim.AdamW(model.parameters(), lr=1e-2, **arguments)


def batch(n, seed=0):
    rng = np.random.default_rng(seed)
    return (genesis.tensor(rng.standard_normal((n, 33)).astype(np.float32)), genesis.tensor(rng.integers(0, 7, n)))


def step(model, optimizer, x, target):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
    return loss.detach()


# Memory --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(monkeypatch):
    """Returns a function that lets the device run out of memory so many bytes from now on."""
    pool = DEVICE.pool

    class Limited:
        mem_flags = cl.mem_flags
        Error, MemoryError, RuntimeError = cl.Error, cl.MemoryError, cl.RuntimeError
        limit = 0

        @classmethod
        def Buffer(cls, context, flags, size):
            if pool.allocated + pool.cached + size > cls.limit:
                raise cl.MemoryError("clCreateBuffer failed: MEM_OBJECT_ALLOCATION_FAILURE")
            return cl.Buffer(context, flags, size)

    def limit(more):
        gc.collect()
        pool.empty_cache()
        Limited.limit = pool.allocated + more
        monkeypatch.setattr(memory, "cl", Limited)

    return limit


def test_training_goes_on_with_a_smaller_batch_when_memory_runs_out(limited):
    expected = made()
    for seed in range(3):
        step(*expected, *batch(17, seed))
    model, optimizer = made()
    step(model, optimizer, *batch(17, 0))
    before = genesis.fingerprint(model, optimizer)
    x, target = batch(4000)
    limited(1_000_000)       # the hidden layer does not fit
    held = DEVICE.pool.allocated
    message = ""
    try:                     # not by pytest, who would keep the traceback, and with it what the step has made
        step(model, optimizer, x, target)
    except OutOfMemoryError as error:
        message = str(error)
    assert f"{4000 * 65 * 4:,}" in message
    assert DEVICE.name in message
    assert "batch smaller" in message
    assert genesis.fingerprint(model, optimizer) == before
    for seed in (1, 2):
        step(model, optimizer, *batch(17, seed))
    assert genesis.fingerprint(model, optimizer) == genesis.fingerprint(*expected)
    del x, target
    gc.collect()
    assert DEVICE.pool.allocated < held + (1 << 20)


@pytest.mark.lengthy
@pytest.mark.parametrize("more", [0, 3000, 30_000, 100_000, 300_000, 600_000])
def test_memory_may_run_out_anywhere_in_a_step(limited, more):
    expected, (model, optimizer) = made(), made()
    x, target = batch(301)
    for pair in (expected, (model, optimizer)):
        step(*pair, x, target)
    gc.collect()
    limited(more)
    try:
        step(model, optimizer, x, target)
    except OutOfMemoryError:
        limited(1 << 30)
        step(model, optimizer, x, target)
    else:
        assert more >= 300_000
    step(*expected, x, target)
    assert genesis.fingerprint(model, optimizer) == genesis.fingerprint(*expected)


# Numbers that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bad_gradient_stays_with_its_parameter(name, bad):
    def run(value):
        params = [genesis.tensor(np.ones(65), dtype=genesis.float32, requires_grad=True) for _ in range(2)]
        optimizer = OPTIMIZERS[name](params, lr=0.1)
        for _ in range(2):
            for p, first in zip(params, (value, 1.0)):
                g = np.ones(65, np.float32)
                g[3] = first
                p.grad = genesis.tensor(g)
            optimizer.step()
        return [p.detach().numpy() for p in params]

    bad_run, good_run = run(bad), run(1.0)
    assert np.array_equal(bad_run[1], good_run[1])
    assert np.isfinite(good_run[0]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_clipped_step_with_a_bad_gradient_is_left_out(bad):
    model, optimizer = made(max_grad_norm=1.0)
    step(model, optimizer, *batch(17))
    before = genesis.fingerprint(model)
    x, target = batch(17)
    x[3, 5] = bad
    loss = step(model, optimizer, x, target)
    assert not np.isfinite(loss.item())
    assert genesis.fingerprint(model) == before
    assert np.isfinite(step(model, optimizer, *batch(17)).item())
    assert genesis.fingerprint(model) != before


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_inputs_reach_only_their_own_rows(bad):
    model, _ = made()
    x, _ = batch(17)
    good = model(x).detach().numpy()
    x[3, 5] = bad
    mixed = model(x).detach().numpy()
    rows = np.arange(17) != 3
    assert np.array_equal(mixed[rows], good[rows])
    assert not np.isfinite(mixed[3]).any()


def test_bad_parameters_give_bad_losses_not_errors():
    model, optimizer = made()
    with genesis.no_grad():
        model[0].weight[0, 0] = np.nan
    assert np.isnan(step(model, optimizer, *batch(17)).item())
    with pytest.raises(RuntimeError, match=r"norm .* is nan"):
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_scalars_do_as_numpy_does(bad):
    x = np.array([0.0, 1.0, -2.0, np.inf], np.float32)
    t = genesis.tensor(x)
    with np.errstate(all="ignore"):
        for mine, its in ((t * bad, x * np.float32(bad)), (t + bad, x + np.float32(bad)), (t > bad, x > bad),
                          (t.clamp(max=bad) if bad > 0 else t / bad, x if bad > 0 else x / np.float32(bad))):
            assert np.array_equal(mine.numpy(), its, equal_nan=its.dtype.kind == "f")
    with pytest.raises(ValueError, match="lr"):
        genesis.optim.SGD([genesis.zeros(1, requires_grad=True)], lr=bad)


# Threads, forks, interrupts, time ------------------------------------------------------------------------------------


def trained(seed):
    """The fingerprint of a short run without random numbers of its own."""
    rng = np.random.default_rng(seed)
    weight = genesis.tensor(rng.standard_normal((33, 7)).astype(np.float32), requires_grad=True)
    optimizer = genesis.optim.Adam([weight], lr=0.1)
    for i in range(15):
        x, target = batch(17 + seed, i)
        optimizer.zero_grad()
        nn.functional.cross_entropy((x @ weight).tanh(), target).backward()
        optimizer.step()
    return genesis.fingerprint([weight], optimizer)


def test_threads_that_train_at_once_get_the_bits_of_one_alone():
    expected = [trained(seed) for seed in range(4)]
    found, errors = {}, []

    def work(seed):
        try:
            found[seed] = trained(seed)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [found[seed] for seed in range(4)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.skipif(DEVICE.platform in ("rusticl", "Portable Computing Language"),
                    reason="the driver waits at exit for threads that a fork does not copy")
def test_a_fork_after_the_device_was_used_ends_quietly_and_leaves_the_parent_alone():
    printed = run_python("""
        import os, sys, warnings
        import numpy as np
        import genesis
        warnings.simplefilter("ignore", DeprecationWarning)      # of forking with threads, in later Pythons
        x = genesis.ones(1000, 1000)
        for _ in range(5):
            (x @ x).sum()
        genesis.device().queue.flush()                           # under way
        child = os.fork()
        if not child:
            assert np.ones(3).sum() == 3
            sys.exit(7)                                          # with all that runs at exit
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), (x @ x).sum().item())
    """)
    assert printed.split() == ["7", str(1000.0 ** 3)]


INTERRUPTS = """
    import signal, sys
    sys.path.insert(0, {here!r})
    import numpy as np
    import genesis
    from test_resilience import batch, made, step

    def run():
        model, optimizer = made()
        for i in range(5):
            step(model, optimizer, *batch(17, i))
        return genesis.fingerprint(model, optimizer)

    expected, count = run(), 0
    model, optimizer = made()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for i in range({times}):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + 0.000071 * (i % 200))
            for _ in range(1000):                  # long enough, unless Python drops what came while a finalizer ran
                step(model, optimizer, *batch(17, i))
        except KeyboardInterrupt:
            count += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert np.isfinite(step(model, optimizer, *batch(17)).item())
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())
    steps = {{float(state["step"]) for state in optimizer.state_dict()["state"].values()}}
    assert len(steps) == 1, steps
    assert run() == expected
    print(count)
"""


@pytest.mark.lengthy
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no interval timer")
def test_interrupts_anywhere_leave_a_state_to_go_on_with():
    assert run_python(INTERRUPTS.format(here=os.path.dirname(__file__), times=400)).strip() == "400"


GROWTH = """
    import gc, sys
    sys.path.insert(0, {here!r})
    import genesis
    from test_resilience import batch, made, step

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    model, optimizer = made(max_grad_norm=1.0)
    scheduler = genesis.optim.lr_scheduler.CosineAnnealingLR(optimizer, {steps})
    x, target = batch(5)
    marks = []
    for i in range({steps} + 1):
        loss = step(model, optimizer, x, target)
        scheduler.step()
        if i in ({steps} // 4, {steps}):
            genesis.synchronize()
            gc.collect()
            pool = genesis.device().pool
            marks.append((resident(), len(gc.get_objects()), pool.allocated, pool.allocated + pool.cached))
    (rss, objects, allocated, held), (rss2, objects2, allocated2, held2) = marks
    print(rss2 - rss, objects2 - objects, allocated2 - allocated, held2 - held)
"""


def growth(steps):
    done = run_python(GROWTH.format(here=os.path.dirname(__file__), steps=steps), timeout=300 + steps / 20)
    return dict(zip(("resident", "objects", "allocated", "held"), map(int, done.split())))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("steps", [pytest.param(2000, marks=pytest.mark.lengthy),
                                   pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_steps_need_no_more_memory(steps):
    grown = growth(steps)
    assert grown["allocated"] == 0
    assert grown["held"] == 0
    assert grown["objects"] <= 20
    assert grown["resident"] <= 4 << 20


def test_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    printed = run_python("""
        import genesis
        x = genesis.rand(33, 5, requires_grad=True)
        (x @ x.T).relu().sum().backward()
        print(x.grad.shape)
    """, HOME=tmp_path / "file" / "home", XDG_CACHE_HOME=None, GENESIS_CACHE_DIR=None, POCL_CACHE_DIR=tmp_path / "pocl")
    assert "33, 5" in printed


# Size ----------------------------------------------------------------------------------------------------------------


def room(nbytes):
    """Skip the test where device or host cannot hold so many bytes."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    if DEVICE.max_alloc < nbytes or DEVICE.memory < 2 * nbytes or free < 3 * nbytes:
        pytest.skip(f"needs buffers of {nbytes:,} bytes")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_elements_past_2_to_the_31_are_reached():
    n = (1 << 31) + 1003
    room(n)
    x = genesis.zeros(n, dtype=genesis.uint8)
    x[-1] = 7
    x[(1 << 31) + 1] = 5
    assert x[-3:].tolist() == [0, 0, 7]
    assert x[1 << 31:(1 << 31) + 3].tolist() == [0, 5, 0]
    assert x[genesis.tensor([n - 1, 0, (1 << 31) + 1])].tolist() == [7, 0, 5]
    x += 1
    assert x[-2:].tolist() == [1, 8]
    assert x.argmax().item() == n - 1
    assert x.sum().item() == n + 12
    assert x.reshape(3, n // 3)[2, -1].item() == 8
    narrow = x[n - 1003:].to(genesis.float32)
    assert narrow.sum().item() == 1003 + 7 + 5
    marks = x > 4
    del x
    assert marks[-1].item()
    assert marks.sum().item() == 2
    assert marks.nonzero().reshape(-1).tolist() == [(1 << 31) + 1, n - 1]
