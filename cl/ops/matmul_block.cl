// Matrix product C = A B (+ bias) for CPUs, by blocks that stay in the caches (after Goto & van de Geijn 2008, "Anatomy
// of high-performance matrix multiplication"). A (m, k), B (k, n) and C (m, n), for a batch of each
// with two dimensions; A and B have any strides, C lies without gaps.
//
// A group of one work-item computes a block of s.mc x s.nc elements of C, kc steps of k at a time. One operand's part
// of the block is copied and stays in the L2 cache; the other's passes by in pieces that fit into L1:
//
//                    PANEL              Where A is copied: all of its rows, as tiles of ROWS; then PANEL columns of B at
//                  [ panel ]   kc       a time, for all of those tiles.
//        kc        [       ]            Where A is read in place: all of B's columns, as panels; then ROWS rows of A at a
//   mc  [ a ]      [   c   ]            time, for all of those panels.
//       [   ]      [       ]            c (ROWS x PANEL, in registers) += a x panel
//
// Tiles and panels lie without gaps, whatever the strides were, and hold `real`.
//
// Defined by the host (genesis/ops/matmul.py):
//   A, B, C          storage types; 16-bit ones are added up in float32 and rounded once
//   WIDTH, ROWS      lanes of a vector; rows of C in registers: ROWS x 2 vectors and 3 more must fit
//   KC               the most steps of k at a time
//   MC, NC           the most rows of a block where A is copied, columns where it is not; both where C is a 16-bit type
//   PACK_A           0: read A, float32 or float64 with rows without gaps, where it is; else copy it: 1: columns of A
//                    lie without gaps, 2: rows do, 3: any strides
//   PACK_B           1: rows of B lie without gaps, 2: columns do, 3: any strides
//   FAR              1: what is not copied as a whole, B where A is, does not stay in the caches, so that what of it will
//                    be wanted soon is asked for
//   BIAS             storage type of the bias (n,); undefined: none
#ifndef WIDTH
#define WIDTH 4
#endif
#include "types.h"
#include "transpose.h"

#ifndef A
#define A float32
#define B float32
#define C float32
#endif
#ifndef ROWS
#define ROWS 12
#endif
#ifndef PACK_A
#define PACK_A 0
#endif
#ifndef PACK_B
#define PACK_B 1
#endif
#ifndef FAR
#define FAR 0
#endif
#ifndef KC
#define KC 256           // KC x MC elements of A and KC x PANEL of B lie in local memory, or KC x NC of B
#endif
#ifndef MC
#define MC 120           // MC x NC sums lie in local memory, too, when C is a 16-bit type
#endif
#ifndef NC
#define NC 128
#endif
#define PANEL (2 * WIDTH)
#define LINE 16          // steps of k during which the next rows of A are asked for, a line of each
#define EACH 8           // tiles during which the next panel of B is asked for: two lines in as many steps of k
#define A_TILE (KC * ROWS + WIDTH)      // elements between tiles in a_pack; the last vector of a tile may spill over
#define A_VECTORS ((ROWS + WIDTH - 1) / WIDTH)

typedef struct {
    long m, n, k, inner;                         // inner: size of the second batch dimension
    long a_row, a_column, b_row, b_column;       // strides
    long a_outer, a_inner, b_outer, b_inner;     // strides of the two batch dimensions
    long mc, nc, kc;                             // size of a block; steps of k at a time
} sizes_t;

// `wide` columns of a panel: to[k * to_step + j] = from[k * step + j * column], 0 for j >= count.
#define PACK_ANY(type, kc, count, wide, from, column, step, to, to_step)                                              \
    for (long k = 0; k < kc; k++)                                                                                     \
        for (int j = 0; j < wide; j++)                                                                                \
            to[k * (to_step) + j] = j < count ? LOAD1(type, from, j * (column) + k * (step)) : 0;

