// Convolution on GPUs: matrix products whose operands are read in place, without an unfolded copy.
//
//     FORWARD   y[o][pixel]  =  sum over (c, tap) of      w[o][c][tap] * x[image][c][pixel * stride + tap - pad]
//     INPUT     gx[c][pixel] =  sum over (o, tap) of      w[o][c][tap] * g[image][o][(pixel + pad - tap) / stride]
//     WEIGHT    gw[o][c, tap] = sum over (image, pixel) of    g[image][o][pixel] * x[image][c][pixel * stride + tap - pad]
//
// In each, pixels are those of all images, taps are spread by the dilation, and what lies outside or between steps of
// the stride counts as 0. A group of SIDE x SIDE work-items computes a tile of (SIDE PER) x (SIDE PER) elements, reading
// SIDE steps of the sum at a time through local memory. WEIGHT splits its long sum into parts, which conv_stage.cl adds
// in their order. x is the larger side of the convolution, g or y the other, everywhere contiguous.
#include "types.h"

#ifndef X
#define X float32        // storage types of x (or gx), of w (or gw) and of g (or y)
#endif
#ifndef W
#define W float32
#endif
#ifndef G
#define G float32
#endif
#if !defined(FORWARD) && !defined(INPUT) && !defined(WEIGHT)
#define FORWARD
#endif
#ifndef SIDE
#define SIDE 16          // work-items along each side of a group
#endif
#ifndef PER
#define PER 4            // elements along each side of a work-item
#endif
#define TILE (SIDE * PER)

typedef struct {
    long images, inputs, outputs, groups;                    // channels of a group
    long height, width, rows, columns;                       // sizes of x, and of g
    long taps_h, taps_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    long parts, per, has_bias;                               // of the sum of WEIGHT: parts, and steps of each
} conv_t;

// Position in x, counted from an image's channel, that a tap reaches from a pixel of g; -1 outside of x.
static long reach(long row, long column, long tap, const conv_t *s)
{
    const long h = row * s->stride_h - s->pad_h + tap / s->taps_w * s->dilation_h;
    const long w = column * s->stride_w - s->pad_w + tap % s->taps_w * s->dilation_w;
    return h >= 0 && h < s->height && w >= 0 && w < s->width ? h * s->width + w : -1;
}

// The converse: position in g from which a tap reaches a pixel of x; -1 where there is none.
static long origin(long h, long w, long tap, const conv_t *s)
{
    const long up = h + s->pad_h - tap / s->taps_w * s->dilation_h;
    const long left = w + s->pad_w - tap % s->taps_w * s->dilation_w;
    const long row = up / s->stride_h, column = left / s->stride_w;
    return up >= 0 && left >= 0 && row * s->stride_h == up && column * s->stride_w == left && row < s->rows
           && column < s->columns ? row * s->columns + column : -1;
}

