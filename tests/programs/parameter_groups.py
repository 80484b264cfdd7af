"""Parameter groups: a layer added with a learning rate of its own, and rates changed by hand."""

from real import MyModel, digit_batches, digit_loss

import genesis.optim as optim
from genesis import nn

model = MyModel()
optimizer = optim.SGD(model.features.parameters(), lr=0.1, momentum=0.9)
new_layer = model.classifier

# Add new layer with different learning rate
optimizer.add_param_group({
    'params': new_layer.parameters(),
    'lr': 0.001
})
assert [group['lr'] for group in optimizer.param_groups] == [0.1, 0.001]

before = digit_loss(model)
for _ in range(4):
    for data, target in digit_batches():
        # Clear gradients before each training step
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()

    # Manually adjust learning rates
    for group in optimizer.param_groups:
        group['lr'] *= 0.9

after = digit_loss(model)
assert after < before - 1, (before, after)
assert abs(optimizer.param_groups[1]['lr'] - 0.001 * 0.9 ** 4) < 1e-9
