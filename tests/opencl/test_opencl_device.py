"""Finding and choosing devices, adopting a queue, using one from several threads."""

import copy
import functools
import importlib

import pyopencl as cl
import pytest
from helpers import close, f32, normal, run_python

import genesis
from genesis import NoDeviceError
from genesis.opencl import advice, quirks

device_module = importlib.import_module("genesis.opencl.device")


@pytest.fixture
def default():
    """Lets a test change the default device."""
    before = device_module._default
    yield
    device_module._default = before


class FakeDevice:
    """What Device reads of a pyopencl device."""

    def __init__(self, name="Fake", kind=cl.device_type.GPU, platform="Fake Platform", version="OpenCL 3.0",
                 unified=False, units=8):
        self.name, self.vendor, self.type = name, "Fake Inc.", kind
        self.platform = type("Platform", (), {"name": platform, "version": version})
        self.version = self.driver_version = version
        self.max_compute_units, self.global_mem_size, self.max_mem_alloc_size = units, 1 << 30, 1 << 28
        self.max_work_item_sizes = [1024, 1024, 64]
        self.local_mem_size, self.global_mem_cache_size, self.native_vector_width_float = 1 << 15, 1 << 20, 1
        self.extensions, self.host_unified_memory = "cl_khr_fp64 cl_khr_subgroup_ballot", unified


POCL, OLD_POCL = "OpenCL 3.0 PoCL 5.0+debian Linux", "OpenCL 2.0 PoCL 3.0 Linux"


@pytest.fixture
def fakes(monkeypatch):
    """Replaces the platforms; returns a function that takes the devices there are to be."""
    def install(*handles):
        platform = type("Platform", (), {"get_devices": lambda self: list(handles)})()
        monkeypatch.setattr(cl, "get_platforms", lambda: [platform])
        monkeypatch.setattr(device_module, "_found", functools.cache(search))
        monkeypatch.setattr(device_module, "_default", None)
        monkeypatch.delenv("GENESIS_DEVICE", raising=False)

    search = device_module._found.__wrapped__
    return install


def test_devices_are_found_by_position_type_and_name():
    found = genesis.devices()
    assert found
    for i, device in enumerate(found):
        assert genesis.device(i) is device
        assert genesis.device(str(i)) is device
        assert genesis.device(device) is device
        assert genesis.device(str(device)) is device
        assert genesis.device(f" {str(device).upper()} ") is device
        assert genesis.device(device.name).name == device.name
        assert genesis.device(device.platform.upper()).platform == device.platform
    assert genesis.device(found[0].type) is found[0]


@pytest.mark.parametrize("which", ["no such thing", "gpu:99", 99, "-1", "cpu:x"])
def test_an_unknown_device_is_an_error_that_lists_those_found(which):
    with pytest.raises(NoDeviceError) as error:
        genesis.device(which)
    assert repr(which) in str(error.value)
    for device in genesis.devices():
        assert device.name in str(error.value)
        assert str(device) in str(error.value)


@pytest.mark.parametrize("which", [1.5, True, [0], b"cpu"])
def test_a_device_is_named_by_a_string_or_a_position(which):
    with pytest.raises(TypeError, match="string or a position"):
        genesis.device(which)


def test_the_default_can_be_set_and_unset(default):
    last = genesis.devices()[-1]
    genesis.set_default_device(last)
    assert genesis.device() is last
    genesis.set_default_device(0)
    assert genesis.device() is genesis.devices()[0]
    with pytest.raises(NoDeviceError):
        genesis.set_default_device("no such thing")
    assert genesis.device() is genesis.devices()[0]
    genesis.set_default_device(None)
    assert genesis.device() is device_module.default_device()


def test_the_environment_names_the_default(default, monkeypatch):
    for device in genesis.devices():
        for name in (str(device), str(genesis.devices().index(device)), device.name):
            monkeypatch.setenv("GENESIS_DEVICE", name)
            genesis.set_default_device(None)
            assert genesis.device().name == device.name
    monkeypatch.setenv("GENESIS_DEVICE", "no such thing")
    genesis.set_default_device(None)
    with pytest.raises(NoDeviceError, match="no such thing"):
        genesis.zeros(1)


