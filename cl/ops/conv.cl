// Convolution on CPUs, and the gradient of its input (which is the forward of a transposed convolution).
//
// Both are sums over input channels and taps of a weight times the input, shifted. Of a copy of the input that
// conv_stage.cl makes, x (images, channels, planes, rows, pitch), each tap is one fixed shift, so that a work-item can
// compute a tile of ROWS output channels by HIGH x ACROSS vectors of WIDTH pixels in registers:
//
//                      one shift of x
//                     [ x0 ]  ..  [ xn ]     HIGH rows of ACROSS vectors of pixels
//     ROWS packed  x  [acc ]  ..  [acc ]
//     weights      x  [acc ]  ..  [acc ]     acc += weight * x
//
// A convolution has one phase. The gradient of the input of one with a stride has a phase for each residue of the
// stride, which the taps of that residue alone reach; a phase's output rows lie `spread` rows apart.
// The table says, for each phase, how many taps it has, the first of them, and the output row and column of its first
// pixel; then each tap's shift; then each tap's position in the filter.
#include "types.h"

#ifndef OUT
#define OUT float32      // storage type of the output
#endif
#ifndef ROWS
#define ROWS 8
#endif
#ifndef HIGH
#define HIGH 1
#endif
#ifndef ACROSS
#define ACROSS 2
#endif

typedef STORAGE(OUT) out_t;

typedef struct {
    long x_image, x_group, x_channel, pitch;                 // strides of x
    long rows, columns;                                      // pixels of a phase
    long out_image, out_plane, out_row;                      // strides of the output
    long height, width;                                      // sizes of the output
    long spread_h, spread_w;                                 // distance of neighbouring pixels of a phase in the output
    long inputs, outputs;                                    // channels of a group
    long blocks, taps, phases;                               // blocks of ROWS output channels of a group; all taps
    long tiles, across, per;                                 // tiles of a phase; of a row; of a work-item
    long swap;                                               // blocks, not tiles, are the first of the global sizes
    long has_bias;
} taps_t;

// Write a tile, up to so many channels, rows and columns of it, and where the output has such pixels.
void store(const SCALAR *tile, global out_t *out, long to_row, long to_column, long rows, long columns, long channels,
           const taps_t *s)
{
    const long spread = s->spread_w;                         // pixels from `from` before `until` are inside
    const long from = to_column < 0 ? (-to_column + spread - 1) / spread : 0;
    const long until = min(min((long)(ACROSS * WIDTH), columns), (s->width - to_column + spread - 1) / spread);
    const int dense = s->spread_w == 1 && to_column >= 0 && to_column + ACROSS * WIDTH <= s->width
                      && columns >= ACROSS * WIDTH;
    for (int r = 0; r < ROWS && r < channels; r++) {
        for (int h = 0; h < HIGH && h < rows; h++) {
            const long y = to_row + h * s->spread_h;
            const SCALAR *pixel = tile + (r * HIGH + h) * ACROSS * WIDTH;
            global out_t *line = out + r * s->out_plane + y * s->out_row;
            if (y < 0 || y >= s->height)
                continue;
            if (dense) {
                for (int a = 0; a < ACROSS; a++)
                    STORE(OUT, line + to_column, a, VLOAD(a, pixel));
            } else {
                for (long j = from; j < until; j++)
                    STORE1(OUT, line, to_column + j * spread, pixel[j]);
            }
        }
    }
}

// Global size (tiles / per rounded up, blocks of all groups, images * phases), local size 1.
kernel void taps(global const SCALAR *x, long x_at, global const SCALAR *w, global const int *table,
                 global const SCALAR *bias, long bias_at, global out_t *out, long out_at, taps_t s)
{
    const long block = get_global_id(s.swap ? 0 : 1), part = get_global_id(s.swap ? 1 : 0), image = get_global_id(2) / s.phases, phase = get_global_id(2) % s.phases;
    const long group = block / s.blocks, first = block % s.blocks * ROWS;
    const int taps = table[4 * phase], start = table[4 * phase + 1];
    const long at_row = table[4 * phase + 2], at_column = table[4 * phase + 3];
    global const int *shift = table + 4 * s.phases + start;
    x += x_at + image * s.x_image + group * s.x_group;
    w += (block * s.taps + start) * s.inputs * ROWS;
    out += out_at + image * s.out_image + (group * s.outputs + first) * s.out_plane;
    const long last = min(s.tiles, (part + 1) * s.per);
    for (long tile = part * s.per; tile < last; tile++) {
        const long row = tile / s.across * HIGH, column = tile % s.across * (ACROSS * WIDTH);
        global const SCALAR *line[HIGH];                     // rows past the edge read the last one; nothing is stored
        for (int h = 0; h < HIGH; h++)
            line[h] = x + min(row + h, s.rows - 1) * s.pitch + column;
        real acc[ROWS][HIGH * ACROSS];
        for (int r = 0; r < ROWS; r++) {
            const SCALAR begin = s.has_bias && first + r < s.outputs ? bias[bias_at + group * s.outputs + first + r] : 0;
            for (int v = 0; v < HIGH * ACROSS; v++)
                acc[r][v] = begin;
        }
        global const SCALAR *weight = w;
        for (long c = 0; c < s.inputs; c++) {
            for (int t = 0; t < taps; t++) {
                const long by = c * s.x_channel + shift[t];
                real pixel[HIGH * ACROSS];
                for (int v = 0; v < HIGH * ACROSS; v++)
                    pixel[v] = VLOAD(v % ACROSS, line[v / ACROSS] + by);
                for (int r = 0; r < ROWS; r++) {
                    const real factor = weight[r];
                    for (int v = 0; v < HIGH * ACROSS; v++)
                        acc[r][v] = mad(factor, pixel[v], acc[r][v]);
                }
                weight += ROWS;
            }
        }
        // Through memory, so that the loops of the tile above stay unrolled while those below need not be.
        SCALAR done[ROWS * HIGH * ACROSS * WIDTH];
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < HIGH * ACROSS; v++)
                VSTORE(acc[r][v], r * HIGH * ACROSS + v, done);
        store(done, out, at_row + row * s.spread_h, at_column + column * s.spread_w, s.rows - row, s.columns - column,
              s.outputs - first, &s);
    }
}
