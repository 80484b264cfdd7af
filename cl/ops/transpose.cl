// A copy in which the elements that lie side by side in the input do not do so in the output: out[r, c] = in[c, r], by
// tiles, so that both are read and written by whole cache lines (genesis/ops/transpose.py).
//
// Defined by the host:
//   ELEMENT   an unsigned integer type as wide as the elements, which are only moved
//   WIDTH     transpose_vectors: tiles have WIDTH x WIDTH elements, in registers
//   OUTER     how many further dimensions there are
#ifndef WIDTH
#define WIDTH 4
#endif
#include "types.h"

#ifndef ELEMENT
#define ELEMENT uint
#endif
#ifndef OUTER
#define OUTER 0
#endif
#undef real
#define real WIDE(ELEMENT)
#include "transpose.h"

#define TILES 4          // down; columns of a block are a multiple of WIDTH
#define BLOCK 256
#define SIDE 16          // of a tile in local memory

typedef struct {
    long rows, columns;                 // of the output
    long in_column, out_row;            // strides; those of the input's rows and the output's columns are 1
#if OUTER
    long shape[OUTER], in[OUTER], out[OUTER];
#endif
} layout_t;

// `in` and `out` begin where one of the matrices that the further dimensions count does.
#if OUTER
#define MOVE_TO(matrix)                                                                                               \
    long rest = matrix;                                                                                               \
    for (int i = 0; i < OUTER; i++) {                                                                                 \
        const long position = rest % s.shape[i];                                                                      \
        rest /= s.shape[i];                                                                                           \
        in += position * s.in[i];                                                                                     \
        out += position * s.out[i];                                                                                   \
    }
#else
#define MOVE_TO(matrix)
#endif

// Global size (columns / BLOCK, rows / (TILES WIDTH), matrices), rounded up; for processors.
VECTOR_KERNEL transpose_vectors(
    global ELEMENT *out, long out_at, global const ELEMENT *in, long in_at, long matrices, layout_t s)
{
    in += in_at;
    out += out_at;
    MOVE_TO(get_global_id(2))
    const long in_column = s.in_column, out_row = s.out_row;
    const long left = get_global_id(0) * BLOCK, right = min(left + BLOCK, s.columns);
    const long top = get_global_id(1) * TILES * WIDTH, bottom = min(top + TILES * WIDTH, s.rows);
    for (long c = left; c < right; c += WIDTH)
        for (long r = top; r < bottom; r += WIDTH)
            if (c + WIDTH <= right && r + WIDTH <= bottom) {
                real tile[WIDTH];
                for (int i = 0; i < WIDTH; i++)
                    tile[i] = VLOAD(0, in + (c + i) * in_column + r);
                TRANSPOSE(tile)
                for (int i = 0; i < WIDTH; i++)
                    VSTORE(tile[i], 0, out + (r + i) * out_row + c);
            } else {
                for (long i = r; i < min(r + WIDTH, bottom); i++)
                    for (long j = c; j < min(c + WIDTH, right); j++)
                        out[i * out_row + j] = in[j * in_column + i];
            }
}

// Groups of SIDE x SIDE; global size (columns, rows, matrices), rounded up.
kernel void transpose_tiles(
    global ELEMENT *out, long out_at, global const ELEMENT *in, long in_at, long matrices, layout_t s)
{
    local ELEMENT tile[SIDE][SIDE + 1];             // one more, so that a column lies in different banks
    in += in_at;
    out += out_at;
    MOVE_TO(get_global_id(2))
    const long in_column = s.in_column, out_row = s.out_row;
    const int i = get_local_id(0), j = get_local_id(1);
    const long top = get_group_id(1) * SIDE, left = get_group_id(0) * SIDE;
    if (top + i < s.rows && left + j < s.columns)
        tile[j][i] = in[(left + j) * in_column + top + i];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (top + j < s.rows && left + i < s.columns)
        out[(top + j) * out_row + left + i] = tile[i][j];
}
