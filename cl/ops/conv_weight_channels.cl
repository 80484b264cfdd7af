// The gradient of a convolution's weight on CPUs, with output channels as the vectors' axis: where they fill vectors
// (conv_weight.cl has the pixels along them).
//
// Of weight (output channel o, input channel c, tap t) it is a sum over images and pixels,
//
//     sum   g[o][row][column] * x[c][shift(t) + row * pitch + column]
//
// that is, a product of matrices: pairs (c, t) by pixels, and pixels by output channels. The second is made by `turn`,
// without gaps; the first is read in x, or in the padded copy that conv_stage.cl makes of it. A work-item computes a
// tile of it in registers for some of the images, or some rows of one:
//
//                  one pixel of the turned gradient
//                  [ g0 ]  ..  [ gn ]     VECTORS vectors of output channels
//     ROWS pairs x [acc ]  ..  [acc ]
//     (c, t)     x [acc ]  ..  [acc ]     acc += x * g
//
// Which parts there are depends on shapes alone, and conv_stage.cl adds them in their order: results repeat exactly.
#ifndef WIDTH
#define WIDTH 8          // 4, 8 or 16
#endif
#include "types.h"
#include "transpose.h"

#ifndef IN
#define IN float32       // storage type of the gradient
#endif
#ifndef VECTORS
#define VECTORS 2
#endif
#ifndef ROWS
#define ROWS 6
#endif
#define CHANNELS (VECTORS * WIDTH)

typedef struct {
    long image, channel, row, column;        // strides of the gradient
    long rows, columns;                      // its pixels
    long outputs, blocks;                    // channels of a group; blocks of CHANNELS of them
    long chunk, chunks;                      // pixels of a row for a work-item; chunks of a row
} turn_t;

// Makes (images, blocks of all groups, rows, columns, CHANNELS) of the gradient (images, channels, rows, columns), with
// zeros for channels past the last. Global size (rows * chunks, blocks of all groups, images), local size 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void turn(
    global const STORAGE(IN) *g, long g_at, global SCALAR *out, turn_t s)
{
    const long row = get_global_id(0) / s.chunks, block = get_global_id(1), image = get_global_id(2);
    const long from = get_global_id(0) % s.chunks * s.chunk, until = min(from + s.chunk, s.columns);
    const long first = block % s.blocks * CHANNELS, channels = min((long)CHANNELS, s.outputs - first);
    g += g_at + image * s.image + (block / s.blocks * s.outputs + first) * s.channel + row * s.row;
    out += ((image * get_global_size(1) + block) * s.rows + row) * s.columns * CHANNELS;
    for (int v = 0; v < VECTORS; v++) {
        const int here = min((int)channels - v * WIDTH, WIDTH);
        global const STORAGE(IN) *line = g + v * WIDTH * s.channel;
        long i = from;
        if (s.column == 1)
            for (; i + WIDTH <= until; i += WIDTH) {
                real x[WIDTH];
                for (int c = 0; c < WIDTH; c++)
                    x[c] = c < here ? LOAD(IN, line + c * s.channel + i, 0) : (real)0;
                TRANSPOSE(x)
                for (int j = 0; j < WIDTH; j++)
                    VSTORE(x[j], v, out + (i + j) * CHANNELS);
            }
        for (; i < until; i++)
            for (int c = 0; c < WIDTH; c++)
                out[i * CHANNELS + v * WIDTH + c] = c < here ? LOAD1(IN, line, c * s.channel + i * s.column) : 0;
    }
}

typedef struct {
    long x_image, x_group, x_channel, pitch; // strides of x
    long rows, columns;                      // pixels of the gradient
    long inputs, outputs, blocks, taps;      // channels of a group; blocks of CHANNELS output channels of a group
    long per, bands, band;                   // images of a part; parts of an image (then per is 1), and their rows
    long images;
    long more;                               // out holds the sums of other images: add to them
} weight_t;

// Global size (pairs / ROWS rounded up, blocks of all groups, parts), local size 1. out: (parts, weight's shape).
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void weight_channels(
    global const SCALAR *x, long x_at, global const SCALAR *turned, global const int *table, global SCALAR *out,
    weight_t s)
{
    const long pairs = s.inputs * s.taps, pair = get_global_id(0) * ROWS;
    const long block = get_global_id(1), part = get_global_id(2);
    const long group = block / s.blocks, first = block % s.blocks * CHANNELS;
    global const int *shift = table + 4, *position = shift + s.taps;
    long at[ROWS];                                           // those past the edge read the last one; nothing is stored
    UNROLL for (int r = 0; r < ROWS; r++) {
        const long p = min(pair + r, pairs - 1);
        at[r] = p / s.taps * s.x_channel + shift[p % s.taps];
    }
    real acc[ROWS][VECTORS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            acc[r][v] = 0;
    const long from = part / s.bands * s.per, until = min(s.images, from + s.per);
    const long top = part % s.bands * s.band, bottom = min(s.rows, top + s.band);
    for (long image = from; image < until; image++) {
        const long plane = image * get_global_size(1) + block;                     // of the turned gradient
        global const SCALAR *line = x + x_at + image * s.x_image + group * s.x_group + top * s.pitch;
        global const SCALAR *pixel = turned + (plane * s.rows + top) * s.columns * CHANNELS;
        for (long row = top; row < bottom; row++, line += s.pitch)
            for (long column = 0; column < s.columns; column++, pixel += CHANNELS) {
                real factor[VECTORS];
                UNROLL for (int v = 0; v < VECTORS; v++)
                    factor[v] = VLOAD(v, pixel);
                UNROLL for (int r = 0; r < ROWS; r++) {
                    const real with = line[at[r] + column];
                    UNROLL for (int v = 0; v < VECTORS; v++)
                        acc[r][v] = MULTIPLY_ADD(with, factor[v], acc[r][v]);
                }
            }
    }
    SCALAR done[ROWS * CHANNELS];                            // through memory, where channels become rows again
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            VSTORE(acc[r][v], r * VECTORS + v, done);
    out += ((part * (get_global_size(1) / s.blocks) + group) * s.outputs + first) * pairs;
    for (int r = 0; r < ROWS && pair + r < pairs; r++) {
        const long p = pair + r, to = p / s.taps * s.taps + position[p % s.taps];
        for (int c = 0; c < CHANNELS && first + c < s.outputs; c++)
            out[c * pairs + to] = done[r * CHANNELS + c] + (s.more ? out[c * pairs + to] : 0);
    }
}
