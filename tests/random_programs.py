"""What `test_random_programs` draws its programs from: a machine that runs each operation in several ways at once.

A value exists as genesis' tensor, as NumPy's array in float64 (integers and booleans in their own type), and a few
times more as a NumPy array that gets a rounding error of random sign at every step. How far these stray from the exact
one is how far rounding may take anybody who computes the same program, so it is what genesis is allowed to differ by,
times `MARGIN` for functions that OpenCL lets err by several units in the last place. Where the strayed arrays equal
the exact one nothing was rounded, and nothing may differ.

With PyTorch, a value exists as its tensors, too: in float64, for gradients, and in the program's own types, for the
types of results and as the scale of gradients' errors.
"""

import numpy as np

import genesis

try:
    import torch
except ImportError:                      # the values are compared with NumPy's all the same
    torch = None

MARGIN = 48
STRAYS = 3
LARGEST = 300.0                          # larger values are not used further: float16 ends at 65504
EPS = {"float16": 2.0 ** -11, "bfloat16": 2.0 ** -8, "float32": 2.0 ** -24}
RANK = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32")
FLOATS = tuple(EPS)


def held(dtype):
    """The NumPy type that a value of an element type has in the exact array."""
    return np.dtype(np.float64 if dtype in EPS else dtype)


def own(library, dtype):
    """An element type of genesis or PyTorch by its name."""
    return getattr(library, dtype)


def named(dtype):
    """The name of an element type of genesis or PyTorch."""
    return str(dtype).split(".")[-1]


class Value:
    """A tensor of a program in all its forms.

    Attributes:
        dtype: the name of the element type.
        mine: genesis' tensor.
        arrays: NumPy's arrays: the exact one, then those with rounding errors.
        its: PyTorch's tensors in float64 and in the program's type; empty without PyTorch.
    """

    def __init__(self, dtype, mine, arrays, its):
        self.dtype, self.mine, self.arrays, self.its = dtype, mine, arrays, its

    @property
    def exact(self):
        """The exact array."""
        return self.arrays[0]

    @property
    def shape(self):
        """The shape."""
        return self.exact.shape

    @property
    def floating(self):
        """Whether the type is a floating-point type."""
        return self.dtype in EPS

    @property
    def certain(self):
        """Whether nothing has been rounded yet, so that comparisons have one right answer."""
        return all(np.array_equal(self.exact, other) for other in self.arrays[1:])

    @property
    def writable(self):
        """Whether no two elements share memory."""
        return self.exact.flags.writeable

    def root(self):
        """The array that owns the memory."""
        array = self.exact
        while array.base is not None:
            array = array.base
        return array

    def check(self, where):
        """Compare genesis' tensor with the exact array and PyTorch's types."""
        assert named(self.mine.dtype) == self.dtype, where
        assert tuple(self.mine.shape) == self.shape, where
        for tensor in self.its[1:]:
            assert named(tensor.dtype) == self.dtype, f"{where}: PyTorch gives {tensor.dtype}"
            assert tuple(tensor.shape) == self.shape, where
        found = self.mine.detach().numpy().astype(self.exact.dtype)
        if not self.floating or not self.exact.size:
            np.testing.assert_array_equal(found, self.exact, err_msg=where)
            return
        strayed = max(np.abs(other - self.exact).max() for other in self.arrays[1:])
        allowed = MARGIN * strayed + (0 if strayed == 0 else 8 * EPS[self.dtype] * np.abs(self.exact).max())
        np.testing.assert_allclose(found, self.exact, rtol=0, atol=allowed, err_msg=where)