def test_reports():
    for device in genesis.devices():
        facts = device.describe()
        assert facts["device"] == str(device)
        assert facts["name"] in repr(device)
        assert facts["compute_units"] >= 1
        assert facts["memory"] >= facts["max_alloc"] > 0
        assert all(isinstance(facts[k], bool) for k in ("fp16", "fp64", "subgroups", "unified_memory"))


def test_gpus_come_first_then_integrated_ones_then_cpus(fakes):
    fakes(FakeDevice("A CPU", cl.device_type.CPU), FakeDevice("An accelerator", cl.device_type.ACCELERATOR),
          FakeDevice("Integrated", unified=True), FakeDevice("Small", units=8), FakeDevice("Large", units=64))
    assert [d.name for d in genesis.devices()] == ["Large", "Small", "Integrated", "A CPU", "An accelerator"]
    assert [str(d) for d in genesis.devices()] == ["gpu:0", "gpu:1", "gpu:2", "cpu:0", "accelerator:0"]
    assert genesis.device().name == "Large"
    assert genesis.device("gpu:2").name == "Integrated"
    assert genesis.device("cpu").name == "A CPU"


def test_without_any_device_the_error_names_the_install_command(fakes, monkeypatch):
    fakes()
    for machine, system, command in (("x86_64", "linux", 'pip install "genesis-cl[cpu]"'),
                                     ("AMD64", "win32", 'pip install "genesis-cl[cpu]"'),
                                     ("aarch64", "linux", "apt install pocl-opencl-icd"),
                                     ("arm64", "darwin", "macOS")):
        monkeypatch.setattr(advice.platform, "machine", lambda machine=machine: machine)
        monkeypatch.setattr(advice.sys, "platform", system)
        for call in (lambda: genesis.zeros(1), genesis.device, lambda: genesis.device("gpu")):
            with pytest.raises(NoDeviceError) as error:
                call()
            assert "no OpenCL device was found" in str(error.value)
            assert command in str(error.value)


def test_a_loader_without_platforms_is_no_device(fakes, monkeypatch):
    fakes()

    def none():
        raise cl.LogicError("clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR")

    monkeypatch.setattr(cl, "get_platforms", none)
    assert genesis.devices() == ()
    with pytest.raises(NoDeviceError, match="no OpenCL device was found"):
        genesis.device()


def test_old_pocl_is_never_chosen_unasked_and_warns(fakes, monkeypatch):
    name = "Portable Computing Language"
    fakes(FakeDevice("Old", cl.device_type.CPU, name, OLD_POCL))
    with pytest.raises(NoDeviceError, match="can be trusted") as error:
        genesis.device()
    assert "Old" in str(error.value)
    assert 'pip install "genesis-cl[cpu]"' in str(error.value)
    old = genesis.device("old")
    assert not old.describe()["chosen_unasked"]
    monkeypatch.setattr(cl, "Context", lambda handles: handles)
    with pytest.warns(UserWarning, match=r"Portable Computing.*PoCL 3.0.*pip install"):
        assert old.context == [old.handle]
    assert old.context        # warns once only
    fakes(FakeDevice("Old", cl.device_type.CPU, name, OLD_POCL), FakeDevice("New", cl.device_type.CPU, name, POCL))
    assert genesis.device().name == "New"


@pytest.mark.parametrize(("platform", "version", "kind", "chosen"), [
    ("Portable Computing Language", "OpenCL 2.0 pocl PoCL 1.8  Linux", "cpu", False),
    ("Portable Computing Language", "OpenCL 3.0 PoCL 3.0+debian", "cpu", False),
    ("Portable Computing Language", "OpenCL 3.0 PoCL 3.0-rc2", "cpu", False),
    ("Portable Computing Language", "OpenCL 3.0 PoCL 3.1+debian  Linux, LLVM 15.0.6", "cpu", True),
    ("Portable Computing Language", "OpenCL 3.0 PoCL 6.0  Linux, LLVM 18", "cpu", True),
    ("Portable Computing Language", "OpenCL 3.0 PoCL 10.0", "cpu", True),
    ("Intel(R) OpenCL", "OpenCL 3.0 LINUX", "cpu", True),
    ("Intel(R) FPGA Emulation Platform for OpenCL(TM)", "OpenCL 1.2", "accelerator", False),
    ("Oclgrind", "OpenCL 1.2 (Oclgrind 21.10)", "gpu", False),
    ("rusticl", "OpenCL 3.0", "cpu", True),
    ("NVIDIA CUDA", "OpenCL 3.0 CUDA 12.2", "gpu", True),
    ("Anything", "OpenCL 1.2", "accelerator", False),
])
def test_what_may_be_chosen_unasked(platform, version, kind, chosen):
    assert (quirks.lookup(platform, version, kind).rank >= 0) == chosen


