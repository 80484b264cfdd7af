"""Attention and transformer layers with PyTorch's weights, rotary embedding and bilinear forms."""

import copy

import numpy as np
import pytest
from helpers import check_gradients, check_like_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis import nn

torch = pytest.importorskip("torch", reason="attention layers are compared with PyTorch's")


def pair(kind, *args, **options):
    """A layer and PyTorch's in float64, with the same weights, none of which is what a constructor leaves."""
    its = getattr(torch.nn, kind)(*args, **options).double()
    with torch.no_grad():
        for i, p in enumerate(its.parameters()):
            p.copy_(torch.tensor(0.3 * normal(*p.shape, seed=100 + i)))
    mine = getattr(nn, kind)(*args, **options)
    assert [(n, tuple(p.shape)) for n, p in mine.state_dict().items()] == [
        (n, tuple(p.shape)) for n, p in its.state_dict().items()]
    mine.load_state_dict({n: p.numpy().astype(np.float32) for n, p in its.state_dict().items()})
    its.load_state_dict({n: torch.tensor(p.numpy(), dtype=torch.float64) for n, p in mine.state_dict().items()})
    return mine, its


def check(mine, its, inputs, masks=(), tolerance=2e-4, **options):
    """Compare the first result and all gradients; returns the rest of both results."""
    xs, ys = [leaf(x) for x in inputs], [torch.tensor(x, requires_grad=True) for x in inputs]
    my_masks = {k: genesis.tensor(m if m.dtype == bool else m.astype(np.float32)) for k, m in dict(masks).items()}
    its_masks = {k: torch.tensor(m) for k, m in dict(masks).items()}
    result, expected = mine(*xs, **my_masks, **options), its(*ys, **its_masks, **options)
    rest, its_rest = (), ()
    if isinstance(expected, tuple):
        (result, *rest), (expected, *its_rest) = result, expected
    close(result, expected.detach().numpy(), tolerance, tolerance / 10)
    g = normal(*expected.shape, seed=50)
    result.backward(genesis.tensor(g.astype(np.float32)))
    expected.backward(torch.tensor(g))
    for x, y in zip(xs, ys):
        close(x.grad, y.grad.numpy(), tolerance, tolerance)
    for (name, x), (_, y) in zip(mine.named_parameters(), its.named_parameters()):
        if y.grad is None:
            assert x.grad is None, name
        else:
            close(x.grad, y.grad.numpy(), tolerance, tolerance * max(1.0, float(y.grad.abs().max())))
    return rest, its_rest


# MultiheadAttention -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("options", [
    {}, {"batch_first": True}, {"bias": False}, {"kdim": 6, "vdim": 10}, {"add_bias_kv": True}, {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "kdim": 6}], ids=str)
def test_multihead_attention(options, need_weights):
    mine, its = pair("MultiheadAttention", 12, 3, **options)
    shapes = [(5, 2, 12), (7, 2, options.get("kdim", 12)), (7, 2, options.get("vdim", 12))]
    if options.get("batch_first"):
        shapes = [(b, a, c) for a, b, c in shapes]
    rest, expected = check(mine, its, [normal(*s, seed=i) for i, s in enumerate(shapes)], need_weights=need_weights)
    if need_weights:
        close(rest[0], expected[0].detach().numpy(), 1e-4, 1e-5)
    else:
        assert rest == [None]


