"""The tuner of matrix products: what it keeps, what it ignores, and that products stay right under every choice."""

import dataclasses
import json

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis.cli import main, tune
from genesis.opencl import tuning
from genesis.ops import matmul_tiles
from genesis.ops.matmul import forget_plans


@pytest.fixture
def tunable(tmp_path, monkeypatch):
    """A device whose products can be tuned, with a cache folder of its own."""
    device = genesis.device()
    if not matmul_tiles.candidates(device):
        pytest.skip(f"{device.name} does not multiply by blocks of the cache")
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(tmp_path))
    matmul_tiles._chosen.cache_clear()
    yield device
    matmul_tiles._chosen.cache_clear()
    forget_plans()


def test_tuning_is_kept_and_forgotten(tunable, monkeypatch, capsys):
    table, other = matmul_tiles.candidates(tunable)[:2]
    monkeypatch.setattr(matmul_tiles, "candidates", lambda device: [table, other])
    monkeypatch.setattr(tune, "_seconds", lambda device, tiles, operands, repeat: [0.5 if tiles == other else 1.0])
    assert main(["tune", "--rounds", "1"]) == 0
    assert f"kept: {other}" in capsys.readouterr().out
    assert matmul_tiles.tiles_for(tunable) == other
    matmul_tiles._chosen.cache_clear()                       # as another process would find it
    assert matmul_tiles.tiles_for(tunable) == other
    assert main(["tune", "--reset"]) == 0
    assert matmul_tiles.tiles_for(tunable) == table


def test_a_small_gain_keeps_the_table(tunable, monkeypatch):
    table, other = matmul_tiles.candidates(tunable)[:2]
    monkeypatch.setattr(matmul_tiles, "candidates", lambda device: [table, other])
    monkeypatch.setattr(tune, "_seconds", lambda device, tiles, operands, repeat: [0.99 if tiles == other else 1.0])
    assert main(["tune", "--rounds", "1"]) == 0
    assert matmul_tiles.tiles_for(tunable) == table


@pytest.mark.parametrize("text", ["", "[]", '{"matmul": 3}', '{"matmul": {"rows": 0}}', '{"matmul": {"colour": "red"}}',
                                  '{"matmul": {"width": 16, "rows": 10000, "kc": 1, "nc": 7, "mc": -1}}'])
def test_a_damaged_file_is_ignored(tunable, text):
    tuning.path(tunable).parent.mkdir(parents=True)
    tuning.path(tunable).write_text(text)
    assert matmul_tiles.tiles_for(tunable) == matmul_tiles.candidates(tunable)[0]


def test_results_of_other_names_survive(tunable):
    assert tuning.store(tunable, "else", {"a": 1})
    assert matmul_tiles.keep(tunable, matmul_tiles.candidates(tunable)[0])
    held = json.loads(tuning.path(tunable).read_text())
    assert held == {"else": {"a": 1}, "matmul": dataclasses.asdict(matmul_tiles.candidates(tunable)[0])}


def test_seconds_are_measured(tunable):
    operands = [tune._operands(tunable, 32, 16, 24, turned) for turned in (False, True)]
    found = tune._seconds(tunable, matmul_tiles.candidates(tunable)[0], operands, 1)
    assert len(found) == 2
    assert min(found) > 0


def test_products_are_right_under_every_choice(tunable):
    a, b = normal(61, 700), normal(700, 163, seed=1)
    for tiles in matmul_tiles.candidates(tunable)[::3]:
        with matmul_tiles.using(tunable, tiles):
            forget_plans()
            close(f32(a) @ f32(b), a @ b, rtol=1e-4, atol=1e-4)
    assert np.isfinite((f32(a) @ f32(b)).numpy()).all()


def test_sums_of_16_bit_products_fit_beside_every_choice(tunable):
    a, b = normal(61, 700), normal(700, 163, seed=1)
    x, y = f32(a).to(genesis.bfloat16), f32(b).to(genesis.bfloat16)
    expected = x.float().numpy().astype(np.float64) @ y.float().numpy().astype(np.float64)
    for tiles in matmul_tiles.candidates(tunable):
        with matmul_tiles.using(tunable, tiles):
            forget_plans()
            close((x @ y).float(), expected, rtol=1e-2, atol=1e-2)


def test_rounds_must_be_positive(tunable, capsys):
    assert main(["tune", "--rounds", "0"]) == 2
    assert "--rounds" in capsys.readouterr().err
