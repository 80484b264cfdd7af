"""What programs written for PyTorch write, beyond names and arguments of single functions."""

import importlib

import numpy as np
import pytest
from helpers import f32, needs_float64

import genesis
from genesis import nn
from genesis.places import PLACES

x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(("name", "given"), [
    ("sum", {"axis": 1, "keepdims": True}), ("mean", {"axis": (0, 2)}), ("argmax", {"axis": 2}), ("std", {"axis": 0}),
    ("amax", {"axis": 1, "keepdims": False}), ("cumsum", {"axis": 1}), ("unsqueeze", {"axis": 0}),
    ("softmax", {"axis": -1})])
def test_dimensions_also_go_by_numpy_names(name, given):
    torch = pytest.importorskip("torch")
    wanted = getattr(torch.tensor(x), name)(**given).numpy()
    for found in (getattr(genesis.tensor(x), name)(**given), getattr(genesis, name)(genesis.tensor(x), **given)):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5)


def test_joining_takes_axis():
    a = genesis.tensor(x)
    assert genesis.cat([a, a], axis=1).shape == (2, 6, 4)
    assert genesis.stack([a, a], axis=3).shape == (2, 3, 4, 2)
    assert [part.shape[2] for part in genesis.split(a, 3, axis=2)] == [3, 1]


def test_an_argument_given_by_both_names_is_an_error():
    with pytest.raises(TypeError, match="axis"):
        genesis.tensor(x).sum(dim=0, axis=1)


@pytest.mark.parametrize("make", [genesis.zeros, genesis.ones, genesis.empty, genesis.rand, genesis.randn])
def test_sizes_by_name(make):
    assert make(size=(2, 3)).shape == (2, 3)
    with pytest.raises(TypeError, match="size="):
        make(4, size=(2, 3))


def test_a_range_is_an_index():
    a = genesis.tensor(x[0])
    np.testing.assert_array_equal(a[range(3), [1, 0, 2]].numpy(), x[0][range(3), [1, 0, 2]])
    a[range(0, 3, 2)] = 0.0
    assert a.sum(dim=1).tolist() == [0.0, 22.0, 0.0]


def test_moving_takes_the_arguments_of_torch():
    a = genesis.tensor(x)
    assert a.to(a.device, non_blocking=True) is a
    assert a.to(a.device, genesis.int32, True).dtype is genesis.int32
    assert a.to(genesis.float32, False, True) is not a
    assert a.contiguous(memory_format=genesis.contiguous_format) is a
    layer = nn.Linear(2, 2)
    assert layer.to(a.device, non_blocking=True, memory_format=genesis.channels_last) is layer


def test_channels_last_is_told_from_row_by_row():
    a = genesis.zeros(2, 3, 4, 5)
    assert a.is_contiguous()
    assert not a.is_contiguous(memory_format=genesis.channels_last)
    b = a.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert b.is_contiguous(memory_format=genesis.channels_last)
    assert not b.is_contiguous()
    assert not genesis.zeros(2, 3).is_contiguous(memory_format=genesis.channels_last)


@pytest.mark.parametrize("kind", [genesis.LongTensor, "torch.LongTensor", genesis.int64])
def test_type_takes_classes_and_their_names(kind):
    a = genesis.tensor(x).type(kind)
    assert a.dtype is genesis.int64
    assert a.type() == "torch.LongTensor"


def test_type_refuses_an_unknown_name():
    with pytest.raises(TypeError, match="SmallTensor"):
        genesis.tensor(x).type("torch.SmallTensor")


def test_parameters_take_attributes():
    p = nn.Parameter(genesis.ones(2))
    p.no_weight_decay = True
    assert p.no_weight_decay


def test_variable_is_a_leaf_and_every_tensor_one():
    made = genesis.ones(2, requires_grad=True) * 2
    leaf = genesis.autograd.Variable(made, requires_grad=True)
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert not genesis.autograd.Variable(made).requires_grad
    assert isinstance(made, genesis.autograd.Variable)
    assert not isinstance(x, genesis.autograd.Variable)
    with pytest.raises(TypeError, match="ndarray"):
        genesis.autograd.Variable(x)


