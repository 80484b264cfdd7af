"""Rows of the table of `operations` for the layers and losses of ``nn.functional``."""

import numpy as np
from operations import CASES, Call, Input, called, case

# Losses --------------------------------------------------------------------------------------------------------------


@case("F.mse_loss", "F.l1_loss", "F.smooth_l1_loss", "F.huber_loss", "F.binary_cross_entropy",
      "F.binary_cross_entropy_with_logits", "F.kl_div")
def _pair_loss(d, name):
    shape = d.shape(smallest=1)
    chance = {"F.binary_cross_entropy": ((0.1, 0.9), (0.1, 0.9)),
              "F.binary_cross_entropy_with_logits": ((-3, 3), (0.1, 0.9)),
              "F.kl_div": ((-3, -0.1), (0.1, 0.9))}.get(name, ((-3, 3), (-3, 3)))
    return Call(called(name, reduction=d.of("none", "sum") if name == "F.kl_div" else d.of("none", "sum", "mean")),
                [Input(shape, *interval) for interval in chance], steps=2)


@case("F.cross_entropy", "F.nll_loss")
def _class_loss(d, name):
    n, classes = d.of(1, 2, 31, 33), d.of(1, 2, 5, 65)
    rest = d.of((), (), (3,))
    target = d.indices((n, *rest), 0, classes)
    options = {"reduction": d.of("none", "sum", "mean")}
    if name == "F.cross_entropy":
        options["label_smoothing"] = d.of(0.0, 0.1)
    return Call(called(name, **options), [Input((n, classes, *rest)), target], steps=2)


def _signed(d, name, shape, **options):
    """A function whose last argument is 1 or -1, in the type of the first (floating point); and that argument."""
    function = called(name, **options)

    def convert(lib, *tensors):
        *scores, given = (x if x.is_floating_point() else x.float() for x in tensors)
        return function(lib, *scores, given.to(scores[0].dtype))

    signs = Input(shape, values=2 * np.random.default_rng(d.number(0, 99)).integers(0, 2, shape) - 1)
    return convert, signs


@case("F.margin_ranking_loss", "F.hinge_embedding_loss", "F.soft_margin_loss", "F.cosine_embedding_loss")
def _sign_loss(d, name):
    shape = (d.of(1, 2, 31), d.of(2, 5, 33)) if name == "F.cosine_embedding_loss" else d.shape(1, 3, smallest=1)
    many = 2 if name in ("F.margin_ranking_loss", "F.cosine_embedding_loss") else 1
    function, signs = _signed(d, name, shape[:1] if name == "F.cosine_embedding_loss" else shape,
                              reduction=d.of("none", "sum", "mean"))
    return Call(function, [Input(shape)] * many + [signs], steps=4)


@case("F.multilabel_soft_margin_loss", "F.poisson_nll_loss", "F.gaussian_nll_loss")
def _likelihood(d, name):
    shape = d.shape(1, 3, smallest=1)
    inputs = {"F.multilabel_soft_margin_loss": [Input(shape), Input(shape, 0.1, 0.9)],
              "F.poisson_nll_loss": [Input(shape), Input(shape, 2, 5)],
              "F.gaussian_nll_loss": [Input(shape), Input(shape), Input(shape, 0.3, 2)]}[name]
    options = {"full": d.flag()} if "nll" in name else {}
    return Call(called(name, reduction=d.of("none", "sum", "mean"), **options), inputs, steps=4)


@case("F.triplet_margin_loss", "F.triplet_margin_with_distance_loss", "F.multi_margin_loss", "F.multilabel_margin_loss")
def _row_loss(d, name):
    n, width = d.of(1, 2, 31), d.of(2, 5, 33)
    rows = [Input((n, width)) for _ in range(3)]
    if "triplet" not in name:
        rows = [rows[0], d.indices((n,) if name == "F.multi_margin_loss" else (n, width), 0, width)]
    return Call(called(name, reduction=d.of("none", "sum", "mean")), rows, steps=4)


# Normalization -------------------------------------------------------------------------------------------------------


