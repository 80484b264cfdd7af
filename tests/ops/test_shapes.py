"""Taking tensors apart, joining them, padding, and sums of products over named dimensions, against PyTorch."""

import itertools

import numpy as np
import pytest
from helpers import close, f32, leaf, normal
from hypothesis import given, settings
from hypothesis import strategies as st

import genesis
from genesis.nn import functional as F

torch = pytest.importorskip("torch")


def _listed(result):
    return list(result) if isinstance(result, tuple | list) else [result]


def check(function, *values):
    """Compare what a function of (tensors..., library) gives, and its gradients, with PyTorch."""
    mine = [leaf(v) for v in values]
    its = [torch.tensor(np.asarray(v, np.float64), requires_grad=True) for v in values]
    results, expected = _listed(function(*mine, genesis)), _listed(function(*its, torch))
    assert len(results) == len(expected)
    for x, y in zip(results, expected):
        close(x, y.detach().numpy(), rtol=1e-5, atol=1e-5)
    sum((x * x * (i + 1.0)).sum() for i, x in enumerate(results)).backward()
    sum((y * y * (i + 1.0)).sum() for i, y in enumerate(expected)).backward()
    for x, y in zip(mine, its):
        close(x.grad, y.grad.numpy(), rtol=1e-4, atol=1e-4)


CUTS = {
    "split": lambda t, lib: t.split(2, 1), "split into sizes": lambda t, lib: t.split([1, 2, 3], 1),
    "split unevenly": lambda t, lib: lib.split(t, 4, -2), "chunk": lambda t, lib: t.chunk(4, 1),
    "tensor_split": lambda t, lib: t.tensor_split(4, 1),
    "tensor_split at": lambda t, lib: lib.tensor_split(t, (1, 3, 3, 9), 1),
    "tensor_split falling": lambda t, lib: t.tensor_split((4, 2), 1), "unbind": lambda t, lib: t.unbind(1),
    "hsplit": lambda t, lib: t.hsplit(3), "vsplit": lambda t, lib: lib.vsplit(t, (1, 2)),
    "dsplit": lambda t, lib: lib.dsplit(t, 5), "narrow": lambda t, lib: t.narrow(1, 2, 3),
    "narrow from the end": lambda t, lib: t.narrow(-1, -2, 2), "select": lambda t, lib: t.select(1, -2),
    "part of split": lambda t, lib: t.split(2, 1)[1], "diagonal": lambda t, lib: t.diagonal(),
    "diagonal below": lambda t, lib: t.diagonal(-1, 1, 2), "diagonal above": lambda t, lib: t.diagonal(2, 2, 0),
    "diagonal outside": lambda t, lib: t.diagonal(9, 0, 1), "unfold": lambda t, lib: t.unfold(1, 3, 2),
    "unfold overlapping": lambda t, lib: t.unfold(0, 2, 1),
}
OTHERS = {
    "diag_embed": lambda t, lib: t.diag_embed(), "diag_embed moved": lambda t, lib: lib.diag_embed(t, 1, 0, 2),
    "tril": lambda t, lib: t.tril(), "triu": lambda t, lib: t.triu(1), "tril of a transpose": lambda t,
    lib: t.mT.tril(-1),
    "triu far": lambda t, lib: lib.triu(t, -7), "flip": lambda t, lib: t.flip(0, 2),
    "flip listed": lambda t, lib: lib.flip(t, (-2,)), "fliplr": lambda t, lib: t.fliplr(),
    "flipud": lambda t, lib: t.flipud(), "flip of a view": lambda t, lib: t[1:, ::2].mT.flip(0, 1),
    "rot90": lambda t, lib: lib.rot90(t, 1, (0, 2)), "rot90 back": lambda t, lib: lib.rot90(t, 3, (1, 2)),
    "rot90 twice": lambda t, lib: t.rot90(2, (0, 1)), "roll": lambda t, lib: t.roll(2, 1),
    "roll several": lambda t, lib: t.roll((1, -2, 7), (0, 2, 1)), "roll twice": lambda t, lib: t.roll((1, 3), (0, 0)),
    "roll flat": lambda t, lib: t.roll(5), "repeat": lambda t, lib: t.repeat(2, 1, 3),
    "repeat with new": lambda t, lib: t.repeat(2, 1, 1, 3), "repeat never": lambda t, lib: t.repeat(1, 0, 1),
    "repeat once": lambda t, lib: t.repeat(1, 1, 1), "tile": lambda t, lib: t.tile(2, 2),
    "repeat_interleave": lambda t, lib: t.repeat_interleave(3, 1),
    "repeat_interleave flat": lambda t, lib: t.repeat_interleave(2),
    "repeat_interleave each": lambda t, lib: t.repeat_interleave(lib.tensor([1, 0, 2, 3]), 0),
    "unflatten": lambda t, lib: t.unflatten(1, (2, -1)), "movedim": lambda t, lib: lib.movedim(t, (0, 2), (2, 1)),
    "movedim one": lambda t, lib: t.movedim(0, -1), "swapaxes": lambda t, lib: t.swapaxes(0, 2),
    "ravel": lambda t, lib: t.mT.ravel(), "broadcast_to": lambda t, lib: lib.broadcast_to(t, (2, 4, 6, 5)),
    "permute": lambda t, lib: lib.permute(t, (2, 0, 1)), "expand_as": lambda t, lib: t[:, :1].expand_as(t),
    "view_as": lambda t, lib: t.view_as(t.reshape(5, 4, 6)),
}
JOINS = {
    "cat": lambda t, lib: lib.cat([t, t[:, :2], t], 1), "cat with empty": lambda t, lib: lib.cat([t, lib.zeros(0), t],
                                                                                                 1),
    "concat": lambda t, lib: lib.concat((t, t)), "stack": lambda t, lib: lib.stack([t, t * 2], -1),
    "hstack": lambda t, lib: lib.hstack([t, t]), "vstack": lambda t, lib: lib.vstack((t, t)),
    "dstack": lambda t, lib: lib.dstack((t[0], t[1])), "dstack vectors": lambda t, lib: lib.dstack((t[0, 0], t[1, 0])),
    "hstack vectors": lambda t, lib: lib.hstack((t[0, 0], t[0, :, 0])),
    "vstack vectors": lambda t, lib: lib.vstack((t[0, 0], t[1, 0])),
    "column_stack": lambda t, lib: lib.column_stack((t[0], t[0, :, 0])),
    "meshgrid xy": lambda t, lib: lib.meshgrid(t[0, 0], t[0, :, 0], indexing="xy"),
    "meshgrid ij": lambda t, lib: lib.meshgrid([t[0, 0], t[0, :, 0], t[:, 0, 0]], indexing="ij"),
    "broadcast_tensors": lambda t, lib: lib.broadcast_tensors(t[0], t[:, :1], t[0, 0, 0]),
    "outer": lambda t, lib: lib.outer(t[0, 0], t[:, 0, 0]), "dot": lambda t, lib: lib.dot(t[0, 0], t[1, 1]),
    "tensordot": lambda t, lib: lib.tensordot(t, t * 2, ([1, 2], [1, 2])),
    "tensordot last": lambda t, lib: lib.tensordot(t, t.permute(1, 2, 0), 2),
    "tensordot nothing": lambda t, lib: lib.tensordot(t[0], t[1], 0),
}