@pytest.mark.parametrize(("make", "enabled"), [
    (lambda: genesis.autocast("cuda", enabled=False), False), (lambda: genesis.autocast(False), False),
    (lambda: genesis.autocast("cpu", genesis.float16), True), (lambda: genesis.autocast("cpu", None, False), False),
    (lambda: genesis.autocast(device_type="cuda", dtype=genesis.bfloat16), True),
    (lambda: genesis.amp.autocast(enabled=True), True)])
def test_autocast_takes_arguments_in_the_order_of_torch(make, enabled):
    with make():
        assert genesis.is_autocast_enabled() == enabled


def test_an_optimizer_takes_a_frozen_mask():
    mask = nn.Parameter(genesis.tensor([True, False]), requires_grad=False)
    weight = nn.Parameter(genesis.ones(2))
    optimizer = genesis.optim.SGD([mask, weight], lr=1.0)
    (weight * mask).sum().backward()
    optimizer.step()
    assert weight.tolist() == [0.0, 1.0]
    assert mask.tolist() == [True, False]


def test_what_is_asked_about_cuda_fits_the_devices():
    found = [d for d in genesis.devices() if "cuda" in d.platform.lower()]
    assert genesis.cuda.device_count() == len(found)
    assert genesis.cuda.is_available() == bool(found)
    a = genesis.ones(2)
    assert a.is_cuda == (a.device in found)
    assert not a.is_sparse
    assert not a.is_complex()
    name = f"cuda:{len(found)}"
    with pytest.raises(genesis.NoDeviceError, match="cuda"):
        genesis.device(name)
    for move in (lambda: a.cuda(len(found)), lambda: nn.Linear(2, 2).cuda(len(found))):
        with pytest.raises(genesis.NoDeviceError):
            move()


def test_seeds_for_cuda_are_seeds():
    genesis.cuda.manual_seed_all(3)
    first = genesis.rand(4).tolist()
    genesis.manual_seed(3)
    assert genesis.rand(4).tolist() == first


def test_an_accelerator_is_a_gpu():
    gpu = genesis.accelerator.current_accelerator()
    assert (gpu is not None) == genesis.accelerator.is_available() == bool(genesis.accelerator.device_count())
    assert gpu is None or gpu.type == "gpu"


def test_data_has_the_name_of_torch():
    from genesis.utils.data import DataLoader

    assert DataLoader is genesis.data.DataLoader is genesis.utils.data.DataLoader


@needs_float64
def test_a_float64_number_in_a_tensor_stands_beside_float32():
    a, b = genesis.tensor(x), genesis.tensor(2.5, dtype=genesis.float64)
    for found, wanted in (a - b, x - 2.5), (b * a, x * 2.5), (a.div(b), x / 2.5):
        assert found.dtype is genesis.float32
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    a -= b
    np.testing.assert_allclose(a.numpy(), x - 2.5, rtol=1e-6)


def test_cpu_is_the_tensor_itself_where_no_cpu_has_a_runtime(monkeypatch):
    x, layer = f32([1.0, 2.0]), genesis.nn.Linear(2, 1)
    assert x.cpu().device.type == "cpu"
    for module in (genesis.methods.conversion, genesis.nn.moves):
        monkeypatch.setattr(module, "cpu_device", lambda: None)
    assert x.cpu() is x
    assert layer.cpu() is layer


def test_arguments_that_programs_pass_by_name(tmp_path):
    x = f32([[1.0, 2.0], [3.0, 4.0]])
    for make in (genesis.zeros_like, genesis.ones_like, genesis.empty_like, genesis.rand_like, genesis.randn_like):
        assert make(x, memory_format=genesis.preserve_format).shape == x.shape
    assert genesis.full_like(x, 3, memory_format=genesis.preserve_format).tolist() == [[3, 3], [3, 3]]
    for flipped in (x.flip(dims=[0]), x.flip(dims=(0,)), genesis.flip(x, dims=[0]), x.flip(0)):
        assert flipped.tolist() == [[3, 4], [1, 2]]
    y = f32([3.0]).requires_grad_()
    (slope,) = genesis.autograd.grad(outputs=y * y, inputs=y, grad_outputs=genesis.ones(1), create_graph=True,
                                     retain_graph=True, only_inputs=True)
    assert slope.item() == 6
    genesis.save({"x": x}, tmp_path / "x")
    assert genesis.load(tmp_path / "x", map_location="cpu", weights_only=True)["x"].tolist() == x.tolist()
    with pytest.raises(TypeError, match="map_location"):
        genesis.load(tmp_path / "x", "cpu", map_location="cpu")