def test_order_of_the_cpu_runtimes():
    ranks = [quirks.lookup(*names, "cpu").rank for names in (
        ("Intel(R) OpenCL", "OpenCL 3.0 LINUX"), ("Portable Computing Language", POCL), ("Other", "OpenCL 3.0"),
        ("rusticl", "OpenCL 3.0"))]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 4
    assert quirks.lookup("rusticl", "OpenCL 3.0", "cpu").max_loop < 65_535
    assert quirks.lookup("rusticl", "OpenCL 3.0", "gpu").max_loop == 0


def test_only_processors_are_asked_to_prefetch():
    for platform, version in (("Intel(R) OpenCL", "OpenCL 3.0 LINUX"), ("Portable Computing Language", POCL)):
        assert quirks.lookup(platform, version, "cpu").prefetch
        assert not quirks.lookup(platform, version, "gpu").prefetch
    assert not quirks.lookup("NVIDIA CUDA", "OpenCL 3.0 CUDA 12.2", "gpu").prefetch


def test_a_users_queue_is_adopted(default):
    handle = genesis.device().handle
    context = cl.Context([handle])
    queue = cl.CommandQueue(context)
    device = genesis.opencl.use(queue)
    assert genesis.device() is device
    assert device.queue is queue
    assert device.context == context
    x = f32(normal(33, 7))
    assert x.device is device
    close(x @ x.T, normal(33, 7) @ normal(33, 7).T, rtol=1e-4, atol=1e-5)
    assert x._array.buffer.handle.context == context
    with pytest.raises(RuntimeError, match="different devices"):
        x + genesis.zeros(7, device=genesis.devices()[0])
    assert genesis.opencl.use(cl.Context([handle])).context != context


def test_what_cannot_be_adopted(default):
    context = cl.Context([genesis.device().handle])
    with pytest.raises(TypeError, match="CommandQueue"):
        genesis.opencl.use("cpu")
    out_of_order = cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE
    if not genesis.device().handle.queue_properties & out_of_order:
        pytest.skip("the device has no out-of-order queues")
    with pytest.raises(ValueError, match="in-order"):
        genesis.opencl.use(cl.CommandQueue(context, properties=out_of_order))


def test_synchronize():
    x = genesis.ones(1000, 100)
    (x @ x.T).sum()
    genesis.synchronize()
    genesis.synchronize(genesis.device())


def test_first_use_from_several_threads():
    done = run_python("""
        import threading, genesis
        barrier, seen, errors = threading.Barrier(8), [], []
        def work():
            try:
                barrier.wait()
                x = genesis.ones(65) * 2 + 1
                seen.append((x.device, x.device.queue, x.sum().item()))
            except Exception as error:
                errors.append(error)
        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not errors, errors
        assert len({id(d) for d, _, _ in seen}) == len({id(q) for _, q, _ in seen}) == 1, seen
        assert {total for *_, total in seen} == {195.0}
        print("done")
    """)
    assert done == "done\n"


def test_importing_asks_for_no_device():
    run_python("""
        import sys, genesis
        module = sys.modules["genesis.opencl.device"]
        assert module._default is None and module._found.cache_info().currsize == 0
    """)


def test_the_device_without_memory_can_be_compared_with():
    meta = genesis.device("meta")
    assert isinstance(meta, genesis.device)
    assert meta == genesis.device("meta") != genesis.zeros(1).device
    assert meta is genesis.device("meta:0") is copy.deepcopy(meta)
    assert (meta.type, str(meta), repr(meta)) == ("meta", "meta", "device(type='meta')")
    for call in (lambda: genesis.zeros(2, device="meta"), lambda: genesis.zeros(2, device=meta), meta.__enter__,
                 lambda: genesis.zeros(2).to("meta"), lambda: genesis.nn.Linear(2, 2).to(meta)):
        with pytest.raises(NotImplementedError, match="skip_init"):
            call()