@pytest.mark.parametrize("name", CUTS)
def test_parts_are_views(name):
    check(CUTS[name], normal(4, 6, 5))
    x, y = f32(normal(4, 6, 5)), torch.zeros(4, 6, 5)
    for mine, its in zip(_listed(CUTS[name](x, genesis)), _listed(CUTS[name](y, torch))):
        assert mine._array.buffer is x._array.buffer
        if mine.numel():
            assert mine.storage_offset() == its.storage_offset()
            assert [s for s, n in zip(mine.stride(), mine.shape) if n > 1] == [
                s for s, n in zip(its.stride(), its.shape) if n > 1]


@pytest.mark.parametrize("name", OTHERS)
def test_other_shapes_and_orders(name):
    check(OTHERS[name], normal(4, 6, 5))


@pytest.mark.parametrize("name", JOINS)
def test_joining_and_products(name):
    check(JOINS[name], normal(4, 6, 5))


def test_diagonal_matrices():
    check(lambda t, lib: t.diag(1), normal(7))
    check(lambda t, lib: lib.diag(t, -1), normal(4, 6))
    assert genesis.tril_indices(3, 4, 1).tolist() == torch.tril_indices(3, 4, 1).tolist()
    assert genesis.triu_indices(3, 4, -1).tolist() == torch.triu_indices(3, 4, -1).tolist()
    assert tuple(genesis.broadcast_shapes((2, 1), (3,), ())) == (2, 3)


