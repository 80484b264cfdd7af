"""Chooses the devices that the tests run on, and seeds the tests."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, settings

import genesis

# Generated examples are the same in each run, so that a failure is the change's; ``--hypothesis-profile explore`` makes
# others, and many more of them where a test takes its number from `helpers.examples`.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.register_profile("explore", settings.get_profile("fixed"), derandomize=False)
settings.load_profile("fixed")


def pytest_addoption(parser):
    parser.addoption("--device", metavar="NAME", action="append",
                     help="device to test on, as GENESIS_DEVICE takes it; default: GENESIS_DEVICE, else chosen. May be "
                          "given more than once; 'all' stands for every device that genesis would choose")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes or gigabytes, too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    imitated = genesis.device().name.startswith("llvmpipe")
    for marker, reason in (("slow", "takes minutes or gigabytes"), ("lengthy", "takes long on an imitated GPU")):
        if marker not in config.getoption("-m") and (marker == "slow" or imitated):
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=f"{reason}: --slow runs it"))


def pytest_cmdline_main(config):
    """Run the tests in a process for each device, when there are several."""
    names = wanted(config)
    if len(names) < 2:
        return None
    arguments, skip = [], False
    for argument in map(str, config.invocation_params.args):
        if not skip and not argument.startswith("--device"):
            arguments.append(argument)
        skip = argument == "--device"
    codes = {}
    for name in names:
        print(f"\n{'':=<20} device {name} {'':=<20}", flush=True)
        codes[name] = subprocess.run([sys.executable, "-m", "pytest", *arguments, f"--device={name}"],
                                     check=False).returncode
    print("\n".join(f"{name}: {'passed' if code == 0 else f'FAILED (exit status {code})'}"
                    for name, code in codes.items()), flush=True)
    return max(codes.values())


def wanted(config):
    """The names of the devices that were asked for, each once."""
    names = []
    for name in config.getoption("--device") or ():
        names += [str(d) for d in genesis.devices() if d.quirks.rank >= 0] if name == "all" else [name]
    return list(dict.fromkeys(names))


def pytest_configure(config):
    names = wanted(config)
    if len(names) == 1:
        os.environ["GENESIS_DEVICE"] = names[0]      # for the processes that tests start, too
        genesis.set_default_device(None)
    try:
        genesis.device()
    except genesis.NoDeviceError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config):
    device = genesis.device()
    return f"device: {device}, {device.name} ({device.platform_version})"


@pytest.fixture(autouse=True)
def seeded():
    """Every test begins with the same random numbers."""
    genesis.manual_seed(0)
