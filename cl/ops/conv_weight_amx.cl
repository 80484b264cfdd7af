// The gradient of a convolution's weight on processors with AMX.
//
// For each tap it is a product of matrices, in which output channels are rows, input channels columns, and the pixels of
// all images the steps:  sum over pixels of  g[o][pixel] * x[pixel + shift(tap)][c].
//
// `split_columns` copies the input, with its padding, so that a pixel is a row of a tile: for 16 channels, this pixel and
// the one that meets the gradient's 16th next, as a pair, of each part (parts.h). So a tap is a shift, and `step` pixels
// lie between rows where the convolution has a stride.
//
// `split_gradient` orders the gradient as tiles of 16 channels and DEPTH pixels, which follow each other in the padded
// image (FLAT), or begin in a row of the result. Where there are none it is 0, and meets another pixel that the
// convolution reads: should that not be finite, the sum is no number.
//
// A group of one work-item sums up some images for SIDE output channels by SIDE input channels and all taps, CHUNK tiles
// at a time for each tap, whose sums lie in local memory. conv_stage.cl adds up the groups' sums.
//
// Defined by the host (genesis/ops/conv_weight_amx.py):
//   IN, GRAD           storage types of input and gradient
//   X_PARTS, G_PARTS   parts of a number that count
//   LAST               i + j is at most this in the products Gi Xj that count
//   TAPS               taps of the filter
//   FLAT               1: see above
//   AMX                the processor has AMX; undefined: see amx.h
#define WIDTH 16
#include "types.h"
#include "transpose.h"
#include "amx.h"
#include "parts.h"

#ifndef IN
#define IN float32
#define GRAD float32
#endif
#ifndef X_PARTS
#define X_PARTS 3
#define G_PARTS 3
#define LAST 4
#endif
#ifndef TAPS
#define TAPS 9
#endif
#ifndef FLAT
#define FLAT 1
#endif
#include "pixels.h"

#define SIDE 32          // channels at a time
#define DEPTH 32         // pixels of a tile
#define TILE 256         // pairs of numbers in a tile
#define CHUNK 16
#define G_STEP (2 * G_PARTS * TILE)

// Global size (pixels / 16, channels / 16, images), the first two rounded up; local size 1. `apart`: how far the second
// pixel of a pair is from the first. large[0] becomes 1 where a number is LARGE.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void split_columns(
    global const STORAGE(IN) *x, long x_at, global uint *to, global int *large, split_t s, long apart)
{
    const long first = get_group_id(0) * 16, block = get_group_id(1), image = get_group_id(2);
    x += x_at;
    to += ((image * get_num_groups(1) + block) * X_PARTS * s.pixels + first) * 16;
    const int channels = min(16L, s.channels - block * 16), count = min(16L, s.pixels - first);
    line_t here, there;
    find_pixels(&here, first, s);
    find_pixels(&there, first + apart, s);
    float16 a[16], b[16];
    uint16 sizes = 0;
    for (int c = 0; c < 16; c++) {
        const long from = image * s.image + (block * 16 + c) * s.channel;
        a[c] = c < channels ? load_pixels(x, from, &here, s) : (float16)0;
        b[c] = c < channels ? load_pixels(x, from, &there, s) : (float16)0;
        sizes = max(sizes, SIZES(a[c]));
    }
    const bool is_large = !PLAIN(IN, X_PARTS, GRAD, G_PARTS) && greatest(sizes) >= LARGE;
    if (is_large)
        atomic_xchg(large, 1);
    for (int part = 0; part < X_PARTS; part++, to += s.pixels * 16) {
        float16 pairs[16];
        PART_PAIRS(IN, part, !PLAIN(IN, X_PARTS, GRAD, G_PARTS), a, b, pairs)
        TRANSPOSE(pairs)
        for (int i = 0; i < count; i++)
            vstore16(as_uint16(pairs[i]), i, to);
    }
}

typedef struct {
    long image, channel, row, column;        // strides of the gradient
    long outputs, rows, columns;             // its sizes
    long pitch;                              // of a padded row of the input
    long across;                             // tiles of a row (FLAT: unused)
} gradient_t;

