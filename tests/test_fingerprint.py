"""Fingerprints, and that a whole training run gives the same bits each time, in this process and in another."""

import copy

import numpy as np
import pytest
from helpers import run_python

import genesis
from genesis import nn
from genesis.optim import OPTIMIZERS


def made(name="adam"):
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    return model, OPTIMIZERS[name](model.parameters(), lr=0.1)


def step(model, optimizer):
    optimizer.zero_grad()
    model(genesis.ones(4, 3)).square().sum().backward()
    optimizer.step()


def test_a_fingerprint_is_16_hexadecimal_digits_and_stays():
    model, optimizer = made()
    mark = genesis.fingerprint(model, optimizer)
    assert len(mark) == 16
    assert int(mark, 16) >= 0
    assert genesis.fingerprint(*made()) == mark
    assert genesis.fingerprint(model) != mark
    assert genesis.fingerprint(model.state_dict(), optimizer.state_dict()) == mark
    assert genesis.fingerprint(copy.deepcopy(model), optimizer) == mark
    # Of numbers that no device computes, so that a change of the recipe is noticed.
    assert genesis.fingerprint({"a": genesis.tensor([1.0, 2.0]), "b": [1, None, "x"]}) == "7541d487cfa07101"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_part_counts(name):
    seen = set()
    model, optimizer = made(name)
    seen.add(genesis.fingerprint(model, optimizer))
    step(model, optimizer)
    seen.add(genesis.fingerprint(model, optimizer))
    model[1].running_mean[2] += 1e-7
    seen.add(genesis.fingerprint(model, optimizer))
    optimizer.param_groups[0]["lr"] = 0.2
    seen.add(genesis.fingerprint(model, optimizer))
    with genesis.no_grad():
        model[0].weight[1, 1] = -model[0].weight[1, 1]
    seen.add(genesis.fingerprint(model, optimizer))
    assert len(seen) == 5


@pytest.mark.parametrize(("a", "b"), [
    (genesis.tensor([0.0]), genesis.tensor([-0.0])),
    (genesis.tensor([1.0]), genesis.tensor([1.0], dtype=genesis.float16)),
    (genesis.zeros(2, 3), genesis.zeros(3, 2)),
    (genesis.zeros(1), genesis.zeros(())),
    (genesis.zeros(0), []),
    ([1, [2]], [[1], 2]),
    (["ab", "c"], ["a", "bc"]),
    (1, 1.0), (1, True), (0.1, 0.1 + 1e-17 + 1e-16), ("1", 1), (b"1", "1"), ({"a": 1}, [("a", 1)]), (None, "None"),
])
def test_different_values_have_different_fingerprints(a, b):
    assert genesis.fingerprint(a) == genesis.fingerprint(copy.deepcopy(a))
    assert genesis.fingerprint(a) != genesis.fingerprint(b)


def test_views_and_16_bit_types_have_fingerprints():
    x = genesis.arange(12.0).reshape(3, 4)
    assert genesis.fingerprint(x.T) == genesis.fingerprint(x.T.contiguous())
    assert genesis.fingerprint(x.T) != genesis.fingerprint(x.reshape(4, 3))
    assert genesis.fingerprint(x.bfloat16()) == genesis.fingerprint(x.bfloat16().numpy())
    assert genesis.fingerprint(np.float32(1)) == genesis.fingerprint(genesis.tensor(1.0))


def test_what_has_no_bits_is_refused():
    with pytest.raises(TypeError, match="function has no fingerprint"):
        genesis.fingerprint([lambda: 0])


RUN = """
    import numpy as np
    import genesis
    from genesis import nn
    from genesis.data import DataLoader, TensorDataset

    def train():
        genesis.manual_seed(7)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((203, 1, 8, 8)).astype(np.float32)
        y = rng.integers(0, 10, 203)
        model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                              nn.Flatten(), nn.Linear(128, 65), nn.GELU(), nn.LayerNorm(65), nn.Dropout(0.3),
                              nn.Linear(65, 10))
        optimizer = genesis.optim.AdamW(model.parameters(), lr=3e-3, max_grad_norm=1.0)
        scheduler = genesis.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
        loader = DataLoader(TensorDataset(genesis.tensor(x), genesis.tensor(y)), batch_size=32, shuffle=True)
        for _ in range(3):
            for batch, target in loader:
                optimizer.zero_grad()
                with genesis.autocast():
                    loss = nn.functional.cross_entropy(model(batch), target)
                loss.backward()
                optimizer.step()
            scheduler.step()
        return genesis.fingerprint(model, optimizer)

    for _ in range({times}):
        print(train())
"""


@pytest.mark.lengthy
def test_a_training_run_has_the_same_bits_in_this_process_and_in_others():
    first = run_python(RUN.replace("{times}", "3")).split()
    again = run_python(RUN.replace("{times}", "1"), GENESIS_SYNC="1", PYTHONHASHSEED="1").split()
    assert len(first) == 3
    assert set(first + again) == {first[0]}