def test_settings_are_remembered():
    before = genesis.get_float32_matmul_precision(), genesis.get_num_threads()
    try:
        genesis.use_deterministic_algorithms(True, warn_only=True)
        assert genesis.are_deterministic_algorithms_enabled()
        genesis.set_float32_matmul_precision("medium")
        genesis.set_num_threads(3)
        assert (genesis.get_float32_matmul_precision(), genesis.get_num_threads()) == ("medium", 3)
        for error, call in ((ValueError, lambda: genesis.set_float32_matmul_precision("low")),
                            (RuntimeError, lambda: genesis.set_num_threads(0))):
            with pytest.raises(error):
                call()
    finally:
        genesis.use_deterministic_algorithms(False)
        genesis.set_float32_matmul_precision(before[0])
        genesis.set_num_threads(before[1])
    assert not genesis.are_deterministic_algorithms_enabled()


def test_switches_of_other_libraries_are_there():
    names = genesis.backends.cudnn.__dict__
    assert {"benchmark", "deterministic", "enabled", "allow_tf32"} <= names.keys()
    assert not any(ask() for ask in (genesis.backends.cudnn.is_available, genesis.backends.cuda.is_built,
                                     genesis.backends.mps.is_available, genesis.backends.mps.is_built))
    assert genesis.backends.cudnn.version() is None
    assert genesis.backends.cuda.matmul.allow_tf32 is False


def test_amp_is_in_its_older_place_too():
    with genesis.cuda.amp.autocast(enabled=False):
        assert not genesis.is_autocast_enabled()
    assert genesis.cuda.amp.GradScaler is genesis.amp.GradScaler


def test_new_tensors_of_the_same_type():
    a = genesis.ones(2, dtype=genesis.int32)
    assert (a.new(2, 3).shape, a.new(2, 3).dtype) == ((2, 3), genesis.int32)
    assert a.new([1, 2]).tolist() == [1, 2]
    assert a.new().numel() == 0
    assert a.pin_memory() is a


def test_data_of_a_leaf_is_floating_point():
    a = genesis.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="floating"):
        a.data = genesis.tensor([1, 2])
    assert a.tolist() == [1.0, 1.0]


