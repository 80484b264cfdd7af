"""The command line: what it prints, its exit statuses, and that errors of the user are one line."""

import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import genesis
from genesis.cli import explain, main
from genesis.cli.train import RECIPES


def command(*arguments, **environment):
    return subprocess.Popen([sys.executable, "-m", "genesis", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def test_devices_table(capsys):
    assert main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["device", "name", "platform", "OpenCL", "units", "memory", "fp16", "fp64", "subgroups"]
    rows = lines[1:1 + len(genesis.devices())]
    for row, device in zip(rows, genesis.devices(), strict=True):
        assert re.search(rf"{device} +{re.escape(device.name)} +{re.escape(device.platform)}", row)
        assert row.startswith("*" if device is genesis.device() else " ")
    assert sum(line.startswith(f"default: {genesis.device()}, ") for line in lines) == 1


def test_devices_json(capsys):
    assert main(["devices", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["default"] == str(genesis.device())
    assert shown["reason"]
    assert [d["device"] for d in shown["devices"]] == [str(d) for d in genesis.devices()]
    assert [d["device"] for d in shown["devices"] if d["default"]] == [shown["default"]]
    assert {"platform", "version", "compute_units", "memory", "fp16", "fp64", "subgroups"} <= set(shown["devices"][0])


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_devices_none(form, monkeypatch, capsys):
    monkeypatch.setattr(genesis, "devices", tuple)
    assert main(["devices", *form]) == 1
    shown = capsys.readouterr()
    assert "no OpenCL device was found" in shown.out + shown.err
    assert "install" in shown.out + shown.err or sys.platform == "darwin"
    if form:
        assert json.loads(shown.out)["devices"] == []


def test_devices_say_why(monkeypatch, capsys):
    monkeypatch.setenv("GENESIS_DEVICE", genesis.device().name)
    assert main(["devices"]) == 0
    assert f"because GENESIS_DEVICE is {genesis.device().name!r}" in capsys.readouterr().out


def test_devices_wrong_wish(capsys):
    process = command("devices", GENESIS_DEVICE="no such thing")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert str(genesis.devices()[0].name) in out
    assert "no OpenCL device fits 'no such thing'" in err


@pytest.mark.lengthy
def test_train_digits(tmp_path, capsys):
    assert main(["train", "digits", "--epochs", "2", "--optimizer", "rmsprop", "--lr", "0.002", "--batch-size", "32",
                 "--seed", "5", "--out", str(tmp_path)]) == 0
    assert re.fullmatch(r"test accuracy 0\.\d{4}", capsys.readouterr().out.splitlines()[-1])
    config = genesis.load(tmp_path / "checkpoint.safetensors")["config"]
    assert config == {"recipe": "digits", "optimizer": "rmsprop", "lr": 0.002, "epochs": 2, "batch_size": 32, "seed": 5}


@pytest.mark.parametrize("name", RECIPES)
def test_help_tells_the_defaults_of_a_recipe(name, capsys):
    with pytest.raises(SystemExit):
        main(["train", name, "--help"])
    shown = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    taken = inspect.signature(importlib.import_module(f"genesis.recipes.{name}").train).parameters
    for argument in ("optimizer", "epochs", "batch_size", "seed", "out"):
        told = re.search(rf"--{argument.replace('_', '-')} .*?default: (\S+)", shown)
        assert told, argument
        assert told[1] == str(taken[argument].default)


def test_train_text_passes_its_settings_on(monkeypatch):
    from genesis.recipes import text

    given = {}
    monkeypatch.setattr(text, "train", lambda **settings: given.update(settings))
    assert main(["train", "text", "--epochs", "3"]) == 0
    assert given == {"optimizer": "adamw", "epochs": 3, "seed": 0, "out": "runs/text"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--epochs", "0"], "epochs must be a whole number of at least 1, got 0"),
    (["--lr", "nan"], "lr must be finite"),
    (["--batch-size", "-3"], "batch_size"),
    (["--seed", str(1 << 80)], "seed"),
    (["--out", __file__], "not a folder"),
    (["--out", f"{__file__}/below"], "Not a directory"),
])
def test_errors_are_one_line(arguments, message, capsys):
    assert main(["train", "digits", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.startswith("genesis: error: ")
    assert shown.err.count("\n") == 1


def test_a_device_that_is_not_there_is_answered_by_a_list(capsys):
    assert main(["train", "digits", "--device", "no such thing"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("genesis: error: no OpenCL device fits 'no such thing'")
    assert [line.split()[1] for line in lines[1:-1]] == [str(device) for device in genesis.devices()]


@pytest.mark.parametrize("arguments", [[], ["train"], ["train", "chess"], ["train", "digits", "--optimizer", "sdg"],
                                       ["train", "digits", "--epochs", "many"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: genesis" in capsys.readouterr().err


def test_errors_can_be_traced(monkeypatch):
    monkeypatch.setenv("GENESIS_TRACEBACK", "1")
    with pytest.raises(ValueError, match="epochs"):
        main(["train", "digits", "--epochs", "0"])


def test_explain():
    assert explain(ValueError("first:\n  a\n  b")) == "first: a; b"
    assert explain(PermissionError(13, "Permission denied", "runs")) == "runs: Permission denied"
    assert explain(ValueError()) == "ValueError"
    assert explain(genesis.KernelError("log:\n  line")) == "log:\n  line"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_interrupt(tmp_path):
    process = command("train", "digits", "--epochs", "100000", "--out", str(tmp_path))
    checkpoint = tmp_path / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()                        # if it goes on, it must not beside the other tests
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "is kept" in out
    assert genesis.load(checkpoint)["epoch"] >= 1


@pytest.mark.lengthy
def test_second_process_compiles_nothing(tmp_path):
    counts = []
    for _ in range(2):
        process = command("train", "digits", "--epochs", "1", "--out", str(tmp_path / "run"),
                          GENESIS_CACHE_DIR=str(tmp_path / "cache"))
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        counts.append([int(n) for n in re.search(r"kernels: (\d+) compiled, (\d+) loaded", out).groups()])
    assert counts[0][0] > 0
    assert counts[0][1] == 0
    assert counts[1] == [0, counts[0][0]]


def test_version_by_module():
    process = command("--version")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out == f"genesis {genesis.__version__}\n"
