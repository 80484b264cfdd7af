"""The memory pool."""

import gc
import mmap
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyopencl as cl
import pytest
from helpers import ROOT, f32

import genesis
from genesis import OutOfMemoryError
from genesis.opencl import memory, pages
from genesis.opencl.host import mapped
from genesis.opencl.memory import Pool


@pytest.fixture
def pool():
    gc.collect()
    return genesis.device().pool


def test_freed_memory_is_used_again(pool):
    device = genesis.device()
    first = device.empty(5000)
    handle, allocated = first.handle, pool.allocated
    del first
    assert pool.allocated < allocated
    cached = pool.cached
    second = device.empty(4990)
    assert second.handle is handle
    assert pool.cached < cached
    assert second.nbytes == 4990
    third = device.empty(5000)
    assert third.handle is not handle


def test_results_of_repeated_work_need_no_new_memory(pool):
    x = genesis.ones(1003, 7)
    for _ in range(3):
        x * 2 + 1
    gc.collect()
    held = pool.allocated + pool.cached
    for _ in range(50):
        x * 2 + 1
    assert pool.allocated + pool.cached == held


def test_sizes_are_rounded_up_a_little():
    for nbytes in (0, 1, 255, 256, 257, 1000, 4097, 10**6, 10**6 + 1, 123_456_789):
        capacity = memory._capacity(nbytes)
        assert nbytes <= capacity <= max(256, nbytes + max(255, nbytes // 8))
        assert capacity % 256 == 0


def test_counters(pool):
    before = pool.allocated
    pool.reset_peak()
    x = genesis.zeros(1 << 20)
    y = genesis.zeros(1 << 20)
    assert pool.allocated - before >= 8 << 20
    del x, y
    assert pool.allocated == before
    assert pool.peak - before >= 8 << 20
    pool.empty_cache()
    assert pool.cached == 0
    pool.reset_peak()
    assert pool.peak == before


def test_views_keep_memory_alive(pool):
    x = genesis.ones(1 << 16)
    before = pool.allocated
    view = x[5:6].detach()
    del x
    assert pool.allocated == before
    assert view.item() == 1
    del view
    assert pool.allocated < before


def test_memory_is_not_handed_out_while_work_still_reads_it():
    x = genesis.ones(200, 200)
    results = []
    for i in range(20):
        y = x * i            # freed at once, and used for the next round's product
        results.append((y @ x)[0, 0])
        del y
    assert [r.item() for r in results] == [200.0 * i for i in range(20)]


def test_a_buffer_over_the_limit_is_an_error_that_says_so():
    device = genesis.device()
    with pytest.raises(OutOfMemoryError) as error:
        genesis.empty(device.max_alloc // 4 + 1)
    assert f"{(device.max_alloc // 4 + 1) * 4:,}" in str(error.value)
    assert device.name in str(error.value)
    assert f"{device.max_alloc:,}" in str(error.value)
    assert isinstance(error.value, MemoryError)
    assert isinstance(error.value, RuntimeError)
    assert genesis.ones(3).sum().item() == 3


def test_the_cache_is_given_back_before_giving_up(monkeypatch):
    device = genesis.device()
    pool = Pool(device)
    kept = pool.take(1 << 16)
    del kept
    assert pool.cached == 1 << 16
    tries = []

    class Full:
        mem_flags = cl.mem_flags
        Error, MemoryError, RuntimeError = cl.Error, cl.MemoryError, cl.RuntimeError

        @staticmethod
        def Buffer(context, flags, size):
            tries.append(pool.cached)
            if len(tries) == 1 or size > 1 << 20:
                raise cl.MemoryError("clCreateBuffer failed: MEM_OBJECT_ALLOCATION_FAILURE")
            return cl.Buffer(context, flags, size)

    monkeypatch.setattr(memory, "cl", Full)
    pool.take(1 << 18)
    assert tries == [1 << 16, 0]
    with pytest.raises(OutOfMemoryError, match=r"no room for 2,097,152 more bytes.*genesis holds"):
        pool.take(1 << 21)


def test_several_threads():
    errors = []

    def work(seed):
        try:
            rng = np.random.default_rng(seed)
            for n in rng.integers(1, 5000, 100):
                x = f32(np.full(n, seed))
                assert x.sum().item() == n * seed
        except BaseException as error:
            errors.append(error)

    pool = genesis.device().pool
    gc.collect()
    before = pool.allocated
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    gc.collect()
    assert pool.allocated == before


def test_a_process_ends_quietly():
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", """if True:
        import genesis
        x = genesis.rand(5, 5, requires_grad=True)
        y = (genesis.nn.Linear(5, 5)(x) * x).sum()
        y.backward(retain_graph=True)
        cycle = [x]
        cycle.append(cycle)
    """], capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(
        filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))})
    assert (done.returncode, done.stderr) == (0, "")


def test_empty_buffers_can_be_used():
    x = genesis.zeros(0)
    assert x._array.buffer.nbytes == 0
    assert "0 bytes" in repr(x._array.buffer)
    assert (x + 1).numpy().size == 0


@pytest.mark.skipif(not genesis.device().quirks.host_memory or not hasattr(mmap, "MADV_HUGEPAGE"),
                    reason="huge pages are for devices that work in the host's memory, on Linux")
def test_large_buffers_ask_for_huge_pages(pool):
    pool.empty_cache()
    device = genesis.device()
    nbytes = 3 * pages.PAGE + 12345
    buffer = device.empty(nbytes)
    bits = np.random.default_rng(0).integers(0, 256, nbytes, np.uint8)
    device.write(buffer, 0, bits)
    back = np.empty_like(bits)
    device.read(buffer, 0, back)
    assert np.array_equal(back, bits)
    address = mapped(buffer).ctypes.data
    assert address % pages.PAGE == 0
    flags = {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            start, end = (int(x, 16) for x in found.groups())
        elif line.startswith("VmFlags"):
            flags[start, end] = line.split()[1:]
    asked = [max(0, min(end, address + nbytes) - max(start, address)) for (start, end), f in flags.items() if "hg" in f]
    assert sum(asked) == nbytes - nbytes % pages.PAGE


def test_memory_is_given_back_only_when_nothing_uses_it(pool):
    pool.empty_cache()
    x = genesis.ones(pages.SMALLEST // 4)
    for _ in range(20):
        x = (x * 4).sqrt() - 1
    gc.collect()
    pool.empty_cache()          # with kernels under way, of which only the last one's result is held
    assert x.numpy().min() == x.numpy().max() == 1


def test_large_buffers_are_found_without_huge_pages(pool, monkeypatch):
    class Refusing(mmap.mmap):
        def madvise(self, *arguments):
            raise OSError("Invalid argument")

    def none(*arguments, **options):
        raise OSError("Cannot allocate memory")

    device = genesis.device()
    for how in (Refusing, none):
        pool.empty_cache()
        monkeypatch.setattr(pages.mmap, "mmap", how)
        buffer = device.empty(pages.SMALLEST)
        device.fill(buffer, 0, buffer.nbytes, np.full(1, 7, np.uint8))
        back = np.empty(buffer.nbytes, np.uint8)
        device.read(buffer, 0, back)
        assert (back == 7).all()
        del buffer


def test_write_later_takes_a_copy_and_keeps_the_order():
    device = genesis.device()
    buffer, values = device.empty(1 << 16), np.zeros(1 << 14, np.float32)
    behind = [genesis.tensor([0.0])]
    for i in range(1, 200):              # more than are kept waiting
        values[:] = i
        device.write_later(buffer, 0, values)
        behind.append(behind[-1] + i)    # launches between
    values[:] = -1
    back = np.empty_like(values)
    device.read(buffer, 0, back)
    assert (back == 199).all()
    assert behind[-1].item() == 199 * 100
