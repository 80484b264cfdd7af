// Convolution and the gradient of its input on processors with AMX, where filters have more than one tap.
//
// Pixels are the rows of a product of matrices, output channels its columns, and input channels its steps, for each tap
// anew:  out[pixel][o]  +=  x[pixel + shift(tap)][c] * w[c][o].
//
// `split_pixels` copies the input, with its padding, so that a pixel is a row of a tile: 16 pairs of channels, c and
// c + 16, of each block of DEPTH channels, and of each part (parts.h) by itself. All pixels of a padded image follow each
// other. A tile of pixels is 16 such rows `step` apart, wherever it begins, and a tap is a shift.
//
// `split_weights` orders the weight as tiles: for each block of SIDE output channels, for each block of DEPTH input
// channels, for each tap, of each part two.
//
// A group of one work-item computes two tiles of pixels at a time, by SIDE output channels. FLAT: tiles go along all
// pixels of the padded image, and what lies past the end of a row is not stored (stride 1). Else each begins in a row.
//
// Defined by the host (genesis/ops/conv_amx.py):
//   IN, OUT            storage types
//   X_PARTS, W_PARTS   parts of a number that count
//   LAST               i + j is at most this in the products Xi Wj that count
//   FLAT               1: see above
//   AMX                the processor has AMX; undefined: see amx.h
#define WIDTH 16
#include "types.h"
#include "transpose.h"
#include "amx.h"
#include "parts.h"

#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif
#ifndef X_PARTS
#define X_PARTS 3
#define W_PARTS 3
#define LAST 4
#endif
#ifndef FLAT
#define FLAT 1
#endif
#include "pixels.h"

// WORDS(x): numbers as they are stored; STORE_WORDS(n, from, to): n of them, without changing them; float16 numbers, which
// have no type of their own everywhere, are stored one by one and converted then.
#define WORD PASTE(WORD_, OUT)
#define WORDS PASTE(WORDS_, OUT)
#define STORE_WORDS PASTE(STORE_WORDS_, OUT)
#define WORD_float32 float
#define WORD_bfloat16 ushort
#define WORD_float16 float
#define WORDS_float32(x) (x)
#define WORDS_bfloat16(x) to_bfloat16(x)
#define WORDS_float16(x) (x)
#define STORE_WORDS_float32(n, from, to) PASTE(COPY_, n)(from, to)
#define STORE_WORDS_bfloat16(n, from, to) PASTE(COPY_, n)(from, to)
#define STORE_WORDS_float16(n, from, to) for (int j_ = 0; j_ < n; j_++) STORE1(float16, to, j_, (from)[j_])
#define COPY_16(from, to) vstore16(vload16(0, from), 0, to)
#define COPY_8(from, to) vstore8(vload8(0, from), 0, to)
#define COPY_4(from, to) vstore4(vload4(0, from), 0, to)
#define COPY_2(from, to) vstore2(vload2(0, from), 0, to)
#define COPY_1(from, to) *(to) = *(from)

#define SIDE 32          // pixels or output channels at a time
#define DEPTH 32         // channels of a tile
#define TILE 256         // pairs of numbers in a tile
#define W_STEP (2 * W_PARTS * TILE)

// Global size (pixels / 16, channels / DEPTH, images), the first two rounded up; local size 1. large[0] becomes 1 where
// a number is LARGE.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void split_pixels(
    global const STORAGE(IN) *x, long x_at, global uint *to, global int *large, split_t s)
{
    const long first = get_group_id(0) * 16, block = get_group_id(1), image = get_group_id(2);
    x += x_at;
    to += ((image * get_num_groups(1) + block) * X_PARTS * s.pixels + first) * 16;
    const int channels = min((long)DEPTH, s.channels - block * DEPTH), count = min(16L, s.pixels - first);
    line_t here;
    find_pixels(&here, first, s);
    float16 a[16], b[16];
    uint16 sizes = 0;
    for (int half_ = 0; half_ < 2; half_++)
        for (int c = 0; c < 16; c++) {
            const int channel = c + 16 * half_;
            const long from = image * s.image + (block * DEPTH + channel) * s.channel;
            const float16 line = channel < channels ? load_pixels(x, from, &here, s) : (float16)0;
            sizes = max(sizes, SIZES(line));
            if (half_)
                b[c] = line;
            else
                a[c] = line;
        }
    const bool is_large = !PLAIN(IN, X_PARTS, IN, W_PARTS) && greatest(sizes) >= LARGE;
    if (is_large)
        atomic_xchg(large, 1);
    for (int part = 0; part < X_PARTS; part++, to += s.pixels * 16) {
        float16 pairs[16];
        PART_PAIRS(IN, part, is_large, a, b, pairs)
        TRANSPOSE(pairs)
        for (int i = 0; i < count; i++)
            vstore16(as_uint16(pairs[i]), i, to);
    }
}