// The same where steps of k lie without gaps: from[k + j * column]. Blocks of WIDTH x WIDTH are transposed in registers.
// In an order in which what a vector stores too much, where to_step < wide, is overwritten by the next.
// next: how many columns further those begin that will be copied next; 0: unknown.
#define PACK_COLUMNS(type, kc, count, wide, from, column, to, to_step, next)                                          \
    for (int first = (wide) - WIDTH; first >= 0; first -= WIDTH) {                                                    \
        const int here = min((int)(count) - first, WIDTH);                                                            \
        long k = 0;                                                                                                   \
        for (; k + WIDTH <= kc; k += WIDTH) {                                                                         \
            real x[WIDTH];                                                                                            \
            if (next)                                                                                                 \
                for (int j = 0; j < WIDTH; j++)                                                                       \
                    PREFETCH(from + (first + j + (next)) * (column) + k + WIDTH - 1);                                 \
            for (int j = 0; j < WIDTH; j++)                                                                           \
                x[j] = j < here ? LOAD(type, from + (first + j) * (column) + k, 0) : (real)0;                         \
            TRANSPOSE(x)                                                                                              \
            for (int i = 0; i < WIDTH; i++)                                                                           \
                VSTORE(x[i], 0, to + (k + i) * (to_step) + first);                                                    \
        }                                                                                                             \
        for (; k < kc; k++)                                                                                           \
            for (int j = 0; j < WIDTH; j++)                                                                           \
                to[k * (to_step) + first + j] = j < here ? LOAD1(type, from, (first + j) * (column) + k) : 0;         \
    }

// The tiles of A. Vectors of WIDTH are stored ROWS apart: each overwrites what the one before had too much.
#if PACK_A == 1
#define PACK_TILES(kc, count, from, row_step, step)                                                                   \
    const long whole = max(0L, (count) - A_VECTORS * WIDTH + ROWS) / ROWS;     /* whose vectors end inside */         \
    for (long k = 0; k < kc; k++)                                                                                     \
        for (long t = 0; t < whole; t++)                                                                              \
            for (int i = 0; i < A_VECTORS; i++)                                                                       \
                VSTORE(LOAD(A, from + k * (step) + t * ROWS, i), i, a_pack + t * A_TILE + k * ROWS);                  \
    for (long t = whole; t * ROWS < count; t++)                                                                       \
        PACK_ANY(A, kc, (count) - t * ROWS, ROWS, from + t * ROWS, 1, step, (a_pack + t * A_TILE), ROWS)
#elif PACK_A == 2
#define PACK_TILES(kc, count, from, row_step, step)                                                                   \
    for (long t = 0; t * ROWS < count; t++) {                                                                         \
        PACK_COLUMNS(A, kc, (count) - t * ROWS, A_VECTORS * WIDTH, from + t * ROWS * (row_step), row_step,            \
                     (a_pack + t * A_TILE), ROWS, FAR * ROWS)                                                         \
    }
#elif PACK_A == 3
#define PACK_TILES(kc, count, from, row_step, step)                                                                   \
    for (long t = 0; t * ROWS < count; t++)                                                                           \
        PACK_ANY(A, kc, (count) - t * ROWS, ROWS, from + t * ROWS * (row_step), row_step, step, (a_pack + t * A_TILE), ROWS)
#endif

#define SUMS_float32 0
#define SUMS_float64 0
#define SUMS_float16 1
#define SUMS_bfloat16 1
#if PASTE(SUMS_, C)
#define SUMS 1           // C is narrower than its sums, which therefore are kept aside
#else
#define SUMS 0
#endif

#define PACKED_COLUMNS (PACK_A ? PANEL : NC)

// The panels of `count` columns of B, kc steps each: whole ones row by row, as they lie in memory.
#if PACK_B == 1
#define PACK_WHOLE(kc, count, from, row_step)                                                                         \
    packed = (count) / PANEL * PANEL;                                                                                 \
    for (long k = 0; k < kc; k++)                                                                                     \
        for (long first = 0; first < packed; first += PANEL) {                                                        \
            VSTORE(LOAD(B, from + k * (row_step) + first, 0), 0, b_pack + first * KC + k * PANEL);                    \
            VSTORE(LOAD(B, from + k * (row_step) + first, 1), 1, b_pack + first * KC + k * PANEL);                    \
        }
#else
#define PACK_WHOLE(kc, count, from, row_step)
#endif
#if PACK_B == 2
#define PACK_PANEL(kc, count, from, row_step, column_step, to)                                                        \
    PACK_COLUMNS(B, kc, count, PANEL, from, column_step, to, PANEL, 0)
