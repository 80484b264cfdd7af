"""Memory shared with NumPy, PyTorch and PyOpenCL."""

import gc
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyopencl as cl
import pyopencl.array
import pytest
from helpers import ROOT, close, f32, leaf, needs_float64, normal, run_python

import genesis
from genesis import dlpack
from genesis.opencl.host import shares_memory

DTYPES = ("float32", "float16", "int8", "int16", "int32", "int64", "uint8", "bool_")
shared = pytest.mark.skipif(not shares_memory(genesis.device()), reason="the device's memory is not the host's")
# PyOpenCL compiles kernels of its own, of which some compilers have something to say.
quiet = pytest.mark.filterwarnings("ignore::pyopencl.CompilerWarning")


def values(dtype, *shape):
    return (np.arange(np.prod(shape)).reshape(shape) % 5).astype(getattr(genesis, dtype).numpy)


@shared
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_sees_a_tensor_in_its_own_memory(dtype):
    x = genesis.tensor(values(dtype, 5, 7))
    for look in (lambda t: t, lambda t: t.T, lambda t: t[1:, ::3], lambda t: t[2], lambda t: t[0, 0], lambda t: t[:0]):
        seen = np.from_dlpack(look(x))
        np.testing.assert_array_equal(seen, look(x).numpy())
        assert seen.dtype == x.dtype.numpy
    seen = np.from_dlpack(x)
    x.zero_()
    genesis.synchronize()
    assert not seen.any()
    if seen.flags.writeable:           # as of NumPy 2.1, which asks for DLPack 1.0
        seen[1, 2] = 1
        assert x[1, 2].item() == 1
    copied = x.__dlpack__(copy=True)
    del copied


@shared
@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_pytorch_sees_a_tensor_in_its_own_memory(dtype):
    torch = pytest.importorskip("torch")
    x = genesis.tensor(values("float32", 33, 4)).to(getattr(genesis, dtype))
    y = torch.from_dlpack(x.T)
    assert y.dtype == getattr(torch, dtype.rstrip("_"))
    assert y.T.float().tolist() == x.float().tolist()
    y[1, 2] = 1
    assert x[2, 1].item() == 1
    x.fill_(0)
    genesis.synchronize()
    assert not y.any()
    z = genesis.from_dlpack(torch.ones(3, 4, dtype=y.dtype).T[1:])
    assert z.dtype is x.dtype
    assert z.shape == (3, 3)
    assert z.float().tolist() == [[1] * 3] * 3


@shared
@pytest.mark.parametrize("size", [1, 3, 1003, 70001])
@pytest.mark.parametrize("offset", [0, 1])
def test_memory_of_numpy_becomes_a_tensor(size, offset):
    array = np.arange(size + offset, dtype=np.float32)[offset:]
    x = genesis.from_dlpack(array)
    assert x._array.buffer.foreign
    np.testing.assert_array_equal(x.numpy(), array)
    x.mul_(2)
    genesis.synchronize()
    np.testing.assert_array_equal(array, 2 * np.arange(offset, size + offset))
    array[-1] = 5
    assert x[-1].item() == 5
    twice = genesis.from_dlpack(array, copy=True)
    array[0] = 9
    assert twice[0].item() != 9
    y = x * 1
    del x
    gc.collect()
    np.testing.assert_array_equal(y.numpy(), array)


