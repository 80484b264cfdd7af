"""Training a transformer with mixed precision."""

from real import TransformerModel, text_batches, text_loss
from real import text_criterion as criterion

import genesis
import genesis.nn as nn
import genesis.optim as optim

train_loader, num_epochs = text_batches(60), 2

# Enable mixed precision
genesis.enable_autocast = True

# Model setup
model = TransformerModel()
before = text_loss(model)
optimizer = optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)

for epoch in range(num_epochs):
    for batch in train_loader:
        optimizer.zero_grad()

        # Use autocast for mixed precision
        with genesis.autocast():
            outputs = model(batch['input'])
            loss = criterion(outputs, batch['target'])

        # Backward pass
        loss.backward()

        # Gradient clipping
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)

        # Optimizer step
        optimizer.step()
    print(f'Epoch: {epoch}, Loss: {loss.item():.4f}')

assert outputs.dtype is genesis.bfloat16
assert loss.dtype is genesis.float32
assert all(p.dtype is p.grad.dtype is genesis.float32 for p in model.parameters())
after = text_loss(model)
assert after < before - 0.1, (before, after)       # 120 steps of this small learning rate