@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int64", "float16", "bfloat16"])
def test_elements_of_any_type_move(dtype):
    values = np.arange(12).reshape(3, 4) % 2
    x = genesis.tensor(values, dtype=getattr(genesis, dtype))
    for mine, expected in ((x.tril(), np.tril(values)), (x.flip(1), values[:, ::-1]), (x.roll(1, 0), np.roll(values,
                                                                                                             1, 0)),
                           (x.repeat(2, 1), np.tile(values, (2, 1))), (genesis.cat([x, x]),
                                                                       np.concatenate([values] * 2)),
                           (F.pad(x, (1, 1)), np.pad(values, ((0, 0), (1, 1))))):
        assert mine.dtype is x.dtype
        np.testing.assert_array_equal(mine.long().numpy(), expected)


def test_gradients_of_some_parts_only():
    x = leaf(normal(2, 6))
    first, _, last = x.split(2, 1)
    (first.sum() + 3 * last.sum()).backward()
    assert x.grad.tolist() == [[1, 1, 0, 0, 3, 3]] * 2
    a, b, c = leaf(normal(3, 2)).unbind()
    assert not a.is_leaf
    assert (a + b + c).requires_grad


@pytest.mark.parametrize("cut", [lambda t: t.split(6, 1), lambda t: t.chunk(1), lambda t: t[:1].unbind(),
                                 lambda t: t.tensor_split(1, 1), lambda t: t.split([4])])
def test_gradients_of_a_single_part(cut):
    check(lambda t, lib: cut(t * 2), normal(4, 6))


def test_cat_promotes():
    for types in itertools.product(("int64", "float16", "float32", "bfloat16"), repeat=2):
        mine = genesis.cat([genesis.zeros(2, dtype=getattr(genesis, t)) for t in types])
        its = torch.cat([torch.zeros(2, dtype=getattr(torch, t)) for t in types])
        assert str(mine.dtype).split(".")[1] == str(its.dtype).split(".")[1]


PADS = [((1, 2), {}), ((1, 2, 3, 0), {"value": 2.5}), ((-1, 2), {}), ((-1, -1, 2, -2), {}), ((0, 0), {}),
        ((1, 1, 1, 1, 1, 1), {}), ((0, 0, 0, 0, 1, 2), {"value": 1}), ((2, 1, 1, 3), {"mode": "reflect"}),
        ((2, 1, 1, 3), {"mode": "replicate"}), ((2, 1, 1, 3), {"mode": "circular"}),
        ((-1, 1, 1, 0), {"mode": "replicate"}), ((-5, 6, 0, -1), {"mode": "replicate"}),
        ((-3, 2, 4, -4), {"mode": "reflect"}), ((-6, 4, 0, 0), {"mode": "reflect"}),
        ((5, 5, 6, 6), {"mode": "circular"}), ((7, 9, 1, 1), {"mode": "replicate"})]


@pytest.mark.parametrize(("pads", "options"), PADS, ids=str)
def test_padding(pads, options):
    check(lambda t, lib: lib.nn.functional.pad(t, pads, **options), normal(2, 3, 6, 5))


def test_padding_one_and_three_dimensions():
    check(lambda t, lib: lib.nn.functional.pad(t, (2, 1), "reflect"), normal(3, 5))
    check(lambda t, lib: lib.nn.functional.pad(t, (1, 1, 0, 1, 2, 1), "replicate"), normal(1, 2, 3, 4, 5))
    x = genesis.zeros(2, 3, 4)
    for error, call in ((RuntimeError, lambda: F.pad(x, (4, 0), "reflect")), (RuntimeError, lambda: F.pad(x, (-3, -3))),
                        (RuntimeError, lambda: F.pad(x, (-2, -2), "replicate")),
                        (NotImplementedError, lambda: F.pad(x, (1, 1), "mirror")), (RuntimeError, lambda: F.pad(x,
                                                                                                                (1,))),
                        (NotImplementedError, lambda: F.pad(x, (1, 1, 1, 1, 1, 1), "reflect"))):
        with pytest.raises(error):
            call()


