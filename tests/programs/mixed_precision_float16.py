"""The same with float16, whose gradients need a scaled loss."""

from real import TransformerModel, text_batches, text_loss
from real import text_criterion as criterion

import genesis
import genesis.nn as nn
import genesis.optim as optim

model = TransformerModel()
before = text_loss(model)
optimizer = optim.AdamW(model.parameters(), lr=2e-3)
scaler = genesis.amp.GradScaler()

for batch in text_batches(60):
    optimizer.zero_grad()
    with genesis.autocast(dtype=genesis.float16):
        loss = criterion(model(batch['input']), batch['target'])
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    scaler.step(optimizer)
    scaler.update()

after = text_loss(model)
assert after < before - 1, (before, after)
assert scaler.get_scale() >= 1024, scaler.get_scale()
