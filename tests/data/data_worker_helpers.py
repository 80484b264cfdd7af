"""Datasets and functions for worker processes, which import this module without pytest."""

import os
import random
import signal
import time

import numpy as np

from genesis.data import Dataset, IterableDataset, get_worker_info


class Squares(Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return np.full(3, index, dtype=np.float32), index**2


class Count(IterableDataset):
    """0, 1, 2, …, shared out among the workers."""

    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


class Uneven(IterableDataset):
    """Worker i has 3 * i samples."""

    def __iter__(self):
        worker = get_worker_info().id
        return (100 * worker + i for i in range(3 * worker))


class Noisy(Dataset):
    """What random augmentation draws."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return index, float(np.random.random()), random.random()


class WhoAmI(Dataset):
    tag = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = get_worker_info()
        return {"id": info.id, "n": info.num_workers, "pid": os.getpid(), "tag": info.dataset.tag, "seed": info.seed}


class HasTensor(Dataset):
    """Holds device tensors, in plain sight and in containers."""

    def __init__(self, tensor):
        self.tensor = tensor
        self.nested = {"list": [tensor]}

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, index):
        assert type(self.tensor) is np.ndarray
        return self.tensor[index], self.nested["list"][0][index]


class MakesTensor(Dataset):
    """As PyTorch's tutorials do."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        import genesis

        return genesis.full((2,), index), genesis.tensor(index / 2, dtype=genesis.float16), genesis.rand(3)


class MakesTensorWithoutDevice(MakesTensor):
    def __getitem__(self, index):
        import genesis

        return {"tensor": genesis.Tensor.__new__(genesis.Tensor)}


class Fails(Dataset):
    def __init__(self, error, at=3):
        self.error = error
        self.at = at

    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index == self.at:
            self.fail_here()
        return index

    def fail_here(self):
        raise self.error


class AwkwardError(Exception):
    """Cannot be made again from its pickle."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class Dies(Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


class Slow(Dataset):
    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 100

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return index


class Large(Dataset):
    """Samples far larger than the buffer of a pipe, in an array that is used again."""

    def __init__(self):
        self.buffer = np.zeros(200_000, dtype=np.int64)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        self.buffer[:] = index
        return self.buffer


class WontPickle(Dataset):
    def __init__(self):
        self.function = lambda: 0

    def __len__(self):
        return 1


class WontUnpickle(Squares):
    def __setstate__(self, state):
        raise RuntimeError("will not be made again")


class IterFails(IterableDataset):
    def __iter__(self):
        raise ValueError("no beginning")


def tell_of_interrupts(conn):
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    conn.send((blocked, signal.getsignal(signal.SIGINT) is signal.default_int_handler))


def tag_dataset(worker):
    get_worker_info().dataset.tag = 10 + worker


def fail_at_start(worker):
    raise OSError(f"worker {worker} has no licence")


def as_dict(samples):
    return {"n": np.array([s[1] for s in samples]), "count": len(samples), "names": ["x"] * len(samples)}


def same(sample):
    return sample