EQUATIONS = [("ij,jk->ik", (3, 4), (4, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ij,j", (3, 4), (4,)), ("ii->i",
                                                                                                             (4, 4)),
             ("ii", (4, 4)), ("ij->ji", (3, 4)), ("ij->", (3, 4)), ("i,j->ij", (3,), (4,)),
             ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 6)), ("b...i,b...j->b...ij", (2, 3, 4), (2, 3, 5)),
             ("ijk,jil,kl->", (3, 4, 5), (4, 3, 6), (5, 6)), ("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 6, 3, 5)),
             ("iij,j->i", (3, 3, 4), (4,)), ("ijij->ij", (2, 3, 2, 3)), ("ijji", (2, 3, 3, 2)),
             ("a,ab,abc->abc", (2,), (2, 3), (2, 3, 4)), ("ij,ij->", (3, 4), (3, 4)),
             ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("bi,oi->bo", (1, 4), (5, 4)), ("ij,jk->ik", (3, 1), (4, 5)),
             ("ba", (2, 3)), ("...->", (2, 3)), ("i...->...i", (2, 3, 4)), (",i->i", (), (3,)),
             ("ij,kl->ik", (2, 3), (4, 5)), ("nlc,nlk->nck", (2, 3, 4), (2, 3, 5)), ("i,i", (4,), (4,)),
             ("ij,ik->ijk", (3, 1), (1, 5))]


@pytest.mark.parametrize("case", EQUATIONS, ids=str)
def test_einsum(case):
    equation, *shapes = case
    check(lambda *given: given[-1].einsum(equation, *given[:-1]), *(normal(*s, seed=i) for i, s in enumerate(shapes)))


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(terms=st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3), keep=st.sets(st.sampled_from("abcd")))
def test_einsum_of_any_letters(terms, keep):
    sizes = dict(zip("abcd", (2, 3, 1, 4)))
    output = "".join(sorted(keep & set("".join(terms))))
    values = [normal(*(sizes[c] for c in term), seed=i) for i, term in enumerate(terms)]
    check(lambda *given: given[-1].einsum(",".join(terms) + "->" + output, *given[:-1]), *values)


def test_einsum_forms():
    a, b = normal(3, 4), normal(4, 5)
    check(lambda x, y, lib: lib.einsum(x, [0, 1], y, [1, 2], [0, 2]), a, b)
    check(lambda x, y, lib: lib.einsum(x, [..., 1], y, [1, 2]), a, b)
    assert genesis.einsum("ij,jk", [f32(a), f32(b)]).shape == (3, 5)
    assert genesis.einsum("i,i", genesis.tensor([1, 2]), genesis.tensor([3, 4])).item() == 11
    for equation, shapes in (("ij,jk", ((3, 4),)), ("ij", ((3,),)), ("i!", ((3,),)), ("ij->ik", ((3, 4),)), ("ij->ii",
                                                                                                             ((3, 4),)),
                             ("ij,jk", ((3, 4), (5, 6)))):
        with pytest.raises(RuntimeError):
            genesis.einsum(equation, *(genesis.zeros(*s) for s in shapes))


def test_errors():
    x = genesis.zeros(4, 6)
    for call in (lambda: x.split(0), lambda: x.split([1, 2]), lambda: x.chunk(0), lambda: x.narrow(0, 2, 3),
                 lambda: x.narrow(0, 0, -1), lambda: x.diagonal(0, 1, 1), lambda: x.repeat(2), lambda: x.repeat(-1, 2),
                 lambda: x.unflatten(1, (4, 2)), lambda: x.roll((1, 2)), lambda: x.movedim((0, 1), (0,)),
                 lambda: genesis.outer(x, x), lambda: genesis.dot(x[0], x[1, :3]), lambda: x[0].tril(),
                 lambda: x.flip(0, 0), lambda: x.unfold(0, 5, 1), lambda: genesis.meshgrid(x, indexing="ij"),
                 lambda: genesis.cat([genesis.tensor(1.0)] * 2), lambda: genesis.tensor(1.0).split(1),
                 lambda: x.hsplit(4), lambda: genesis.tensordot(x, x, 1)):
        with pytest.raises(RuntimeError):
            call()
    for call in (lambda: x.select(0, 4), lambda: genesis.tensor(1.0).unbind(), lambda: x.flip(2), lambda: x.split(1,
                                                                                                                  2)):
        with pytest.raises(IndexError):
            call()
    with pytest.warns(UserWarning, match="indexing"):
        genesis.meshgrid(x[0], x[1])
    with pytest.raises(TypeError):
        genesis.cat([x, 1.0])