// Global size (tiles, output channels / 16, images), the second rounded up to an even number; local size 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void split_gradient(
    global const STORAGE(GRAD) *g, long g_at, global uint *to, global int *large, gradient_t s)
{
    const long tile = get_group_id(0), block = get_group_id(1), image = get_group_id(2);
    g += g_at + image * s.image + block * 16 * s.channel;
    to += (((image * get_num_groups(1) + block) / 2 * get_num_groups(0) + tile) * G_PARTS * 2 + block % 2) * TILE;
    long place[DEPTH];
#if FLAT
    long row = tile * DEPTH / s.pitch, column = tile * DEPTH % s.pitch;
#else
    long row = tile / s.across, column = tile % s.across * DEPTH;
#endif
    for (int i = 0; i < DEPTH; i++, column++) {
#if FLAT
        if (column == s.pitch) {
            row++;
            column = 0;
        }
#endif
        place[i] = row < s.rows && column < s.columns ? row * s.row + column * s.column : -1;
    }
    bool together = place[0] >= 0;
    for (int i = 1; i < DEPTH; i++)
        together &= place[i] == place[0] + i;
    float16 a[16], b[16];
    uint16 sizes = 0;
    for (int o = 0; o < 16; o++) {
        a[o] = b[o] = 0;
        if (block * 16 + o < s.outputs && together) {
            a[o] = LOAD(GRAD, g + o * s.channel + place[0], 0);
            b[o] = LOAD(GRAD, g + o * s.channel + place[0], 1);
        } else if (block * 16 + o < s.outputs) {
            float lane[DEPTH];
            for (int i = 0; i < DEPTH; i++)
                lane[i] = place[i] >= 0 ? LOAD1(GRAD, g, o * s.channel + place[i]) : 0;
            a[o] = vload16(0, lane);
            b[o] = vload16(1, lane);
        }
        sizes = max(sizes, max(SIZES(a[o]), SIZES(b[o])));
    }
    const bool is_large = !PLAIN(IN, X_PARTS, GRAD, G_PARTS) && greatest(sizes) >= LARGE;
    if (is_large)
        atomic_xchg(large, 1);
    for (int part = 0; part < G_PARTS; part++) {
        float16 pairs[16];
        PART_PAIRS(GRAD, part, is_large, a, b, pairs)
        for (int i = 0; i < 16; i++)
            vstore16(as_uint16(pairs[i]), i, to + 2 * part * TILE);
    }
}

typedef struct {
    long pixels, pitch;                      // of a padded image and its rows
    long step, down;                         // in it, from one pixel of the result to the next, and from row to row
    long outputs, inputs;                    // channels
    long taps_w, shift_h, shift_w;           // taps of a row; a tap's shift is i * shift_h + j * shift_w
    long tiles, across;                      // tiles of an image, of a row (FLAT: unused)
    long images, per;                        // in all, of a group
    long more;                               // 1: add to what is in `out`
} weight_t;

#define GRADIENT(i)                                                                                                   \
    TILE_LOAD(4, grad + (2 * i - 2) * TILE, 64)                                                                       \
    TILE_LOAD(5, grad + (2 * i - 1) * TILE, 64)
#define PIXELS(j)                                                                                                     \
    TILE_LOAD(6, pixels + (low * X_PARTS + j - 1) * s.pixels * 16, 64 * s.step)                                       \
    TILE_LOAD(7, pixels + (high * X_PARTS + j - 1) * s.pixels * 16, 64 * s.step)

// Global size (input channels / SIDE, output channels / SIDE, images / per), each rounded up; local size 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void weight_amx(
    global const uint *x, global const uint *g, global const int *large, global float *out, weight_t s)
{
    // For each tap; and for the first parts alone, which say what is infinite or no number (parts.h).
    local uint sums[2 * TAPS * SIDE * SIDE] __attribute__((aligned(64)));
    const long first = get_group_id(2) * s.per, last = min(s.images, first + s.per);
    const long columns = (s.inputs + 15) / 16, blocks = get_num_groups(1);
    const int passes = large[0] ? 2 : 1;
    for (int i = 0; i < passes * TAPS * SIDE * SIDE; i++)
        sums[i] = 0;
    TILES
    for (long image = first; image < last; image++)
        for (long from = 0; from < s.tiles; from += CHUNK)
            for (int tap = 0; tap < passes * TAPS; tap++) {
                local uint *held = sums + tap * SIDE * SIDE;
                const int limit = tap < TAPS ? LAST : 2;
                const long shift = tap % TAPS / s.taps_w * s.shift_h + tap % TAPS % s.taps_w * s.shift_w;
                const long low = 2 * get_group_id(0), high = min(low + 1, columns - 1);
                SUMS(TILE_LOAD, held, 4 * SIDE)
                for (long tile = from; tile < min(s.tiles, from + CHUNK); tile++) {
#if FLAT
                    const long pixel = tile * DEPTH + shift;
#else
                    const long pixel = tile / s.across * s.down + tile % s.across * DEPTH * s.step + shift;
#endif
                    global const uint *pixels = x + (image * columns * X_PARTS * s.pixels + pixel) * 16;
                    global const uint *grad = g + ((image * blocks + get_group_id(1)) * s.tiles + tile) * G_STEP;
                    PRODUCTS(G_PARTS, X_PARTS, limit, GRADIENT, PIXELS)
                }
                SUMS(TILE_STORE, held, 4 * SIDE)
            }
    TILES_END
    const long output = get_group_id(1) * SIDE, input = get_group_id(0) * SIDE;
    const int high = min((long)SIDE, s.outputs - output), wide = min((long)SIDE, s.inputs - input);
    out += get_group_id(2) * s.outputs * s.inputs * TAPS + (output * s.inputs + input) * TAPS;
    for (int o = 0; o < high; o++)
        for (int c = 0; c < wide; c++)
            for (int tap = 0; tap < TAPS; tap++) {
                const int at = (tap * SIDE + o) * SIDE + c;
                const float sum = as_float(sums[at]);
                const bool keep = passes == 1 || isfinite(sum);
                global float *to = out + (o * s.inputs + c) * TAPS + tap;
                *to = (s.more ? *to : 0) + (keep ? sum : as_float(sums[TAPS * SIDE * SIDE + at]));
            }
}
