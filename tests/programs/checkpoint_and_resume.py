"""A checkpoint, and training that goes on from it as if it had never stopped."""

from real import MyModel, accuracy

import genesis
import genesis.optim as optim
from genesis import nn
from genesis.data import DataLoader, TensorDataset
from genesis.data.datasets import digits


def new():
    model = MyModel()
    optimizer = optim.AdamW(model.parameters(), lr=2e-3)
    return model, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6), genesis.amp.GradScaler()


def train(model, optimizer, scheduler, scaler, epochs):
    for _ in range(epochs):
        for data, target in DataLoader(digits(train=True), 64, shuffle=True):
            optimizer.zero_grad()
            with genesis.autocast(dtype=genesis.float16):
                loss = nn.functional.cross_entropy(nn.functional.dropout(model(data), 0.1), target)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        scheduler.step()


genesis.manual_seed(1)
model, optimizer, scheduler, scaler = new()
train(model, optimizer, scheduler, scaler, 3)

# Save optimizer state
state = optimizer.state_dict()
genesis.save(state, 'optimizer_checkpoint.pth')
genesis.save({'model': model.state_dict(), 'scheduler': scheduler.state_dict(), 'scaler': scaler.state_dict(),
              'random': genesis.get_rng_state()}, 'checkpoint.pth')
train(model, optimizer, scheduler, scaler, 3)

genesis.manual_seed(2)
resumed, optimizer, scheduler, scaler = new()
# Restore optimizer state
state = genesis.load('optimizer_checkpoint.pth')
optimizer.load_state_dict(state)
rest = genesis.load('checkpoint.pth')
resumed.load_state_dict(rest['model'])
scheduler.load_state_dict(rest['scheduler'])
scaler.load_state_dict(rest['scaler'])
genesis.set_rng_state(rest['random'])
train(resumed, optimizer, scheduler, scaler, 3)

for p, q in zip(model.parameters(), resumed.parameters()):
    assert genesis.equal(p, q)
assert TensorDataset is type(digits())
assert accuracy(model) > 0.85, accuracy(model)
