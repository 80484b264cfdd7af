"""Gradient accumulation."""

from real import TransformerModel, text_batches, text_loss
from real import text_criterion as criterion

import genesis.nn as nn
import genesis.optim as optim

model, train_loader = TransformerModel(), text_batches(120, batch_size=4)
optimizer = optim.AdamW(model.parameters(), lr=5e-3)
before = text_loss(model)

# Simulate larger batch size through accumulation
accumulation_steps = 4
optimizer.zero_grad()

for i, batch in enumerate(train_loader):
    # Forward pass
    outputs = model(batch['input'])
    loss = criterion(outputs, batch['target'])

    # Normalize loss by accumulation steps
    loss = loss / accumulation_steps
    loss.backward()

    # Update weights every accumulation_steps
    if (i + 1) % accumulation_steps == 0:
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()

after = text_loss(model)
assert after < before - 1, (before, after)
assert optimizer.state[model.head.weight]["step"] == 30