class Itself(nn.Module):
    """Self-attention as a function of one input."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x, **options):
        return self.attention(x, x, x, **options)


class ItsItself(torch.nn.Module):
    __init__ = Itself.__init__
    forward = Itself.forward


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("masks", [(), ("attn_mask",), ("key_padding_mask",), ("attn_mask", "key_padding_mask"),
                                   ("heads_mask",), ("float_mask", "float_padding")], ids=str)
def test_self_attention_with_masks(masks, batch_first, need_weights):
    mine, its = pair("MultiheadAttention", 12, 3, batch_first=batch_first)
    its_self = torch.nn.Module.__new__(ItsItself)
    torch.nn.Module.__init__(its_self)
    its_self.attention = its
    padding = np.zeros((2, 9), dtype=bool)
    padding[1, 6:] = True
    made = {"attn_mask": np.triu(np.ones((9, 9), dtype=bool), 1), "key_padding_mask": padding,
            "heads_mask": (normal(6, 9, 9) > 1), "float_mask": normal(9, 9), "float_padding": normal(2, 9)}
    names = {"heads_mask": "attn_mask", "float_mask": "attn_mask", "float_padding": "key_padding_mask"}
    shape = (2, 9, 12) if batch_first else (9, 2, 12)
    check(Itself(mine), its_self, [normal(*shape)], {names.get(m, m): made[m] for m in masks},
          need_weights=need_weights)


def test_one_sequence_and_weights_of_each_head():
    mine, its = pair("MultiheadAttention", 12, 3)
    values = [normal(5, 12), normal(7, 12, seed=1), normal(7, 12, seed=2)]
    rest, expected = check(mine, its, values)
    close(rest[0], expected[0].detach().numpy(), 1e-4, 1e-5)
    x = [genesis.tensor(v.astype(np.float32)) for v in values]
    weights = mine(*x, average_attn_weights=False)[1]
    expected = its(*[torch.tensor(v) for v in values], average_attn_weights=False)[1]
    close(weights, expected.detach().numpy(), 1e-4, 1e-5)


def test_causal_attention_needs_no_mask():
    mine = nn.MultiheadAttention(12, 3)
    x = genesis.randn(9, 2, 12)
    later = (genesis.arange(9) > genesis.arange(9).unsqueeze(1))
    for need_weights in (False, True):
        close(mine(x, x, x, need_weights=need_weights, is_causal=True)[0],
              mine(x, x, x, need_weights=True, attn_mask=later)[0].detach().numpy(), 1e-4, 1e-5)


def test_attention_dropout_only_in_training():
    mine = nn.MultiheadAttention(12, 3, dropout=0.5)
    x = genesis.randn(9, 2, 12)
    for need_weights in (False, True):
        mine.train()
        assert not genesis.equal(*(mine(x, x, x, need_weights=need_weights)[0] for _ in range(2)))
        mine.eval()
        assert genesis.equal(*(mine(x, x, x, need_weights=need_weights)[0] for _ in range(2)))


def test_multihead_attention_starts_as_pytorchs():
    mine = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    assert (mine.in_proj_bias == 0).all()
    assert (mine.out_proj.bias == 0).all()
    bound = (6 / (64 + 3 * 64)) ** 0.5
    assert 0.9 * bound < mine.in_proj_weight.abs().amax().item() <= bound
    assert mine.bias_k.abs().amax().item() > 0


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_the_function_of_the_layer(separate, batched):
    names = ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_weight", "out_proj_bias")
    shapes = ((36, 12), (36,), (1, 1, 12), (1, 1, 12), (10, 12), (10,))
    weights = {n: 0.3 * normal(*s, seed=i).astype(np.float32) for i, (n, s) in enumerate(zip(names, shapes))}
    if separate:
        weights["in_proj_weight"] = None
        weights |= {f"{n}_proj_weight": 0.3 * normal(12, 12, seed=i).astype(np.float32) for i, n in enumerate("qkv")}
    x = normal(5, *(2,) * batched, 12).astype(np.float32)

    def function(lib, query):
        given = {n: None if w is None else lib.tensor(w) for n, w in weights.items()}
        return lib.nn.functional.multi_head_attention_forward(
            query[:1], query, query, 12, 3, add_zero_attn=True, dropout_p=0.5, training=False,
            use_separate_proj_weight=separate, **given, average_attn_weights=separate)

    check_like_torch(function, x)
    none = dict.fromkeys(("bias_k", "bias_v"))
    given = {n: f32(0 * normal(*s)) for n, s in zip(names, shapes) if n not in none}
    given |= {"add_zero_attn": False, "dropout_p": 0.0}
    for call, error in ((lambda f, q: f(q, q, q, 11, 3, **given, **none), RuntimeError),
                        (lambda f, q: f(q, q, q[0, 0], 12, 3, **given, **none), RuntimeError),
                        (lambda f, q: f(q, q, q, 12, 3, **{**given, "in_proj_weight": None}, **none), RuntimeError),
                        (lambda f, q: f(q, q, q, 12, 3, **given, **none, static_k=q), NotImplementedError)):
        with pytest.raises(error):
            call(nn.functional.multi_head_attention_forward, f32(normal(5, 2, 12)))


def test_what_does_not_fit():
    mine, x = nn.MultiheadAttention(12, 3), genesis.zeros(5, 2, 12)
    for call, message in ((lambda: mine(x, x[0], x), "dimensions"), (lambda: mine(x[..., :6], x, x), "query"),
                          (lambda: mine(x, x, x, attn_mask=genesis.zeros(4, 5)), "attn_mask"),
                          (lambda: mine(x, x, x, genesis.zeros(3, 5)), "key_padding_mask"),
                          (lambda: mine(x, x, x, genesis.zeros(2, 5, dtype=genesis.int64)), "boolean or")):
        with pytest.raises(RuntimeError, match=message):
            call()
    with pytest.raises(ValueError, match="multiple"):
        nn.MultiheadAttention(12, 5)
    with pytest.raises(RuntimeError, match="activation"):
        nn.TransformerEncoderLayer(12, 3, activation="tanh")


# Transformer layers -------------------------------------------------------------------------------------------------

OPTIONS = [{}, {"norm_first": True}, {"activation": "gelu", "batch_first": True}, {"bias": False},
           {"layer_norm_eps": 0.1}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_encoder_layers(options):
    mine, its = pair("TransformerEncoderLayer", 12, 3, 20, dropout=0.0, **options)
    shape = (2, 9, 12) if options.get("batch_first") else (9, 2, 12)
    padding = np.zeros((2, 9), dtype=bool)
    padding[1, 6:] = True
    check(mine, its, [normal(*shape)])
    mine.zero_grad()
    its.zero_grad()
    check(mine, its, [normal(*shape)], {"src_mask": np.triu(np.ones((9, 9), dtype=bool), 1),
                                        "src_key_padding_mask": padding})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_decoder_layers(options):
    mine, its = pair("TransformerDecoderLayer", 12, 3, 20, dropout=0.0, **options)
    shapes = [(2, 9, 12), (2, 7, 12)] if options.get("batch_first") else [(9, 2, 12), (7, 2, 12)]
    check(mine, its, [normal(*s, seed=i) for i, s in enumerate(shapes)],
          {"tgt_mask": np.triu(np.ones((9, 9), dtype=bool), 1), "memory_mask": normal(9, 7) > 1.5})


def test_stacks_of_layers():
    def build(library, dropout=0.0):
        encoder = library.TransformerEncoder(library.TransformerEncoderLayer(12, 3, 20, dropout), 2,
                                             library.LayerNorm(12), enable_nested_tensor=False)
        return encoder, library.TransformerDecoder(library.TransformerDecoderLayer(12, 3, 20, dropout), 2)

    for mine, its, count in zip(build(nn), build(torch.nn), (1, 2)):
        its = its.double()
        with torch.no_grad():
            for i, p in enumerate(its.parameters()):
                p.copy_(torch.tensor(0.3 * normal(*p.shape, seed=100 + i).astype(np.float32)))
        mine.load_state_dict({n: p.numpy().astype(np.float32) for n, p in its.state_dict().items()})
        check(mine, its, [normal(9, 2, 12, seed=i) for i in range(count)])
    encoder = build(nn)[0]
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight
    assert genesis.equal(encoder.layers[0].linear1.weight, encoder.layers[1].linear1.weight)
    x = genesis.randn(9, 2, 12)
    mask = genesis.arange(9) > genesis.arange(9).unsqueeze(1)
    close(encoder(x, is_causal=True), encoder(x, mask).detach().numpy(), 1e-4, 1e-5)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True, "activation": "gelu"}], ids=str)
def test_transformer(options):
    mine, its = pair("Transformer", 12, 3, 1, 2, 20, dropout=0.0, **options)
    shapes = [(2, 7, 12), (2, 5, 12)] if options else [(7, 2, 12), (5, 2, 12)]
    values = [normal(*s, seed=i) for i, s in enumerate(shapes)]
    padding = np.zeros((2, 7), dtype=bool)
    padding[1, 4:] = True
    mask = nn.Transformer.generate_square_subsequent_mask(5).numpy()
    close(nn.Transformer.generate_square_subsequent_mask(5),
          torch.nn.Transformer.generate_square_subsequent_mask(5).numpy())
    check(mine, its, values, {"tgt_mask": mask, "src_key_padding_mask": padding, "memory_key_padding_mask": padding})
    close(mine(*map(f32, values), tgt_is_causal=True), mine(*map(f32, values), tgt_mask=f32(mask)).detach().numpy(),
          1e-4, 1e-5)
    for src, tgt in ((f32(values[0])[..., :11], f32(values[1])), (f32(values[0]), f32(values[1])[:1, :1])):
        with pytest.raises(RuntimeError, match="d_model"):
            mine(src, tgt)


def test_transformer_starts_from_xavier_uniform_matrices():
    model = nn.Transformer(32, 2, 2, 1, 64)
    weights = [p for p in model.parameters() if p.ndim > 1]
    for p in weights:
        bound = (6 / sum(p.shape)) ** 0.5
        assert 0.9 * bound < p.detach().abs().max().item() <= bound * (1 + 1e-6)
    assert not genesis.equal(model.encoder.layers[0].linear1.weight, model.encoder.layers[1].linear1.weight)
    custom = nn.Transformer(12, 3, 1, 1, 20, custom_encoder=nn.Identity())
    assert isinstance(custom.encoder, nn.Identity)


def test_transformer_dropout():
    layer = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.5)
    x = genesis.randn(9, 2, 12)
    assert not genesis.equal(layer(x), layer(x))
    assert genesis.equal(copy.deepcopy(layer).eval()(x), layer.eval()(x))


# Rotary embedding ---------------------------------------------------------------------------------------------------


def turned(x, dim, base, interleaved, positions):
    """The definition, pair by pair."""
    y = np.array(x)
    for i in range(dim // 2):
        a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + dim // 2)
        angle = positions * float(base) ** (-2 * i / dim)
        y[..., a] = x[..., a] * np.cos(angle) - x[..., b] * np.sin(angle)
        y[..., b] = x[..., b] * np.cos(angle) + x[..., a] * np.sin(angle)
    return y


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("shape", "dim"), [((5, 8), 8), ((3, 5, 8), 6), ((2, 3, 33, 16), 16), ((2, 2, 3, 5, 9), 2),
                                            ((2, 0, 5, 8), 8), ((1, 1, 1, 2), 2)])
def test_rotary_embedding(shape, dim, interleaved):
    rope = nn.RotaryEmbedding(dim, base=100.0, interleaved=interleaved)
    check_gradients(rope, lambda x: turned(x, dim, 100, interleaved, np.arange(shape[-2])), normal(*shape))
    check_gradients(lambda x: rope(x, offset=7), lambda x: turned(x, dim, 100, interleaved, 7 + np.arange(shape[-2])),
                    normal(*shape))


def test_attention_in_float16_with_a_mask_stays_in_it():
    layer, x = nn.MultiheadAttention(4, 2).half(), genesis.randn(3, 1, 4).half()
    y, weights = layer(x, x, x, attn_mask=genesis.ones(3, 3).tril() == 0)
    assert y.dtype is genesis.float16
    assert weights.dtype is genesis.float16


def test_rotary_embedding_of_listed_positions_and_views():
    rope = nn.RotaryEmbedding(8)
    places = np.array([3, 0, 3, 900, 12])
    check_gradients(lambda x: rope(x, positions=genesis.tensor(places)),
                    lambda x: turned(x, 8, 10000, False, places), normal(2, 3, 5, 8))
    check_gradients(lambda x: rope(x.transpose(1, 2)[..., ::2]),
                    lambda x: turned(x.transpose(0, 2, 1, 3)[..., ::2], 8, 10000, False, np.arange(5)),
                    normal(2, 5, 3, 16))
    assert not rope.state_dict()
    assert rope(genesis.randn(2, 5, 8).half()).dtype is genesis.float16


@needs_float64
def test_rotary_embedding_in_float64():
    x = normal(40, 8)
    close(nn.RotaryEmbedding(8)(genesis.tensor(x)), turned(x, 8, 10000, False, np.arange(40)), 1e-13, 1e-13)


def test_rotary_embedding_refuses():
    rope = nn.RotaryEmbedding(8)
    with pytest.raises(RuntimeError, match="at least 8"):
        rope(genesis.zeros(5, 6))
    with pytest.raises(RuntimeError, match="positions"):
        rope(genesis.zeros(5, 8), positions=genesis.arange(4))
    with pytest.raises(IndexError):
        rope(genesis.zeros(5, 8), offset=-1)
    with pytest.raises(IndexError):
        rope(genesis.zeros(2, 8), positions=genesis.tensor([0, -1]))
    with pytest.raises(ValueError, match="even"):
        nn.RotaryEmbedding(7)


# Bilinear -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
def test_bilinear(bias, lead):
    mine, its = pair("Bilinear", 5, 6, 7, bias=bias)
    check(mine, its, [normal(*lead, 5), normal(*lead, 6, seed=1)])


def test_bilinear_refuses():
    with pytest.raises(RuntimeError, match="bilinear"):
        nn.Bilinear(3, 4, 5)(genesis.zeros(2, 4), genesis.zeros(2, 3))