@shared
def test_layouts_that_genesis_has_not_are_copied():
    array = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    for look in (array[::-1], array[:, ::-2], np.broadcast_to(array[0], (2, 4))):
        np.testing.assert_array_equal(genesis.from_dlpack(look).numpy(), look)
    with pytest.raises(BufferError, match="copy"):
        genesis.from_dlpack(array[::-1], copy=False)
    frozen = array.copy()
    frozen.flags.writeable = False
    try:
        frozen.__dlpack__(max_version=(1, 0))
    except TypeError:
        return                        # this NumPy does not lend memory that may only be read
    x = genesis.from_dlpack(frozen)
    x.zero_()
    assert frozen[1, 1] == 5
    with pytest.raises(BufferError, match="copy"):
        genesis.from_dlpack(frozen, copy=False)
    assert genesis.from_dlpack(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert genesis.from_dlpack(np.zeros((), np.float32)).shape == ()


@shared
def test_lent_memory_lives_until_it_is_given_back():
    before = len(dlpack._lent)
    pool = genesis.device().pool
    base = pool.allocated
    seen = np.from_dlpack(genesis.full((5000,), 3.0))
    others = [genesis.zeros(5000) for _ in range(3)]
    assert (seen == 3).all()
    assert len(dlpack._lent) == before + 1
    del seen, others
    gc.collect()
    assert len(dlpack._lent) == before
    capsule = genesis.ones(3).__dlpack__()
    assert len(dlpack._lent) == before + 1
    del capsule                        # never used
    assert len(dlpack._lent) == before
    assert pool.allocated == base
    capsule = genesis.ones(3).__dlpack__()

    class Once:
        def __dlpack__(self, **kwargs):
            return capsule

        def __dlpack_device__(self):
            return (1, 0)

    assert genesis.from_dlpack(Once()).tolist() == [1, 1, 1]
    with pytest.raises(BufferError, match="used already"):
        genesis.from_dlpack(Once())


@shared
def test_what_cannot_be_exchanged_is_said():
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(leaf([1.0]))
    with pytest.raises(BufferError, match="stream"):
        genesis.ones(1).__dlpack__(stream=1)
    with pytest.raises(BufferError, match="device"):
        genesis.ones(1).__dlpack__(dl_device=(2, 0))
    with pytest.raises(TypeError, match="__dlpack__"):
        genesis.from_dlpack([1.0])
    with pytest.raises(BufferError, match="element type"):
        genesis.from_dlpack(np.ones(2, np.uint16))

    class Elsewhere:
        def __dlpack__(self, **kwargs):
            raise AssertionError

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(BufferError, match="host memory"):
        genesis.from_dlpack(Elsewhere())
    x = genesis.ones(2)
    assert genesis.from_dlpack(x)._array is x._array
    assert genesis.from_dlpack(x, copy=True)._array is not x._array


def test_gpus_and_devices_with_memory_of_their_own_refuse(monkeypatch):
    x = genesis.ones(3)
    monkeypatch.setattr(dlpack, "shares_memory", lambda device: False)
    with pytest.raises(BufferError, match="numpy"):
        x.__dlpack__()
    assert genesis.from_dlpack(np.ones(3, np.float32)).tolist() == [1, 1, 1]
    with pytest.raises(BufferError, match="copy"):
        genesis.from_dlpack(np.ones(3, np.float32), copy=False)
    monkeypatch.setattr(x.device, "type", "gpu")
    assert x.__dlpack_device__()[0] == dlpack.OPENCL
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(x)


@shared
@needs_float64
def test_an_optimizer_updates_memory_of_numpy():
    weights = np.ones(5)
    p = genesis.from_dlpack(weights).requires_grad_()
    optimizer = genesis.optim.SGD([p], lr=0.5)
    (p * p).sum().backward()
    optimizer.step()
    genesis.synchronize()
    np.testing.assert_array_equal(weights, np.zeros(5))


@shared
def test_a_program_may_end_while_memory_is_lent():
    out = run_python("""
        import numpy as np, genesis
        seen = np.from_dlpack(genesis.ones(1000))
        mine = genesis.from_dlpack(np.ones(1000, np.float32))
        mine.mul_(2)
        print(seen.sum(), mine.sum().item())
    """)
    assert out.split() == ["1000.0", "2000.0"]


def test_arrays_of_numpy():
    x = f32([[1.5, 2.0]])
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, dtype=np.int64).tolist() == [[1, 2]]
    assert np.asarray(leaf([1.0])).tolist() == [1]
    assert np.array(x, copy=True).tolist() == [[1.5, 2]]
    with pytest.raises(ValueError, match="copy"):
        x.__array__(copy=False)


@quiet
def test_pyopencl_arrays_share_memory():
    queue = genesis.device().queue
    theirs = cl.array.to_device(queue, normal(4, 5).astype(np.float32))
    x = genesis.from_pyopencl(theirs)
    x.mul_(2)
    genesis.synchronize()
    close(x, theirs.get(), rtol=0, atol=0)
    theirs += np.float32(1)
    close(x, 2 * normal(4, 5) + 1)
    back = x[1:].to_pyopencl()
    assert back.shape == (3, 5)
    np.testing.assert_array_equal(back.get(), theirs.get()[1:])
    y = leaf(normal(3))
    with genesis.no_grad():
        y.to_pyopencl().fill(2)
    assert y.tolist() == [2, 2, 2]
    gradient = cl.array.to_device(queue, np.full(3, 7, np.float32))
    y.grad = genesis.from_pyopencl(gradient)
    genesis.optim.SGD([y], lr=1.0).step()
    assert y.tolist() == [-5, -5, -5]


@quiet
def test_pyopencl_arrays_that_cannot_be_shared_are_refused():
    with pytest.raises(TypeError, match="pyopencl"):
        genesis.from_pyopencl(np.ones(3))
    own = genesis.device()
    context = cl.Context([own.handle])
    theirs = cl.array.to_device(cl.CommandQueue(context), np.ones(3, np.float32))
    with pytest.raises(ValueError, match="context"):
        genesis.from_pyopencl(theirs)
    memory = cl.array.to_device(own.queue, np.zeros(32, np.uint8))
    crooked = cl.array.Array(own.queue, (3,), np.float32, data=memory.base_data, offset=2)
    with pytest.raises(ValueError, match="multiples of its element size"):
        genesis.from_pyopencl(crooked)


@quiet
def test_the_inverse_problem_is_solved(monkeypatch):
    path = Path(ROOT) / "examples" / "inverse_problem.py"
    if not path.is_file():
        pytest.skip("the examples are not installed")
    spec = importlib.util.spec_from_file_location("inverse_problem", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "inverse_problem", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STEPS", 60)
    monkeypatch.setattr(module, "MOMENTS", slice(10, None, 10))
    lines = []
    first, last = module.solve(40, report=lines.append)
    assert last < 0.6 * first
    assert len(lines) == 2

    program = module.Program(genesis.device().queue)         # the adjoint against differences
    start, k = genesis.tensor(module.heated()), leaf(module.rod())
    weights = f32(normal(61, module.EXPERIMENTS, module.POINTS))
    (module.Simulate.apply(k, start, program) * weights).sum().backward()
    direction = normal(module.POINTS, seed=5).astype(np.float32)
    sides = [(module.Simulate.apply(f32(module.rod() + h * direction), start, program) * weights).double().sum().item()
             if genesis.device().fp64 else
             float((module.Simulate.apply(f32(module.rod() + h * direction), start, program) * weights).numpy().astype(
                 np.float64).sum()) for h in (1e-2, -1e-2)]
    slope = (sides[0] - sides[1]) / 2e-2
    assert abs(np.sum(k.grad.numpy() * direction) - slope) < 2e-2 * abs(slope) + 1e-2