class Machine:
    """Runs a program's operations.

    Attributes:
        values: all values so far.
        leaves: those that gradients are computed for.
        log: a line an operation, for the message of a failure.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.values, self.leaves, self.log = [], [], []

    def leaf(self, array, dtype, needs=False):
        """A new value: an array that the element type holds exactly."""
        array = np.asarray(array).astype(held(dtype))
        its = []
        if torch:
            its = [torch.tensor(array), torch.tensor(array).to(own(torch, dtype))]
        mine = genesis.tensor(array).to(own(genesis, dtype)) if array.dtype != np.float64 else genesis.tensor(
            array, dtype=own(genesis, dtype))
        value = Value(dtype, mine, [array, *(array.copy() for _ in range(STRAYS))], its)
        if needs:
            for tensor in (mine, *its):
                tensor.requires_grad_()
            self.leaves.append(value)
        self.values.append(value)
        self.log.append(f"v{len(self.values) - 1} = {dtype}{array.shape}{' with gradient' * needs}")
        return value

    def run(self, name, tensors, arrays, *inputs, dtype=None, rounds=True):
        """One operation.

        Args:
            name: for messages.
            tensors: (library, *tensors) -> tensor, of genesis and of PyTorch.
            arrays: the same on NumPy's arrays; of views a view.
            inputs: values.
            dtype: element type of the result; by default the first input's.
            rounds: whether the result is rounded; False for what only moves or selects elements.
        """
        dtype = dtype or inputs[0].dtype
        mine = tensors(genesis, *(v.mine for v in inputs))
        its = [tensors(torch, *(v.its[i] for v in inputs)) for i in range(2)] if torch else []
        return self._keep(name, mine, its, arrays, inputs, dtype, rounds)

    def cast(self, value, dtype):
        """A value in another element type."""
        mine, its = value.mine.to(own(genesis, dtype)), []
        if torch:
            first, second = value.its
            wide = own(torch, dtype) if dtype not in EPS else torch.float64
            its = [first.clone() if first.dtype is wide else first.to(wide), second.to(own(torch, dtype))]
        return self._keep(f"to {dtype}", mine, its, lambda a: a.astype(held(dtype)), [value], dtype, dtype in EPS)

    def _keep(self, name, mine, its, arrays, inputs, dtype, rounds):
        results = [self._array(arrays, [v.arrays[i] for v in inputs], dtype, rounds and i > 0)
                   for i in range(1 + STRAYS)]
        line = f"v{len(self.values)} = {name}({', '.join(f'v{self.values.index(v)}' for v in inputs)})"
        self.log.append(line)
        value = Value(dtype, mine, results, its)
        value.check("\n".join(self.log))
        if not value.floating or not value.exact.size or np.abs(value.exact).max() <= LARGEST:
            self.values.append(value)
        return value

    def change(self, name, tensors, arrays, target, *inputs, rounds=True):
        """Change a value in place, and so what shares its memory.

        Args:
            name: for messages.
            tensors: (library, target, *tensors), changes the target.
            arrays: (array, *arrays) -> the new values.
            target: the value.
            inputs: others.
            rounds: as in `run`.
        """
        self.log.append(f"{name}({', '.join(f'v{self.values.index(v)}' for v in (target, *inputs))})")
        new = [self._array(arrays, [v.arrays[i] for v in (target, *inputs)], target.dtype, rounds and i > 0)
               for i in range(1 + STRAYS)]
        apart = [np.may_share_memory(target.exact, v.exact) for v in inputs]
        tensors(genesis, target.mine, *(v.mine for v in inputs))
        for i in range(len(target.its)):      # PyTorch leaves undefined what happens to operands in the same memory
            tensors(torch, target.its[i], *(v.its[i].clone() if a else v.its[i] for a, v in zip(apart, inputs)))
        for array, values in zip(target.arrays, new):
            array[...] = values
        for value in self.values:
            value.check("\n".join(self.log))

    def _array(self, function, inputs, dtype, astray):
        if not astray or dtype not in EPS:
            with np.errstate(all="ignore"):
                result = np.asarray(function(*inputs))
            return result if result.dtype == held(dtype) else result.astype(held(dtype))
        return self._astray(np.asarray(function(*(self._astray(x, EPS[dtype]) for x in inputs)), np.float64),
                            EPS[dtype])

    def _astray(self, array, eps):
        if array.dtype != np.float64:
            return array
        return np.asarray(array * (1 + eps * self.rng.choice([-1.0, 1.0], array.shape)))

    def changeable(self, value):
        """Whether a value may be changed in place: no leaf with a gradient, and no two elements in one place."""
        root = value.root()
        return value.writable and all(leaf.root() is not root for leaf in self.leaves)

    def check_gradients(self, results):
        """Compare the gradients of a weighted sum of some results with PyTorch's."""
        weights = [self.rng.integers(-4, 5, v.shape) / 4 for v in results]
        runs = [(genesis, [v.mine for v in results]), *((torch, [v.its[i] for v in results]) for i in (0, 1))]
        for library, tensors in reversed(runs):
            total = sum((t.to(library.float64 if t.dtype == getattr(torch, "float64", None) else library.float32)
                         * library.tensor(w, dtype=library.float64 if t.dtype == torch.float64 else library.float32)
                         ).sum() for t, w in zip(tensors, weights))
            if not total.requires_grad:
                return
            try:
                total.backward()
            except RuntimeError as error:
                if library is torch and "modified by an inplace operation" in str(error):
                    return                # needs values that the program has overwritten
                raise
        for leaf in self.leaves:
            exact, low = (t.grad for t in leaf.its)
            assert (leaf.mine.grad is None) == (exact is None), "\n".join(self.log)
            if exact is None or not exact.numel():
                continue
            found, exact, low = leaf.mine.grad.numpy().astype(np.float64), exact.numpy(), low.double().numpy()
            scale = np.abs(exact).max()
            allowed = MARGIN * np.abs(low - exact).max() + 32 * EPS[leaf.dtype] * max(scale, 1)
            np.testing.assert_allclose(found, exact, rtol=0, atol=allowed,
                                       err_msg="\n".join([*self.log, f"gradient of {leaf.dtype}{leaf.shape}"]))


def promoted(*values):
    """The element type of an operation on values, by PyTorch's rules: those without dimensions decide only by kind."""
    kinds = [("bool",), ("uint8", "int32", "int64"), FLOATS]

    def kind(dtype):
        return next(i for i, names in enumerate(kinds) if dtype in names)

    def join(names):
        if {"float16", "bfloat16"} <= set(names) and "float32" not in names:
            return "float32"
        return max(names, key=RANK.index)

    full = [v.dtype for v in values if v.shape]
    scalars = [v.dtype for v in values if not v.shape]
    if not full or not scalars:
        return join(full or scalars)
    first, second = join(full), join(scalars)
    return second if kind(second) > kind(first) else first