def test_where_without_values_is_places():
    rows, columns = genesis.where(genesis.tensor([[True, False], [False, True], [False, False]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [0, 1])
    with pytest.raises(TypeError, match="neither"):
        genesis.where(genesis.tensor([True]), 1.0)


def test_memory_of_cuda_devices(monkeypatch):
    device = genesis.get_default_device()
    if not genesis.cuda.is_available():
        for ask in ("memory_allocated", "max_memory_allocated", "memory_reserved"):
            assert getattr(genesis.cuda, ask)() == 0
        genesis.cuda.empty_cache()
        genesis.cuda.reset_peak_memory_stats()
        with pytest.raises(genesis.NoDeviceError):
            genesis.cuda.current_device()
        monkeypatch.setattr(genesis.cuda, "its_devices", lambda: (device,))
    before = genesis.cuda.memory_allocated(device)
    held = genesis.ones(1 << 20, device=device)
    assert genesis.cuda.memory_allocated(device) - before >= 4 << 20
    assert genesis.cuda.max_memory_allocated(device) >= genesis.cuda.memory_allocated(device)
    del held
    assert genesis.cuda.memory_reserved(device) - genesis.cuda.memory_allocated(device) >= 4 << 20
    genesis.cuda.empty_cache()
    assert genesis.cuda.memory_reserved(device) == genesis.cuda.memory_allocated(device)
    genesis.cuda.reset_peak_memory_stats(device)
    assert genesis.cuda.max_memory_allocated(device) == genesis.cuda.memory_allocated(device)
    assert genesis.cuda.is_bf16_supported()


def test_random_numbers_go_on_as_before_a_fork():
    genesis.manual_seed(3)
    with genesis.random.fork_rng(devices=[]):
        a = genesis.randn(4).tolist()
    assert genesis.randn(4).tolist() == a
    with genesis.random.fork_rng(enabled=False):
        b = genesis.randn(4).tolist()
    assert genesis.randn(4).tolist() != b
    assert genesis.distributions.kl.kl_divergence is genesis.distributions.kl_divergence


@pytest.mark.parametrize("statement", [
    "from torch.distributions.normal import Normal", "from torch.distributions.categorical import Categorical",
    "from torch.distributions.kl import kl_divergence", "import torch.distributions.studentT as t; t.StudentT",
    "from torch.nn.modules import Conv2d", "from torch.nn.modules.module import Module",
    "from torch.nn.modules.conv import _ConvNd", "from torch.nn.modules.batchnorm import _BatchNorm, _NormBase",
    "from torch.nn.modules.loss import _Loss", "from torch.nn.modules.dropout import _DropoutNd",
    "from torch.nn.modules.sparse import Embedding", "from torch.nn.modules.rnn import LSTM",
    "from torch.nn.utils.convert_parameters import parameters_to_vector",
    "from torch.utils.data.dataloader import DataLoader, default_collate",
    "from torch.utils.data.dataset import Dataset, random_split", "from torch.utils.data.sampler import Sampler",
    "from torch.utils.hooks import RemovableHandle", "from torch.optim.lr_scheduler import _LRScheduler",
    "from torch.nn.init import _calculate_correct_fan, _calculate_fan_in_and_fan_out",
    "from torch.nn.attention import SDPBackend, sdpa_kernel", "from torch.nn.parallel import DistributedDataParallel",
    "from torch.distributed import destroy_process_group, init_process_group"])
def test_modules_are_found_where_torch_has_them(statement):
    pytest.importorskip("torch")
    exec(statement, {})
    exec(statement.replace("torch", "genesis"), {})


def test_each_place_is_one_of_torch_and_holds_all_of_its_layers_that_there_are():
    torch = pytest.importorskip("torch")
    compared = 0
    for place in PLACES:
        theirs, ours = (importlib.import_module(f"{library}.{place}") for library in ("torch", "genesis"))
        known = genesis.distributions if place.startswith("distributions") else nn
        for name in getattr(theirs, "__all__", ()):
            if hasattr(known, name) and getattr(theirs, name).__module__ == theirs.__name__:
                assert getattr(ours, name) is getattr(known, name), (place, name)
                compared += 1
    assert compared > 120
    with pytest.raises(ImportError, match="Normall"):
        from genesis.distributions.normal import Normall  # noqa: F401
    assert torch.nn.modules.utils._pair(3) == nn.modules.utils._pair(3) == (3, 3)
    assert nn.modules.utils._ntuple(2)([4, 5]) == (4, 5)
    assert nn.modules.utils._reverse_repeat_tuple((1, 2), 2) == torch.nn.modules.utils._reverse_repeat_tuple((1, 2), 2)


def test_what_is_said_to_compilers_changes_nothing():
    layer = nn.Linear(2, 1)
    assert genesis.compile(layer, fullgraph=True, backend="eager") is layer

    @genesis.compile(mode="reduce-overhead")
    @genesis.jit.script
    @genesis.jit.ignore(drop=True)
    @genesis.jit.unused
    @genesis.compiler.disable
    def double(x):
        genesis._assert(x.ndim == 1, "a vector is wanted")
        return x if genesis.jit.is_scripting() or genesis.compiler.is_compiling() else 2 * x

    assert double(genesis.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(AssertionError, match="a vector"):
        double(genesis.ones(2, 2))
    with pytest.raises(TypeError, match="compile takes"):
        genesis.compile(3)
    with pytest.raises(AttributeError, match=r"genesis\.save"):
        genesis.jit.trace(layer, genesis.ones(2))


def test_several_processes_are_refused_where_they_are_asked_for():
    assert not genesis.distributed.is_initialized()
    with pytest.raises(RuntimeError, match="in one process"):
        genesis.distributed.init_process_group("nccl")
    with pytest.raises(RuntimeError, match="in one process"):
        nn.parallel.DistributedDataParallel(nn.Linear(2, 1))


def test_choice_of_attention_is_taken():
    q = genesis.ones(1, 1, 2, 4)
    backend = nn.attention.SDPBackend
    with nn.attention.sdpa_kernel([backend.MATH, backend.FLASH_ATTENTION]), genesis.backends.cuda.sdp_kernel():
        assert nn.functional.scaled_dot_product_attention(q, q, q).shape == q.shape
    with pytest.raises(TypeError, match="SDPBackend"), nn.attention.sdpa_kernel("flash"):
        pass


def test_device_is_a_type_and_takes_an_index():
    here = genesis.device()
    assert isinstance(genesis.zeros(2).device, genesis.device)
    assert not isinstance("cpu", genesis.device)
    assert not genesis.zeros(2).is_mps
    assert isinstance(here, genesis.device | str)       # as annotations of functions say it
    assert genesis.device(here.type, here.index) is here
    with pytest.raises(genesis.NoDeviceError, match="99"):
        genesis.device("gpu", 99)


def test_a_device_is_the_default_within_its_block():
    before = genesis.get_default_device()
    for other in genesis.devices():
        with other as entered, genesis.device(before), other:
            assert entered is other
            assert genesis.get_default_device() is other
        assert genesis.get_default_device() is before
    with pytest.raises(KeyError), before:
        raise KeyError
    assert genesis.get_default_device() is before


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "true_divide", "pow", "float_power", "remainder",
                                  "floor_divide", "xlogy"])
def test_functions_of_a_number_and_a_tensor(name):
    torch = pytest.importorskip("torch")
    for number, values in ((10000, f32([0.5, 2.0])), (2.5, np.int64([1, 3]))):
        if name == "float_power" and not genesis.device().fp64:
            continue                                       # it computes in float64
        found, wanted = (getattr(library, name)(number, library.tensor(values)) for library in (genesis, torch))
        assert str(found.dtype).split(".")[1] == str(wanted.dtype).split(".")[1]
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5)


