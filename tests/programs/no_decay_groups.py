"""Parameter groups: bias and normalization without weight decay."""

from real import TransformerModel, text_batches, text_criterion, text_loss

import genesis.optim as optim

model = TransformerModel()
before = text_loss(model)

# Exclude bias and normalization from weight decay
decay_params = []
no_decay_params = []
for name, param in model.named_parameters():
    if any(nd in name for nd in ['bias', 'norm', 'ln']):
        no_decay_params.append(param)
    else:
        decay_params.append(param)

optimizer = optim.AdamW([
    {'params': decay_params, 'weight_decay': 0.01},
    {'params': no_decay_params, 'weight_decay': 0.0}
], lr=1e-4)

assert len(decay_params) > 5
assert len(no_decay_params) > 5
for batch in text_batches(60):
    optimizer.zero_grad()
    text_criterion(model(batch['input']), batch['target']).backward()
    optimizer.step()
after = text_loss(model)
assert after < before - 0.1, (before, after)

# Only the decay is left when the gradients are 0.
for group in optimizer.param_groups:
    group['lr'] = 1.0
    group['betas'] = (0.0, 0.0)
values = [[p.detach().numpy() for p in params] for params in (decay_params, no_decay_params)]
optimizer.zero_grad(set_to_none=False)
optimizer.step()
assert all(abs(p.detach().numpy() - 0.99 * v).max() < 1e-5 for p, v in zip(decay_params, values[0]))
assert all((p.detach().numpy() == v).all() for p, v in zip(no_decay_params, values[1]))
