"""Gradient clipping by norm and by value."""

import math

from real import MyModel, accuracy, digit_batches

import genesis
from genesis import nn, optim

for clip in ('norm', 'value'):
    model = MyModel()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for _ in range(6):
        for data, target in digit_batches():
            optimizer.zero_grad()
            loss = 100 * nn.functional.cross_entropy(model(data), target)       # gradients that need clipping
            loss.backward()
            if clip == 'norm':
                # Clip gradients to prevent explosion
                total = genesis.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
                assert isinstance(total, float)
                squares = sum((p.grad ** 2).sum().item() for p in model.parameters())
                assert math.sqrt(squares) <= 1.001
            else:
                # Limit gradients to [-1, 1] range
                genesis.nn.utils.clip_grad_value_(model.parameters(), clip_value=1.0)
                assert all(p.grad.abs().max().item() <= 1 for p in model.parameters())
                for p in model.parameters():
                    p.grad /= 20
            optimizer.step()
    assert accuracy(model) > 0.8, (clip, accuracy(model))
