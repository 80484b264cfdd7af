// The gradient of a convolution's weight on CPUs.
//
// Staged input and staged gradient (conv_stage.cl) have one pitch, and the gradient is 0 between its rows, so the
// gradient of weight (output channel r, input channel c, tap t) is the product of two long vectors:
//
//     sum over images and i of   g[r][i] * x[c][shift(t) + i]
//
// Images of one channel may follow each other and then count as one vector.
// A work-item computes ROWS output channels by DEEP pairs (c, t) for some of the images, WIDTH partial sums of each.
// Which parts there are depends on shapes alone, and conv_stage.cl adds them in their order: results repeat exactly.
#ifndef WIDTH
#define WIDTH 8          // 4, 8 or 16
#endif
#include "types.h"

#ifndef ROWS
#define ROWS 4
#endif
#ifndef DEEP
#define DEEP 6
#endif

#if WIDTH == 16
#define SUM(x) SUM8((x).lo + (x).hi)
#elif WIDTH == 8
#define SUM(x) SUM8(x)
#else
#define SUM(x) SUM4(x)
#endif
#define SUM8(x) SUM4((x).lo + (x).hi)
#define SUM4(x) sum2((x).lo + (x).hi)

static SCALAR sum2(PASTE(SCALAR, 2) x)
{
    return x.x + x.y;
}

typedef struct {
    long x_image, x_group, x_channel;        // strides of x
    long g_image, g_group, g_channel;        // strides of g
    long inputs, outputs, blocks, taps;      // channels of a group; blocks of ROWS output channels of a group
    long length;                             // of the vectors
    long joined;                             // the images of a channel follow each other: one vector
    long images, per;                        // all; of a part
} weight_t;

static real load_some(global const SCALAR *p, long count)           // the first `count` of WIDTH elements, then zeros
{
    SCALAR lane[WIDTH];
    for (int j = 0; j < WIDTH; j++)
        lane[j] = j < count ? p[j] : 0;
    return VLOAD(0, lane);
}

static real keep_last(real x, long count)                           // zeros instead of all but the last `count` lanes
{
    SCALAR lane[WIDTH];
    for (int j = 0; j < WIDTH; j++)
        lane[j] = j;
    return VLOAD(0, lane) < (real)(WIDTH - count) ? (real)(0) : x;
}

// Global size (pairs / DEEP, blocks of all groups, parts), rounded up; local size 1. out: (parts, weight's shape).
kernel void weight_gradient(global const SCALAR *x, long x_at, global const SCALAR *g, long g_at,
                            global const int *table, global SCALAR *out, long out_at, weight_t s)
{
    const long pairs = s.inputs * s.taps, pair = get_global_id(0) * DEEP;
    const long block = get_global_id(1), part = get_global_id(2);
    const long group = block / s.blocks, first = block % s.blocks * ROWS;
    global const int *shift = table + 4, *position = shift + s.taps;
    x += x_at + group * s.x_group;
    g += g_at + group * s.g_group;
    long left[ROWS], right[DEEP];                            // those past the edge read the last ones; nothing is stored
    UNROLL for (int r = 0; r < ROWS; r++)
        left[r] = min(first + r, s.outputs - 1) * s.g_channel;
    UNROLL for (int d = 0; d < DEEP; d++) {
        const long p = min(pair + d, pairs - 1);
        right[d] = p / s.taps * s.x_channel + shift[p % s.taps];
    }
    real acc[ROWS][DEEP];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int d = 0; d < DEEP; d++)
            acc[r][d] = 0;
    const long images = min(s.per, s.images - part * s.per);
    const long length = s.joined ? (images - 1) * s.x_image + s.length : s.length;
    x += part * s.per * s.x_image;
    g += part * s.per * s.g_image;
    for (long image = 0; image < (s.joined ? 1 : images); image++) {
        global const SCALAR *xi = x + image * s.x_image, *gi = g + image * s.g_image;
        long i = 0;
        for (; i + WIDTH <= length; i += WIDTH) {
            real b[DEEP];
            UNROLL for (int d = 0; d < DEEP; d++)
                b[d] = VLOAD(0, xi + right[d] + i);
            UNROLL for (int r = 0; r < ROWS; r++) {
                const real a = VLOAD(0, gi + left[r] + i);
                UNROLL for (int d = 0; d < DEEP; d++)
                    acc[r][d] = MULTIPLY_ADD(a, b[d], acc[r][d]);
            }
        }
        if (i < length && length >= WIDTH) {             // the last WIDTH elements, without those already added
            const long from = length - WIDTH;
            real b[DEEP];
            UNROLL for (int d = 0; d < DEEP; d++)
                b[d] = keep_last(VLOAD(0, xi + right[d] + from), length - i);
            UNROLL for (int r = 0; r < ROWS; r++) {
                const real a = keep_last(VLOAD(0, gi + left[r] + from), length - i);
                UNROLL for (int d = 0; d < DEEP; d++)
                    acc[r][d] = MULTIPLY_ADD(a, b[d], acc[r][d]);
            }
        } else if (i < length) {
            real b[DEEP];
            UNROLL for (int d = 0; d < DEEP; d++)
                b[d] = load_some(xi + right[d], length);
            UNROLL for (int r = 0; r < ROWS; r++) {
                const real a = load_some(gi + left[r], length);
                UNROLL for (int d = 0; d < DEEP; d++)
                    acc[r][d] = MULTIPLY_ADD(a, b[d], acc[r][d]);
            }
        }
    }
    out += out_at + ((part * (get_global_size(1) / s.blocks) + group) * s.outputs + first) * pairs;
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int d = 0; d < DEEP; d++)
            if (first + r < s.outputs && pair + d < pairs) {
                const long p = pair + d;
                out[r * pairs + p / s.taps * s.taps + position[p % s.taps]] = SUM(acc[r][d]);
            }
}
