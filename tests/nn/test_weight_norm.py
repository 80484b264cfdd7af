"""Weight normalization against PyTorch's, and hooks before forward."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.nn.utils import remove_weight_norm, weight_norm


@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_matches_torch(dim):
    torch = pytest.importorskip("torch")
    mine, its = nn.Linear(5, 3), torch.nn.Linear(5, 3)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    weight_norm(mine, dim=dim)
    torch.nn.utils.weight_norm(its, dim=dim)
    assert list(mine.state_dict()) == list(its.state_dict())
    for key, value in its.state_dict().items():
        close(mine.state_dict()[key], value.numpy())
    optimizers = genesis.optim.SGD(mine.parameters(), lr=0.1), torch.optim.SGD(its.parameters(), lr=0.1)
    for step in range(3):
        x = normal(7, 5, seed=step).astype(np.float32)
        a, b = (mine(genesis.tensor(x)) ** 2).sum(), (its(torch.tensor(x)) ** 2).sum()
        close(a, b.item(), rtol=1e-4)
        for optimizer, loss in zip(optimizers, (a, b)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for p, q in zip(mine.parameters(), its.parameters()):
            close(p, q.detach().numpy(), rtol=1e-4, atol=1e-5)
    remove_weight_norm(mine)
    torch.nn.utils.remove_weight_norm(its)
    assert list(mine.state_dict()) == list(its.state_dict())
    close(mine.weight, its.weight.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert isinstance(mine.weight, nn.Parameter)


def test_weight_norm_keeps_the_weight_and_names_errors():
    layer = nn.Linear(4, 4)
    before = layer.weight.detach().numpy()
    assert weight_norm(layer) is layer
    close(layer.weight, before)
    with pytest.raises(RuntimeError, match="already"):
        weight_norm(layer)
    with pytest.raises(ValueError, match="'wight'"):
        weight_norm(layer, "wight")
    assert remove_weight_norm(layer) is layer
    close(layer.weight, before)
    with pytest.raises(ValueError, match="not normalized"):
        remove_weight_norm(layer)
    layer(leaf(normal(2, 4))).sum().backward()
    assert layer.weight.grad is not None


def test_forward_pre_hooks_see_and_replace_the_arguments():
    layer, seen = nn.Identity(), []
    x = f32([1, 2])
    with layer.register_forward_pre_hook(lambda module, args: seen.append((module, args))):
        assert layer(x) is x
    assert seen[0][0] is layer
    assert seen[0][1][0] is x
    first = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert layer(x).tolist() == [3, 5]
    first.remove()
    assert layer(x).tolist() == [2, 3]