@case("F.layer_norm", "F.rms_norm")
def _row_norm(d, name):
    shape = d.shape(1, 3, smallest=2)
    inputs = [Input(shape), Input(shape[-1:])] + [Input(shape[-1:])] * (name == "F.layer_norm")

    def function(lib, x, *affine):
        return getattr(lib.nn.functional, name[2:])(x, shape[-1:], *affine, eps=1e-3)

    return Call(function, inputs, steps=3)


@case("F.group_norm", "F.batch_norm", "F.instance_norm")
def _channel_norm(d, name):
    channels = d.of(2, 4, 6)
    shape = (d.of(2, 3), channels, d.of(3, 5, 33))
    affine = [Input((channels,)), Input((channels,))]

    def function(lib, x, weight, bias):
        f = lib.nn.functional
        if name == "F.group_norm":
            return f.group_norm(x, 2, weight, bias, eps=1e-3)
        if name == "F.batch_norm":
            return f.batch_norm(x, None, None, weight, bias, training=True, eps=1e-3)
        return f.instance_norm(x, weight=weight, bias=bias, eps=1e-3)

    return Call(function, [Input(shape), *affine], steps=3)


@case("F.normalize", "F.local_response_norm")
def _vector_norm(d, name):
    shape = (d.of(2, 3), d.of(3, 5), *d.of((4,), (2, 3)))
    if name == "F.normalize":
        return Call(called(name, p=d.of(1, 2, 3), dim=d.of(0, 1, -1)), [Input(shape, 0.25, 3)], steps=3)
    return Call(called(name, d.of(1, 2, 3), alpha=0.1), [Input(shape)], steps=4)


@case("F.pdist")
def _pairs(d, name):
    return Call(called(name, d.of(1, 2, 3)), [Input((d.of(2, 5), d.of(3, 33)), distinct=True)], steps=4)


@case("F.cosine_similarity", "F.pairwise_distance")
def _distance(d, name):
    shape = (d.of(2, 3), 5, d.of(4, 33))
    options = {"dim": d.of(0, 1, -1)} if name == "F.cosine_similarity" else {"p": d.of(1, 2, 3), "keepdim": d.flag()}
    return Call(called(name, **options), [Input(shape, 0.25, 3), Input(d.of(shape, shape[1:]), -3, 0)], steps=3)


# Windows -------------------------------------------------------------------------------------------------------------


@case("F.conv1d", "F.conv2d", "F.conv3d", "F.conv_transpose1d", "F.conv_transpose2d",
      "F.conv_transpose3d")