// Local size (SIDE, SIDE, 1); global size (columns / PER, rows / PER, groups * parts), rounded up to whole tiles.
kernel void conv_local(global const STORAGE(X) *x, long x_at, global const STORAGE(W) *w, long w_at,
                       global const STORAGE(G) *g, long g_at, global const SCALAR *bias, long bias_at,
                       global void *result, long result_at, conv_t s)
{
    local SCALAR a_tile[SIDE][TILE + 1], b_tile[SIDE][TILE + 1];
    const int lx = get_local_id(0), ly = get_local_id(1), item = ly * SIDE + lx;
    const long column = get_group_id(0) * TILE, row = get_group_id(1) * TILE;
    const long group = get_global_id(2) % s.groups, part = get_global_id(2) / s.groups;
    const long taps = s.taps_h * s.taps_w, pixels = s.rows * s.columns, size = s.height * s.width;
    const long inputs = s.groups * s.inputs, outputs = s.groups * s.outputs;     // channels of all groups
    x += x_at + group * s.inputs * size;
    w += w_at + group * s.outputs * s.inputs * taps;
    g += g_at + group * s.outputs * pixels;
#if defined(FORWARD)
    const long m = s.outputs, n = s.images * pixels, k = s.inputs * taps, begin = 0;
#elif defined(INPUT)
    const long m = s.inputs, n = s.images * size, k = s.outputs * taps, begin = 0;
#else
    const long m = s.outputs, n = s.inputs * taps, begin = part * s.per, k = min(s.images * pixels, begin + s.per);
#endif

    SCALAR acc[PER][PER];
    for (int i = 0; i < PER; i++)
        for (int j = 0; j < PER; j++)
            acc[i][j] = 0;
    for (long first = begin; first < k; first += SIDE) {
        for (int t = item; t < SIDE * TILE; t += SIDE * SIDE) {
            SCALAR a = 0, b = 0;
#if defined(WEIGHT)
            const long q = first + t % SIDE, r = row + t / SIDE, e = column + t / SIDE;      // neighbours read along k
            const long image = q / pixels, pixel = q % pixels;
            if (q < k && r < m)
                a = LOAD1(G, g, image * outputs * pixels + r * pixels + pixel);
            if (q < k && e < n) {
                const long at = reach(pixel / s.columns, pixel % s.columns, e % taps, &s);
                if (at >= 0)
                    b = LOAD1(X, x, (image * inputs + e / taps) * size + at);
            }
            a_tile[t % SIDE][t / SIDE] = a;
            b_tile[t % SIDE][t / SIDE] = b;
#else
            const long qa = first + t % SIDE, r = row + t / SIDE;
            const long qb = first + t / TILE, e = column + t % TILE;
#if defined(FORWARD)
            if (qa < k && r < m)
                a = LOAD1(W, w, r * k + qa);
            if (qb < k && e < n) {
                const long image = e / pixels, pixel = e % pixels;
                const long at = reach(pixel / s.columns, pixel % s.columns, qb % taps, &s);
                if (at >= 0)
                    b = LOAD1(X, x, (image * inputs + qb / taps) * size + at);
            }
#else
            if (qa < k && r < m)
                a = LOAD1(W, w, (qa / taps * s.inputs + r) * taps + qa % taps);
            if (qb < k && e < n) {
                const long image = e / size, pixel = e % size;
                const long at = origin(pixel / s.width, pixel % s.width, qb % taps, &s);
                if (at >= 0)
                    b = LOAD1(G, g, (image * outputs + qb / taps) * pixels + at);
            }
#endif
            a_tile[t % SIDE][t / SIDE] = a;
            b_tile[t / TILE][t % TILE] = b;
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int q = 0; q < SIDE; q++) {
            SCALAR left[PER], right[PER];
            for (int i = 0; i < PER; i++) {
                left[i] = a_tile[q][ly + i * SIDE];
                right[i] = b_tile[q][lx + i * SIDE];
            }
            for (int i = 0; i < PER; i++)
                for (int j = 0; j < PER; j++)
                    acc[i][j] = mad(left[i], right[j], acc[i][j]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int i = 0; i < PER; i++)
        for (int j = 0; j < PER; j++) {
            const long r = row + ly + i * SIDE, e = column + lx + j * SIDE;
            if (r >= m || e >= n)
                continue;
#if defined(FORWARD)
            const SCALAR value = acc[i][j] + (s.has_bias ? bias[bias_at + group * m + r] : 0);
            global STORAGE(G) *out = (global STORAGE(G) *)result + result_at;
            STORE1(G, out, ((e / pixels * s.groups + group) * m + r) * pixels + e % pixels, value);
#elif defined(INPUT)
            const SCALAR value = acc[i][j] + (s.has_bias ? bias[bias_at + group * m + r] : 0);
            global STORAGE(X) *out = (global STORAGE(X) *)result + result_at;
            STORE1(X, out, ((e / size * s.groups + group) * m + r) * size + e % size, value);
#else
            ((global SCALAR *)result)[result_at + ((part * s.groups + group) * m + r) * n + e] = acc[i][j];
#endif
        }
}
