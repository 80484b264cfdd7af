"""What is said where a GPU is missing: only what this machine needs, as far as it can be seen."""

import os

import pytest

import genesis
from genesis.cli import main
from genesis.opencl import advice


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """A Linux machine of which nothing is known: no card, no node, no rusticl."""
    monkeypatch.setattr(advice.sys, "platform", "linux")
    monkeypatch.setattr(advice, "_CARDS", tmp_path / "drm")
    monkeypatch.setattr(advice, "_NODES", tmp_path / "dri")
    monkeypatch.setattr(advice, "_RUSTICL", tmp_path / "rusticl.icd")
    monkeypatch.delenv("RUSTICL_ENABLE", raising=False)
    return tmp_path


def add_card(folder, number, vendor):
    (folder / "drm" / f"card{number}" / "device").mkdir(parents=True)
    (folder / "drm" / f"card{number}" / "device" / "vendor").write_text(vendor + "\n")


def test_unknown_machines_are_told_of_every_vendor(linux):
    named = [line.split(":")[0].strip() for line in advice.gpu_message().splitlines()]
    assert named == ["AMD GPU", "Intel GPU", "NVIDIA GPU"]


def test_known_cards_are_told_of_their_drivers_only(linux):
    add_card(linux, 0, "0x1002")
    add_card(linux, 1, "0x1002")
    add_card(linux, 2, "0x1a03")                 # a server's display chip, which computes nothing
    assert advice.graphics_cards() == ["AMD"]
    said = advice.gpu_message()
    assert "graphics card of AMD\n" in said
    assert "rocm-opencl-icd" in said
    assert "Intel" not in said


@pytest.mark.parametrize(("vendor", "driver"), [("0x1002", "radeonsi"), ("0x8086", "iris"), ("0x10de", None)])
def test_rusticl_has_to_be_turned_on(linux, monkeypatch, vendor, driver):
    add_card(linux, 0, vendor)
    assert "RUSTICL_ENABLE" not in advice.gpu_message()
    (linux / "rusticl.icd").touch()
    assert (f"RUSTICL_ENABLE={driver}" in advice.gpu_message()) == (driver is not None)
    monkeypatch.setenv("RUSTICL_ENABLE", "radeonsi,iris")
    assert "RUSTICL_ENABLE" not in advice.gpu_message()


def test_a_node_that_may_not_be_opened_is_named(linux, monkeypatch):
    (linux / "dri").mkdir()
    (linux / "dri" / "renderD128").touch()
    assert "usermod" not in advice.gpu_message()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"{linux / 'dri' / 'renderD128'}: sudo usermod -aG render,video" in advice.gpu_message()


@pytest.mark.parametrize(("system", "words"), [("darwin", "nothing to install"), ("win32", "which includes OpenCL")])
def test_other_systems_have_one_line(monkeypatch, system, words):
    monkeypatch.setattr(advice.sys, "platform", system)
    assert words in advice.gpu_message()
    assert "\n" not in advice.gpu_message()


def test_devices_without_a_gpu_say_what_one_needs(capsys):
    assert main(["devices"]) == 0
    has_gpu = any(device.type == "gpu" for device in genesis.devices())
    assert (advice.gpu_message() in capsys.readouterr().out) == (not has_gpu)


@pytest.mark.skipif(any(d.type == "gpu" for d in genesis.devices()), reason="a GPU fits the name")
@pytest.mark.parametrize("name", ["gpu", "cuda", "gpu:1"])
def test_a_gpu_asked_for_in_vain_leads_to_the_advice(name):
    with pytest.raises(genesis.NoDeviceError, match=r"`genesis devices` says what a GPU needs"):
        genesis.device(name)


def test_a_name_that_nothing_fits_leads_to_the_forms_of_names():
    with pytest.raises(genesis.NoDeviceError, match="devices are named gpu, cpu, gpu:1"):
        genesis.device("no such thing")
