"""Stochastic weight averaging and an exponential moving average beside it."""

from real import MyModel, accuracy, digit_batches

import genesis
from genesis import nn
from genesis.optim import SGD
from genesis.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

model, train_loader = MyModel(), digit_batches()
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
swa_model = AveragedModel(model)
ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
swa_scheduler = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)

for epoch in range(8):
    for data, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data), target).backward()
        optimizer.step()
        ema_model.update_parameters(model)
    if epoch >= 4:
        swa_model.update_parameters(model)
        swa_scheduler.step()
update_bn(train_loader, swa_model)

assert swa_model.n_averaged.item() == 4
assert not genesis.equal(swa_model.module.classifier.weight, model.classifier.weight)
for each in (model, swa_model, ema_model):
    assert accuracy(each) > 0.9, accuracy(each)
