"""Learning rate scheduling."""

from real import MyModel, accuracy, digit_batches

import genesis.nn as nn
import genesis.optim as optim

model, train_loader, num_epochs = MyModel(), digit_batches(), 6


def compute_loss(model, batch):
    data, target = batch
    return nn.functional.cross_entropy(model(data), target)


from genesis.optim.lr_scheduler import CosineAnnealingLR  # noqa: E402

# Optimizer and scheduler
optimizer = optim.AdamW(model.parameters(), lr=1e-3)
scheduler = CosineAnnealingLR(optimizer, T_max=100, eta_min=1e-6)

for epoch in range(num_epochs):
    # Training
    for batch in train_loader:
        optimizer.zero_grad()
        loss = compute_loss(model, batch)
        loss.backward()
        optimizer.step()

    # Update learning rate
    scheduler.step()
    print(f'Epoch {epoch}, LR: {scheduler.get_last_lr()[0]:.6f}')

assert accuracy(model) > 0.85, accuracy(model)
assert 0.99e-3 < scheduler.get_last_lr()[0] < 1e-3
