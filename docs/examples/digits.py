import genesis
from genesis import nn, optim
from genesis.data import DataLoader
from genesis.data.datasets import digits

genesis.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    for data, target in DataLoader(digits(train=True), batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        optimizer.step()

images, labels = digits(train=False).tensors
with genesis.no_grad():
    correct = (model(images).argmax(1) == labels).sum().item()
print(f"on {genesis.device().name}: {correct} of {len(labels)} held-out digits read correctly")