// Taps of a filter, 16 from w[from] on, of which `count` count.
static float16 load_taps(global const STORAGE(IN) *w, long from, long count, long end)
{
    if (from + 16 <= end)
        return LOAD(IN, w + from, 0);
    float lane[16];
    for (int i = 0; i < 16; i++)
        lane[i] = i < count ? LOAD1(IN, w, from + i) : 0;
    return vload16(0, lane);
}

// w has strides for output and input channels; taps follow each other, and w[end] is the first element past the last
// one. Global size (input channels / DEPTH, output channels / SIDE), both rounded up; local size 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void split_weights(
    global const STORAGE(IN) *w, long w_at, global uint *to, global int *large, long outward, long inward,
    long outputs, long inputs, long taps, long end)
{
    const long input = get_group_id(0) * DEPTH, output = get_group_id(1) * SIDE;
    w += w_at;
    to += (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * taps * W_STEP;
    for (int half_ = 0; half_ < 2; half_++)
        for (int c = 0; c < 16; c++)
            for (long tap = 0; tap < taps; tap += 16) {
                float16 a[16], b[16];                        // by output channel, then by tap
                const int count = min(16L, taps - tap);
                for (int o = 0; o < 16; o++) {
                    const long channel = output + 16 * half_ + o, from = channel * outward + (input + c) * inward + tap;
                    const bool inside = channel < outputs;
                    a[o] = inside && input + c < inputs ? load_taps(w, from, count, end) : 0;
                    b[o] = inside && input + c + 16 < inputs ? load_taps(w, from + 16 * inward, count, end) : 0;
                }
                TRANSPOSE(a)
                TRANSPOSE(b)
                uint16 sizes = 0;
                for (int t = 0; t < count; t++)
                    sizes = max(sizes, max(SIZES(a[t]), SIZES(b[t])));
                const bool is_large = !PLAIN(IN, X_PARTS, IN, W_PARTS) && greatest(sizes) >= LARGE;
                if (is_large)
                    atomic_xchg(large, 1);
                global uint *at = to + tap * W_STEP + half_ * TILE;
                for (int t = 0; t < count; t++, at += W_STEP)
                    UNROLL for (int part = 0; part < W_PARTS; part++)
                        vstore16(PART_PAIR(IN, part, is_large, a[t], b[t]), c, at + 2 * part * TILE);
            }
}

typedef struct {
    long pixels, pitch;                      // of a padded image and its rows
    long step, down;                         // in it, from one output pixel to the next, and from one row to the next
    long inputs, outputs;                    // blocks of input channels; output channels
    long taps, taps_w;                       // all of a filter, and of a row of it
    long shift_h, shift_w, begin;            // a tap's shift in the padded image: begin + i * shift_h + j * shift_w
    long rows, columns;                      // of the result
    long tiles, across, per, all;            // tiles of pixels of an image, of a row (FLAT: unused), of a group, in all
    long has_bias;
} conv_t;

#define PIXELS(i)                                                                                                     \
    TILE_LOAD(4, x + ((i - 1) * s.pixels + shift + x0) * 16, 64 * s.step)                                             \
    TILE_LOAD(5, x + ((i - 1) * s.pixels + shift + x1) * 16, 64 * s.step)
#define FILTERS(j)                                                                                                    \
    TILE_LOAD(6, w + (2 * j - 2) * TILE, 64)                                                                          \
    TILE_LOAD(7, w + (2 * j - 1) * TILE, 64)

// The sums += all products for which i + j is at most `last` of two tiles of pixels, beginning at x0 and x1, and a block
// of output channels.
static inline __attribute__((always_inline)) void multiply(
    tiles_t tiles, global const uint *x, long x0, long x1, global const uint *w, conv_t s, int last)
{
    for (long block = 0; block < s.inputs; block++, x += X_PARTS * s.pixels * 16)
        for (long tap = 0; tap < s.taps; tap++, w += W_STEP) {
            const long shift = s.begin + tap / s.taps_w * s.shift_h + tap % s.taps_w * s.shift_w;
            PRODUCTS(X_PARTS, W_PARTS, last, PIXELS, FILTERS)
        }
}

// A power of two of pixels of a tile, from `lane` on, that lie side by side in the result, too, from `place` on.
typedef struct {
    int lane, size;
    long place;
} piece_t;

// The pieces of 16 pixels whose places are given, -1 for none; returns how many there are.
static int cut_into_pieces(const long *place, piece_t *pieces)
{
    int count = 0;
    for (int i = 0; i < 16;) {
        if (place[i] < 0) {
            i++;
            continue;
        }
        int side_by_side = 1;
        while (i + side_by_side < 16 && place[i + side_by_side] == place[i] + side_by_side)
            side_by_side++;
        for (int size = 16; size > 0; size /= 2)
            if (side_by_side & size) {
                pieces[count].lane = i;
                pieces[count].size = size;
                pieces[count++].place = place[i];
                i += size;
            }
    }
    return count;
}

#define STORE_PIECE(n)                                                                                                \
    case n:                                                                                                           \
        for (int o = 0; o < channels; o++)                                                                            \
            STORE_WORDS(n, lanes + 16 * o + pieces[i].lane, to + o * plane + pieces[i].place);                        \
        break;

// Stores 16 pixels of some channels, whose planes in the result are `plane` apart.
static void store_pieces(const float16 *x, int channels, const piece_t *pieces, int count, global STORAGE(OUT) *to,
                         long plane)
{
    WORD lanes[256];
    for (int o = 0; o < 16; o++)
        vstore16(WORDS(x[o]), o, lanes);
    for (int i = 0; i < count; i++)
        switch (pieces[i].size) {
            STORE_PIECE(16)
            STORE_PIECE(8)
            STORE_PIECE(4)
            STORE_PIECE(2)
            STORE_PIECE(1)
        }
}

// Global size (all / per, blocks of output channels), the first rounded up; local size 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void conv_amx(
    global const uint *x, global const uint *w, global const int *large, global const float *bias, long bias_at,
    global STORAGE(OUT) *out, long out_at, conv_t s)
{
    local uint first_row[SIDE] __attribute__((aligned(64)));        // what sums begin with; these are the bits of floats
    local uint sums[SIDE * SIDE] __attribute__((aligned(64))), other[SIDE * SIDE] __attribute__((aligned(64)));
    const long output = get_group_id(1) * SIDE, plane = s.rows * s.columns;
    const int outputs = min((long)SIDE, s.outputs - output);
    const bool careful = large[0];
    w += get_group_id(1) * s.inputs * s.taps * W_STEP;
    out += out_at + output * plane;
    for (int o = 0; o < SIDE; o++)
        first_row[o] = s.has_bias && o < outputs ? as_uint(bias[bias_at + output + o]) : 0;
    TILES
    const long last = min(s.all, (long)(get_group_id(0) + 1) * s.per);
    for (long tile = get_group_id(0) * s.per; tile < last; tile += 2) {
        long image[2], begin[2], row[2], column[2];
        for (int t = 0; t < 2; t++) {
            const long any = min(tile + t, last - 1), here = any % s.tiles;    // one too many is the last again
            image[t] = any / s.tiles;
#if FLAT
            begin[t] = here * 16;
            row[t] = begin[t] / s.pitch;
            column[t] = begin[t] % s.pitch;
#else
            row[t] = here / s.across;
            column[t] = here % s.across * 16;
            begin[t] = row[t] * s.down + column[t] * s.step;
#endif
        }
        SUMS(TILE_LOAD, first_row, 0)
        const long size = s.inputs * X_PARTS * s.pixels, x0 = image[0] * size + begin[0], x1 = image[1] * size + begin[1];
        multiply(tiles, x, x0, x1, w, s, LAST);
        SUMS(TILE_STORE, sums, 4 * SIDE)
        if (careful) {                                       // see parts.h
            SUMS(TILE_LOAD, first_row, 0)
            multiply(tiles, x, x0, x1, w, s, 2);
            SUMS(TILE_STORE, other, 4 * SIDE)
            for (int i = 0; i < SIDE * SIDE; i++)
                sums[i] = isfinite(as_float(sums[i])) ? sums[i] : other[i];
        }
        for (int t = 0; t < 2 && tile + t < last; t++) {
            long place[16];                                  // in a plane of the result; -1: nowhere
            long h = row[t], v = column[t];
            for (int i = 0; i < 16; i++, v++) {
#if FLAT
                if (v == s.pitch) {
                    h++;
                    v = 0;
                }
#endif
                place[i] = h < s.rows && v < s.columns ? h * s.columns + v : -1;
            }
            piece_t pieces[16];
            const int count = cut_into_pieces(place, pieces);
            for (int half_ = 0; half_ < 2 && 16 * half_ < outputs; half_++) {
                float16 line[16];
                for (int i = 0; i < 16; i++)
                    line[i] = as_float16(vload16(0, sums + (16 * t + i) * SIDE + 16 * half_));
                TRANSPOSE(line)
                store_pieces(line, min(16, outputs - 16 * half_), pieces, count,
                             out + (image[t] * s.outputs + 16 * half_) * plane, plane);
            }
        }
    }
    TILES_END
}
