// Convolution on CPUs, and the gradient of its input, with output channels as the vectors' axis (see taps.h for the
// whole): for outputs of many channels, or whose rows would fill vectors of pixels badly, as rows of 14 do those of 16.
//
// A work-item computes tiles of HIGH x ACROSS pixels by VECTORS vectors of WIDTH output channels in registers:
//
//                     one tap's packed weights
//                     [ w0 ]  ..  [ wn ]     VECTORS vectors of output channels
//     HIGH x ACROSS  x  [acc ]  ..  [acc ]
//     pixels of x    x  [acc ]  ..  [acc ]     acc += x * w
//
// A pixel of x is read by itself, so neighbouring pixels may lie STEP apart, and in FLAT tiles anywhere.
#include "types.h"
#include "taps.h"

#ifndef FLAT
#define FLAT 0           // 1: tiles of pixels that follow each other, from row to row, HIGH being 1
#endif
#ifndef HIGH
#define HIGH 1
#endif
#ifndef ACROSS
#define ACROSS 14
#endif
#ifndef STEP
#define STEP 1           // distance in the input of neighbouring pixels
#endif
#ifndef VECTORS
#define VECTORS 2
#endif
#define PIXELS (HIGH * ACROSS)
#define CHANNELS (VECTORS * WIDTH)

#if FLAT
#define LINES PIXELS
#define AT(p) line[p]
#else
#define LINES HIGH
#define AT(p) (line[(p) / ACROSS] + (p) % ACROSS * STEP)
#endif

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
    global const int *seen = table + 4 * s.phases + 2 * s.taps + 2 * phase * ((s.rows + HIGH - 1) / HIGH);
    x += x_at + image * s.x_image + group * s.x_group;
    w += (block * s.taps + start) * s.inputs * CHANNELS;
    out += out_at + image * s.out_image + (group * s.outputs + first) * s.out_plane;
    SCALAR begin[CHANNELS];
    for (int r = 0; r < CHANNELS; r++)
        begin[r] = s.has_bias && r < channels ? bias[bias_at + group * s.outputs + first + r] : 0;
    const long last = min(s.tiles, (part + 1) * s.per);
    for (long tile = part * s.per; tile < last; tile++) {
        // Pixels past the end read the last one, rows past it the last row; neither is stored.
        global const SCALAR *line[LINES];
        long place[PIXELS];                                  // in the output; -1: nowhere
#if FLAT
        const int top = tile * PIXELS / (int)s.columns;
        int row = top, column = tile * PIXELS % (int)s.columns, inside = 1;
#else
        const int top = tile / (int)s.across * HIGH, left = tile % (int)s.across * ACROSS;
        const int bottom = top;
#endif
        UNROLL for (int p = 0; p < PIXELS; p++) {
#if FLAT
            line[p] = x + row * s.pitch + column * STEP;
#else
            const int row = top + p / ACROSS, column = left + p % ACROSS;
            const int inside = row < s.rows && column < s.columns;
            if (p % ACROSS == 0)
                line[p / ACROSS] = x + min((long)row, s.rows - 1) * s.pitch + column * STEP;
#endif
            const long h = at_row + row * s.spread_h, v = at_column + column * s.spread_w;
            place[p] = inside && h < s.height && v < s.width ? h * s.out_row + v : -1;
#if FLAT
            if (column + 1 < s.columns)
                column++;
            else if (row + 1 < s.rows)
                row++, column = 0;
            else
                inside = 0;
#endif
        }
#if FLAT
        const int bottom = row - (column == 0 && inside);
#endif
        int from = seen[top / HIGH * 2], until = seen[top / HIGH * 2 + 1];
        for (int i = top + 1; i <= bottom; i++)
            if (seen[i * 2] < seen[i * 2 + 1]) {
                from = from < until ? min(from, seen[i * 2]) : seen[i * 2];
                until = max(until, seen[i * 2 + 1]);
            }
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
                    const real pixel = AT(p)[by];
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
        int together = place[0] >= 0;                        // whether the pixels lie side by side in the output
        UNROLL for (int p = 1; p < PIXELS; p++)
            together &= place[p] == place[0] + p;
        if (together) {
            for (int r = 0; r < channels; r++)
                UNROLL for (int p = 0; p < PIXELS; p++)
                    STORE1(OUT, out, r * s.out_plane + place[0] + p, done[p * CHANNELS + r]);
        } else {
            UNROLL for (int p = 0; p < PIXELS; p++)
                if (place[p] >= 0)
                    for (int r = 0; r < channels; r++)
                        STORE1(OUT, out, r * s.out_plane + place[p], done[p * CHANNELS + r]);
        }
    }
}
