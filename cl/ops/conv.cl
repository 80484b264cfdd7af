// Convolution on CPUs, and the gradient of its input, with pixels as the vectors' axis (see taps.h for the whole).
//
// A work-item computes tiles of ROWS output channels by HIGH x ACROSS vectors of WIDTH pixels in registers:
//
//                      one shift of x
//                     [ x0 ]  ..  [ xn ]     HIGH rows of ACROSS vectors of pixels
//     ROWS packed  x  [acc ]  ..  [acc ]
//     weights      x  [acc ]  ..  [acc ]     acc += weight * x
#include "types.h"
#include "taps.h"

#ifndef ROWS
#define ROWS 8
#endif
#ifndef HIGH
#define HIGH 1
#endif
#ifndef ACROSS
#define ACROSS 2
#endif

// Write a tile, up to so many channels, rows and columns of it, and where the output has such pixels.
static void store(const SCALAR *tile, global out_t *out, long to_row, long to_column, long rows, long columns,
                  long channels, const taps_t *s)
{
    const long spread = s->spread_w;
    const long until = min(min((long)(ACROSS * WIDTH), columns), (s->width - to_column + spread - 1) / spread);
    const bool dense = spread == 1 && until == ACROSS * WIDTH;
    for (int r = 0; r < ROWS && r < channels; r++) {
        for (int h = 0; h < HIGH && h < rows; h++) {
            const long y = to_row + h * s->spread_h;
            const SCALAR *pixel = tile + (r * HIGH + h) * ACROSS * WIDTH;
            global out_t *line = out + r * s->out_plane + y * s->out_row;
            if (y >= s->height)
                continue;
            if (dense) {
                for (int a = 0; a < ACROSS; a++)
                    STORE(OUT, line + to_column, a, VLOAD(a, pixel));
            } else {
                for (long j = 0; j < until; j++)
                    STORE1(OUT, line, to_column + j * spread, pixel[j]);
            }
        }
    }
}

// Global size (tiles / per rounded up, blocks of all groups, images * phases), local size 1.
kernel void taps(global const SCALAR *x, long x_at, global const SCALAR *w, global const int *table,
                 global const SCALAR *bias, long bias_at, global out_t *out, long out_at, taps_t s)
{
    const long block = get_global_id(s.swap ? 0 : 1), part = get_global_id(s.swap ? 1 : 0);
    const long image = get_global_id(2) / s.phases, phase = get_global_id(2) % s.phases;
    const long group = block / s.blocks, first = block % s.blocks * ROWS;
    const long taps = table[4 * phase], start = table[4 * phase + 1];
    const long at_row = table[4 * phase + 2], at_column = table[4 * phase + 3];
    global const int *shift = table + 4 * s.phases + start;
    global const int *seen = table + 4 * s.phases + 2 * s.taps + 2 * phase * (s.tiles / s.across);
    x += x_at + image * s.x_image + group * s.x_group;
    w += (block * s.taps + start) * s.inputs * ROWS;
    out += out_at + image * s.out_image + (group * s.outputs + first) * s.out_plane;
    const long last = min(s.tiles, (part + 1) * s.per);
    for (long tile = part * s.per; tile < last; tile++) {
        const long row = tile / s.across * HIGH, column = tile % s.across * (ACROSS * WIDTH);
        const int from = seen[tile / s.across * 2], until = seen[tile / s.across * 2 + 1];
        global const SCALAR *line[HIGH];                     // rows past the edge read the last one; nothing is stored
        UNROLL for (int h = 0; h < HIGH; h++)
            line[h] = x + min(row + h, s.rows - 1) * s.pitch + column;
        real acc[ROWS][HIGH * ACROSS];
        UNROLL for (int r = 0; r < ROWS; r++) {
            const SCALAR begin = s.has_bias && first + r < s.outputs ? bias[bias_at + group * s.outputs + first + r] : 0;
            UNROLL for (int v = 0; v < HIGH * ACROSS; v++)
                acc[r][v] = begin;
        }
        for (long c = 0; c < s.inputs; c++) {
            global const SCALAR *weight = w + (c * taps + from) * ROWS;
            for (int t = from; t < until; t++, weight += ROWS) {
                const long by = c * s.x_channel + shift[t];
                real pixel[HIGH * ACROSS];
                UNROLL for (int v = 0; v < HIGH * ACROSS; v++)
                    pixel[v] = VLOAD(v % ACROSS, line[v / ACROSS] + by);
                UNROLL for (int r = 0; r < ROWS; r++) {
                    const real factor = weight[r];
                    UNROLL for (int v = 0; v < HIGH * ACROSS; v++)
                        acc[r][v] = MULTIPLY_ADD(factor, pixel[v], acc[r][v]);
                }
            }
        }
        // Through memory, so that the loops of the tile above stay unrolled while those below need not be.
        SCALAR done[ROWS * HIGH * ACROSS * WIDTH];
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int v = 0; v < HIGH * ACROSS; v++)
                VSTORE(acc[r][v], r * HIGH * ACROSS + v, done);
        store(done, out, at_row + row * s.spread_h, at_column + column * s.spread_w, s.rows - row, s.columns - column,
              s.outputs - first, &s);
    }
}