#else
#define PACK_PANEL(kc, count, from, row_step, column_step, to)                                                        \
    PACK_ANY(B, kc, count, PANEL, from, column_step, row_step, to, PANEL)
#endif
#define PACK_PANELS(kc, count, from, row_step, column_step)                                                           \
    {                                                                                                                 \
        long packed = 0;                                                                                              \
        PACK_WHOLE(kc, count, from, row_step)                                                                         \
        for (; packed < (count); packed += PANEL) {                                                                   \
            global const STORAGE(B) *panel_source = from + packed * (column_step);                                    \
            local SCALAR *panel = b_pack + packed * KC;                                                               \
            PACK_PANEL(kc, (count) - packed, panel_source, row_step, column_step, panel)                              \
        }                                                                                                             \
    }

// Where B is far: what of the next panel a tile asks for the i-th time. The last element of a
// vector is asked for, so that where rows do not begin with a cache line it is the line that is not there yet.
#if PACK_B == 1          // two vectors of a row
#define AHEAD(tile, i) ((tile) * (kc / EACH) + (i)) * s.b_row
#else                    // two vectors of a column; PANEL / EACH columns a tile
#define AHEAD(tile, i) ((tile) * (PANEL / EACH) + (i) % (PANEL / EACH)) * s.b_column + (i) / (PANEL / EACH) * PANEL
#endif

// One step of k: c += a column of A times a row of B.
#if PACK_A
#define A_AT(k, r) a_tile[(k) * ROWS + r]
#else
#define A_AT(k, r) strip[step[r] + (k)]
#endif
#define STEP(k)                                                                                                       \
    {                                                                                                                 \
        const real b0 = VLOAD(0, panel + (k) * PANEL), b1 = VLOAD(1, panel + (k) * PANEL);                            \
        UNROLL for (int r = 0; r < ROWS; r++) {                                                                       \
            const real x = A_AT(k, r);                                                                                \
            low[r] = MULTIPLY_ADD(x, b0, low[r]);                                                                     \
            high[r] = MULTIPLY_ADD(x, b1, high[r]);                                                                   \
        }                                                                                                             \
    }

// Groups of one work-item; global size (n / s.nc, m / s.mc, batch), each rounded up.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_block(
    global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at, global STORAGE(C) *c, long c_at,
#ifdef BIAS
    global const STORAGE(BIAS) *bias, long bias_at,
