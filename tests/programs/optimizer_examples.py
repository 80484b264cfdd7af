"""Every way in which the pages construct an optimizer: each trains a model for two rounds through the digits."""

from real import Autoencoder, MyModel, digit_batches, digit_loss

import genesis
import genesis.optim as optim
from genesis import nn

train_loader = digit_batches()


def trains(model, optimizer, by):
    before = digit_loss(model)
    model.train()
    for _ in range(2):
        for data, target in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data), target).backward()
            optimizer.step()
    after = digit_loss(model)
    assert after < before - by, f'{optimizer}: from {before:.4f} to {after:.4f}'


# Basic SGD
model = MyModel()
optimizer = optim.SGD(model.parameters(), lr=0.01)
trains(model, optimizer, by=0.01)

# SGD with momentum (recommended for most tasks)
model = MyModel()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
trains(model, optimizer, by=0.1)

# SGD with weight decay
model = MyModel()
optimizer = optim.SGD(model.parameters(), lr=0.01,
                     momentum=0.9, weight_decay=1e-4)
trains(model, optimizer, by=0.1)

# Nesterov accelerated gradient
model = MyModel()
optimizer = optim.SGD(model.parameters(), lr=0.01,
                     momentum=0.9, nesterov=True)
trains(model, optimizer, by=0.1)

# The settings recommended for SGD
model = MyModel()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
trains(model, optimizer, by=1)

# Different learning rates for different layers
model = MyModel()
optimizer = optim.SGD([
    {'params': model.features.parameters(), 'lr': 0.001},
    {'params': model.classifier.parameters(), 'lr': 0.01}
], momentum=0.9)
trains(model, optimizer, by=0.02)
assert [group['momentum'] for group in optimizer.param_groups] == [0.9, 0.9]

# Default Adam (most common)
model = MyModel()
optimizer = optim.Adam(model.parameters())
trains(model, optimizer, by=0.1)
assert set(optimizer.state[model.classifier.weight]) == {'step', 'exp_avg', 'exp_avg_sq'}

# Custom learning rate
model = MyModel()
optimizer = optim.Adam(model.parameters(), lr=0.001)
trains(model, optimizer, by=0.1)

# Transformer model settings
model = MyModel()
optimizer = optim.Adam(model.parameters(), lr=0.0001,
                      betas=(0.9, 0.98), eps=1e-9)
trains(model, optimizer, by=0.01)

# With weight decay
model = MyModel()
optimizer = optim.Adam(model.parameters(), lr=0.001,
                      weight_decay=1e-5)
trains(model, optimizer, by=0.1)

# Fine-tuning with different learning rates
model = Autoencoder()
optimizer = optim.Adam([
    {'params': model.encoder.parameters(), 'lr': 1e-5},
    {'params': model.decoder.parameters(), 'lr': 1e-4},
    {'params': model.head.parameters(), 'lr': 1e-3}
])
trains(model, optimizer, by=0.01)

# Using AMSGrad variant
model = MyModel()
optimizer = optim.Adam(model.parameters(), lr=0.001, amsgrad=True)
trains(model, optimizer, by=0.1)
assert 'max_exp_avg_sq' in optimizer.state[model.classifier.weight]

# Default AdamW (recommended for Transformers)
model = MyModel()
optimizer = optim.AdamW(model.parameters())
trains(model, optimizer, by=0.1)
assert optimizer.param_groups[0]['weight_decay'] == 0.01

# BERT/GPT standard settings
model = MyModel()
optimizer = optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
trains(model, optimizer, by=0.005)

# Large model training
model = MyModel()
optimizer = optim.AdamW(model.parameters(), lr=1e-4,
                       betas=(0.9, 0.95), weight_decay=0.1)
trains(model, optimizer, by=0.01)

# RMSprop, as it comes and with everything
model = MyModel()
optimizer = optim.RMSprop(model.parameters())
trains(model, optimizer, by=1)
model = MyModel()
optimizer = optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.99, eps=1e-8, weight_decay=1e-5, momentum=0.9,
                          centered=True)
trains(model, optimizer, by=1)
assert genesis.is_grad_enabled()
