// Convolution on CPUs, and the gradient of its input, with output channels as the vectors' axis (see taps.h for the
// whole): for outputs whose rows would fill vectors of pixels badly, as rows of 14 do those of 16.
//
// A work-item computes tiles of HIGH x ACROSS pixels by VECTORS vectors of WIDTH output channels in registers:
//
//                     one tap's packed weights
//                     [ w0 ]  ..  [ wn ]     VECTORS vectors of output channels
//     HIGH x ACROSS  x  [acc ]  ..  [acc ]
//     pixels of x    x  [acc ]  ..  [acc ]     acc += x * w
#include "types.h"
#include "taps.h"

#ifndef HIGH
#define HIGH 1
#endif
#ifndef ACROSS
#define ACROSS 14
#endif
#ifndef VECTORS
#define VECTORS 2
#endif
#define PIXELS (HIGH * ACROSS)
#define CHANNELS (VECTORS * WIDTH)

// Global size (tiles / per rounded up, blocks of all groups, images * phases), the first two maybe swapped; local size 1.
kernel void tap_channels(global const SCALAR *x, long x_at, global const SCALAR *w, global const int *table,
                         global const SCALAR *bias, long bias_at, global out_t *out, long out_at, taps_t s)
{
    const long block = get_global_id(s.swap ? 0 : 1), part = get_global_id(s.swap ? 1 : 0);
    const long image = get_global_id(2) / s.phases, phase = get_global_id(2) % s.phases;
    const long group = block / s.blocks, first = block % s.blocks * CHANNELS;
    const long taps = table[4 * phase], start = table[4 * phase + 1];
    const long at_row = table[4 * phase + 2], at_column = table[4 * phase + 3];
    const long channels = min((long)CHANNELS, s.outputs - first);
    global const int *shift = table + 4 * s.phases + start;
    global const int *seen = table + 4 * s.phases + 2 * s.taps + 2 * phase * (s.tiles / s.across);
    x += x_at + image * s.x_image + group * s.x_group;
    w += (block * s.taps + start) * s.inputs * CHANNELS;
    out += out_at + image * s.out_image + (group * s.outputs + first) * s.out_plane;
    SCALAR begin[CHANNELS];
    for (int r = 0; r < CHANNELS; r++)
        begin[r] = s.has_bias && r < channels ? bias[bias_at + group * s.outputs + first + r] : 0;
    const long last = min(s.tiles, (part + 1) * s.per);
    for (long tile = part * s.per; tile < last; tile++) {
        const long row = tile / s.across * HIGH, column = tile % s.across * ACROSS;
        const int from = seen[tile / s.across * 2], until = seen[tile / s.across * 2 + 1];
        global const SCALAR *line[HIGH];                     // rows past the edge read the last one; nothing is stored
        UNROLL for (int h = 0; h < HIGH; h++)
            line[h] = x + min(row + h, s.rows - 1) * s.pitch + column;
        real acc[PIXELS][VECTORS];
        UNROLL for (int p = 0; p < PIXELS; p++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                acc[p][v] = VLOAD(v, begin);
        for (long c = 0; c < s.inputs; c++) {
            global const SCALAR *weight = w + (c * taps + from) * CHANNELS;
            for (int t = from; t < until; t++, weight += CHANNELS) {
                const long by = c * s.x_channel + shift[t];
                real factor[VECTORS];
                UNROLL for (int v = 0; v < VECTORS; v++)
                    factor[v] = VLOAD(v, weight);
                UNROLL for (int p = 0; p < PIXELS; p++) {
                    const real pixel = line[p / ACROSS][by + p % ACROSS];
                    UNROLL for (int v = 0; v < VECTORS; v++)
                        acc[p][v] = MULTIPLY_ADD(pixel, factor[v], acc[p][v]);
                }
            }
        }
        // Through memory, where channels become rows again.
        SCALAR done[PIXELS * CHANNELS];
        UNROLL for (int p = 0; p < PIXELS; p++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                VSTORE(acc[p][v], p * VECTORS + v, done);
        const long left = at_column + column * s.spread_w;
        const int inside = min(min((long)ACROSS, s.columns - column), (s.width - left + s.spread_w - 1) / s.spread_w);
        for (int h = 0; h < HIGH && row + h < s.rows; h++) {
            const long y = at_row + (row + h) * s.spread_h;
            if (y >= s.height)
                continue;
            const SCALAR *pixel = done + h * ACROSS * CHANNELS;
            if (inside == ACROSS && s.spread_w == 1) {
                for (int r = 0; r < channels; r++)
                    UNROLL for (int j = 0; j < ACROSS; j++)
                        STORE1(OUT, out, r * s.out_plane + y * s.out_row + left + j, pixel[j * CHANNELS + r]);
            } else {
                for (int r = 0; r < channels; r++)
                    for (int j = 0; j < inside; j++)
                        STORE1(OUT, out, r * s.out_plane + y * s.out_row + left + j * s.spread_w,
                               pixel[j * CHANNELS + r]);
            }
        }
    }
}