#endif
    sizes_t s)
{
    local SCALAR b_pack[KC * PACKED_COLUMNS] __attribute__((aligned(64)));
#if PACK_A
    local SCALAR a_pack[(MC + ROWS - 1) / ROWS * A_TILE] __attribute__((aligned(64)));
#endif
#if SUMS
    local SCALAR sums[MC * NC] __attribute__((aligned(64)));
#endif
    const long left = get_group_id(0) * s.nc, top = get_group_id(1) * s.mc, batch = get_group_id(2);
    const long width = min(s.nc, s.n - left), height = min(s.mc, s.m - top);
    a += a_at + batch / s.inner * s.a_outer + batch % s.inner * s.a_inner + top * s.a_row;
    b += b_at + batch / s.inner * s.b_outer + batch % s.inner * s.b_inner + left * s.b_column;
    c += c_at + (batch * s.m + top) * s.n + left;

    for (long from = 0; from < s.k; from += s.kc) {
        const long kc = min(s.kc, s.k - from);
        const bool last = from + kc == s.k;
        global const STORAGE(B) *source = b + from * s.b_row;
#if PACK_A
        PACK_TILES(kc, height, a + from * s.a_column, s.a_row, s.a_column)
        for (long column = 0; column < width; column += PANEL) {
            const local SCALAR *panel = b_pack;
            global const STORAGE(B) *columns = source + column * s.b_column;
            PACK_PANELS(kc, min((long)PANEL, width - column), columns, s.b_row, s.b_column)
            for (long row = 0; row < height; row += ROWS) {
                const int rows = min((long)ROWS, height - row);
                const local SCALAR *a_tile = a_pack + row / ROWS * A_TILE;
#else
        PACK_PANELS(kc, width, source, s.b_row, s.b_column)
        for (long row = 0; row < height; row += ROWS) {
            const int rows = min((long)ROWS, height - row);
            global const STORAGE(A) *strip = a + row * s.a_row + from * s.a_column;
            long step[ROWS];                            // rows past the edge read the last one and are not stored
            UNROLL for (int r = 0; r < ROWS; r++)
                step[r] = min(r, rows - 1) * s.a_row;
            for (long column = 0; column < width; column += PANEL) {
                const local SCALAR *panel = b_pack + column * KC;
#endif
                const long count = width - column;
                real low[ROWS], high[ROWS];
#if SUMS
                local SCALAR *held = sums + row * NC + column;
                const long held_step = NC;
#else
                global SCALAR *held = c + row * s.n + column;
                const long held_step = s.n;
#endif
                if (from == 0) {
#ifdef BIAS
                    SCALAR lane[PANEL];
                    for (int j = 0; j < PANEL; j++)
                        lane[j] = j < count ? (SCALAR)LOAD1(BIAS, bias, bias_at + left + column + j) : 0;
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        low[r] = VLOAD(0, lane);
                        high[r] = VLOAD(1, lane);
                    }
#else
                    UNROLL for (int r = 0; r < ROWS; r++)
                        low[r] = high[r] = 0;
#endif
                } else if (SUMS || (count >= PANEL && rows == ROWS)) {
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        low[r] = VLOAD(0, held + r * held_step);
                        high[r] = VLOAD(1, held + r * held_step);
                    }
                } else {
                    SCALAR lane[ROWS * PANEL];
                    for (int r = 0; r < ROWS; r++)
                        for (int j = 0; j < PANEL; j++)
                            lane[r * PANEL + j] = r < rows && j < count ? held[r * held_step + j] : 0;
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        low[r] = VLOAD(2 * r, lane);
                        high[r] = VLOAD(2 * r + 1, lane);
                    }
                }
                long k = 0;
#if FAR && PACK_A
                if (row + ROWS < height)
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        PREFETCH(c + (row + ROWS + r) * s.n + column + WIDTH - 1);
                        PREFETCH(c + (row + ROWS + r) * s.n + column + PANEL - 1);
                    }
#if PACK_B < 3
                const bool ask = row < EACH * ROWS && column + PANEL < width;
                for (; k + EACH <= (ask ? kc : 0); k += EACH) {
                    PREFETCH(columns + PANEL * s.b_column + AHEAD(row / ROWS, k / EACH) + WIDTH - 1);
                    PREFETCH(columns + PANEL * s.b_column + AHEAD(row / ROWS, k / EACH) + PANEL - 1);
                    for (long each = k; each < k + EACH; each++)
                        STEP(each)
                }
#endif
#endif
#if FAR && !PACK_A
                if (column == 0 && row + ROWS < height)
                    for (; k + LINE <= kc; k += LINE) {
                        UNROLL for (int r = 0; r < ROWS; r++)
                            PREFETCH(strip + ROWS * s.a_row + step[r] + k + LINE - 1);
                        for (long each = k; each < k + LINE; each++)
                            STEP(each)
                    }
#endif
                for (; k < kc; k++)
                    STEP(k)
#if SUMS
                if (!last) {
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        VSTORE(low[r], 0, held + r * held_step);
                        VSTORE(high[r], 1, held + r * held_step);
                    }
                    continue;
                }
#endif
                global STORAGE(C) *out = c + row * s.n + column;
                if (count >= PANEL && rows == ROWS) {
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        STORE(C, out + r * s.n, 0, low[r]);
                        STORE(C, out + r * s.n, 1, high[r]);
                    }
                } else {
                    SCALAR lane[ROWS * PANEL];
                    UNROLL for (int r = 0; r < ROWS; r++) {
                        VSTORE(low[r], 2 * r, lane);
                        VSTORE(high[r], 2 * r + 1, lane);
                    }
                    for (int r = 0; r < rows; r++)
                        for (int j = 0; j < PANEL && j < count; j++)
                            STORE1(C, out, r * s.n + j, lane[r * PANEL + j]);
                }
            }
        }
    }
}