def _convolution(d, name):
    n = int(name[-2])
    groups = d.of(1, 1, 2)
    into, out = groups * d.of(1, 2, 3), groups * d.of(1, 2, 4)
    kernel = tuple(d.of(1, 2, 3) for _ in range(n))
    sizes = tuple(d.of(5, 7, 33) if n == 1 else d.of(5, 6, 9) for _ in range(n))
    stride, padding, dilation = d.of(1, 2), d.of(0, 1), d.of(1, 2)
    weight = (into, out // groups, *kernel) if "transpose" in name else (out, into // groups, *kernel)
    if any((k - 1) * dilation + 1 > size + 2 * padding for k, size in zip(kernel, sizes)):
        dilation = 1
    if "transpose" in name and any((k - 1) * dilation + 1 <= 2 * padding for k in kernel):
        padding = 0
    return Call(called(name, stride=stride, padding=padding, dilation=dilation, groups=groups),
                [Input((d.of(1, 3), into, *sizes), -1, 1), Input(weight, -1, 1), Input((out,), -1, 1)], steps=2)


@case("F.max_pool1d", "F.max_pool2d", "F.max_pool3d", "F.avg_pool1d", "F.avg_pool2d", "F.avg_pool3d",
      "F.lp_pool1d", "F.lp_pool2d", "F.lp_pool3d",
      *(f"F.adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3)))
def _pool(d, name):
    n = int(name[-2])
    shape = (*d.of((2,), (1, 3), (2, 2)), *(d.of(5, 6, 9) for _ in range(n)))
    shape = shape if len(shape) >= n + 1 else (1, *shape)
    if "adaptive" in name:
        return Call(called(name, d.of(1, 2, 3)), [Input(shape, distinct=np.prod(shape) < 200)], steps=2)
    kernel = d.of(2, 3)
    if "lp" in name:
        return Call(called(name, d.of(1, 2, 3), kernel, stride=d.of(1, 2, None), ceil_mode=d.flag()),
                    [Input(shape, 0.25, 3)], steps=3)
    return Call(called(name, kernel, stride=d.of(1, 2, None), padding=d.of(0, 1), ceil_mode=d.flag()),
                [Input(shape, distinct=np.prod(shape) < 200)], steps=2)


@case("F.max_unpool1d", "F.max_unpool2d", "F.max_unpool3d")
def _unpool(d, name):
    n = int(name[-2])
    shape, kernel = (d.of(1, 2), 2, *(d.of(2, 3) for _ in range(n))), d.of(1, 2, 3)
    size = np.prod([(k - 1) * 2 + kernel for k in shape[2:]])
    rng = np.random.default_rng(d.number(0, 99))
    places = np.stack([rng.permutation(size)[:np.prod(shape[2:])] for _ in range(shape[0] * 2)]).reshape(shape)

    def function(lib, x):
        return getattr(lib.nn.functional, name[2:])(x, lib.tensor(places), kernel, stride=2)

    return Call(function, [Input(shape)])


@case("F.interpolate", "F.pixel_shuffle", "F.pixel_unshuffle", "F.channel_shuffle", "F.pad", "F.glu")
def _resized(d, name):
    h, w = d.of(2, 4), d.of(2, 6)
    shape = (d.of(1, 2), 4, h, w)
    if name == "F.interpolate":
        mode = d.of("nearest", "bilinear")
        return Call(called(name, scale_factor=2, mode=mode), [Input(shape)], steps=2)
    if name == "F.pad":
        mode = d.of("constant", "reflect", "replicate", "circular")
        return Call(called(name, (1, 1, 0, 1), mode=mode), [Input(shape)], steps=2)
    return Call(called(name, *() if name == "F.glu" else (2,)), [Input(shape)], steps=2)


@case("F.unfold", "F.fold")
def _columns(d, name):
    kernel = (d.of(1, 2), d.of(2, 3))
    options = {"kernel_size": kernel, "stride": d.of(1, 2), "padding": d.of(0, 1), "dilation": d.of(1, 2)}
    h, w = d.of(5, 6), d.of(5, 7)
    if name == "F.unfold":
        return Call(called(name, **options), [Input((d.of(1, 2), 3, h, w))], steps=2)
    count = np.prod([(n + 2 * options["padding"] - options["dilation"] * (k - 1) - 1) // options["stride"] + 1
                     for n, k in zip((h, w), kernel)])
    return Call(called(name, (h, w), **options), [Input((d.of(1, 2), 2 * kernel[0] * kernel[1], int(count)))], steps=4)


@case("F.grid_sample", "F.affine_grid")
def _grid(d, name):
    n, align = d.of(1, 2), d.flag()
    if name == "F.affine_grid":
        return Call(called(name, (n, 1, d.of(2, 5), d.of(3, 33)), align), [Input((n, 2, 3))], steps=4)
    mode, padding = d.of("bilinear", "nearest"), d.of("zeros", "border", "reflection")
    eighths = np.random.default_rng(d.number(0, 99)).integers(-11, 12, (n, 2, 5, 2))

    def function(lib, x, g):
        return lib.nn.functional.grid_sample(x, g.to(x.dtype) / 8, mode, padding, align)

    return Call(function, [Input((n, 2, d.of(3, 6), d.of(4, 33))), Input(eighths.shape, values=eighths)], steps=4)


@case("F.embedding_bag")
def _bags(d):
    index = d.indices((3, d.of(1, 4)), 0, 5)
    return Call(called("F.embedding_bag", mode=d.of("sum", "mean")), [index, Input((5, d.of(1, 33)))], steps=3)


@case("F.scaled_dot_product_attention")
def _attention(d):
    batch, heads, width = d.of(1, 2), d.of(1, 3), d.of(1, 8, 33)
    queries, keys = d.of(1, 5, 33), d.of(1, 5, 33)
    causal = d.flag()
    keys = queries if causal else keys
    return Call(called("F.scaled_dot_product_attention", is_causal=causal),
                [Input((batch, heads, n, width), -1, 1) for n in (queries, keys, keys)], steps=3)




__all__ = ["CASES"]      # with the rows of this file
