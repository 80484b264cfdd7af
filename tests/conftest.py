"""Chooses the device that the tests run on, and seeds them."""

import os

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
    parser.addoption("--device", metavar="NAME",
                     help="device to test on, as GENESIS_DEVICE takes it; default: GENESIS_DEVICE, else chosen")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes or gigabytes, too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow") and "slow" not in config.getoption("-m"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes or gigabytes: --slow runs it"))


def pytest_configure(config):
    wanted = config.getoption("--device")
    if wanted:
        os.environ["GENESIS_DEVICE"] = wanted      # for the processes that tests start, too
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