def test_number_first_takes_the_other_arguments_and_has_a_gradient():
    x = genesis.tensor([2.0, 3.0], requires_grad=True)
    genesis.pow(2, exponent=x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.log(2) * np.array([4.0, 8.0]), rtol=1e-5)
    assert genesis.add(1, x, alpha=3).tolist() == [7.0, 10.0]
    assert genesis.div(7, x, rounding_mode="floor").tolist() == [3.0, 2.0]
    with pytest.raises(TypeError, match="exp"):
        genesis.exp(2.0)
    with pytest.raises(TypeError, match="not on str"):
        genesis.add("1", x)


def test_a_single_bool_is_an_index():
    torch = pytest.importorskip("torch")

    def run(library):
        a, b = library.tensor(x), library.tensor(3.0)
        found = [a[True], a[False], a[a.sum() > 0], b[b > 5], a[(library.tensor(False),)]]
        a[a.sum() < 0] = 7.0
        a[a.sum() > 0] = -1.0
        b[b > 0] = 4.0
        w = library.tensor([1.0, 2.0], requires_grad=True)
        w[w.sum() > 0].sum().backward()
        return [t.detach().numpy() for t in (*found, a, b, w.grad)]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(IndexError, match="by itself"):
        genesis.tensor(x)[True, 0]


def test_functions_write_into_out():
    torch = pytest.importorskip("torch")

    def run(library):
        a, b = library.tensor(x), library.tensor(x[::-1].copy())
        into, empty = library.zeros(2, 3, 4), library.empty(0)
        largest = library.zeros(2, 4), library.zeros(2, 4).long()
        assert library.div(a, 2, out=into) is into
        library.maximum(a, b, out=a)
        library.mul(2, b, out=empty)
        library.max(b, 1, out=largest)
        return [t.numpy() for t in (into, a, empty, *largest)]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("out", "what"), [
    (lambda: genesis.zeros(3), "shape"), (lambda: genesis.zeros(2, 3, 4).long(), "does not go into"),
    (lambda: genesis.zeros(2, 3, 4, requires_grad=True), "no_grad"), (lambda: (genesis.zeros(1),) * 2, "as many")])
def test_out_that_does_not_fit_is_an_error(out, what):
    with pytest.raises(RuntimeError, match=what):
        genesis.exp(genesis.tensor(x), out=out())
    with pytest.raises(TypeError, match="out must be"):
        genesis.exp(genesis.tensor(x), out=3)
