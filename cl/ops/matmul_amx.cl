// Matrix product C = A B (+ bias) on processors with AMX, whose tiles multiply bfloat16 numbers and add up float32 ones.
// A is (m, k), B (k, n) and C (m, n), for a batch of each with two dimensions; A and B have any strides, C lies without
// gaps.
//
// Float32 and float16 numbers are split into bfloat16 parts (parts.h), and the products of parts that count added up.
//
// A group of one work-item computes a block of s.mc x s.nc elements of C, s.kc steps of k at a time. The parts of B's
// piece of the block are copied and stay in the L2 cache, those of SIDE rows of A in L1:
//
//                    SIDE             The copies are pairs of tiles, SIDE rows or columns times DEPTH steps of k, of
//        kc        [ panel ]   kc     one part after the other. Steps j and j + 16 of a tile are neighbours there, in
//   SIDE [ strip ] [   c   ]          both operands: 16 such pairs come from two vectors, as they lie in memory.
//
// Defined by the host (genesis/ops/matmul_amx.py):
//   A, B, C          storage types; where C is a 16-bit type, k is at most KC
//   A_PARTS, B_PARTS parts of a number that count
//   LAST             i + j is at most this in the products Ai Bj that count
//   KC, NC           the most steps of k at a time, and columns of a block
//   PAIRS_OF_TILES   of each part of B that fit, at the most
//   PACK_A           BY_STEP: rows of A lie without gaps; BY_LINE: columns do, or nothing does
//   PACK_B           BY_STEP: columns of B lie without gaps; BY_LINE: rows do, or nothing does
//   BIAS             storage type of the bias (n,); undefined: none
//   AMX              the processor has AMX; undefined: see amx.h
#define WIDTH 16
#include "types.h"
#include "transpose.h"
#include "amx.h"
#include "parts.h"

#ifndef A
#define A float32
#define B float32
#define C float32
#endif
#ifndef A_PARTS
#define A_PARTS 3
#define B_PARTS 3
#define LAST 4
#endif
#ifndef KC
#define KC 128
#define NC 512
#define PAIRS_OF_TILES 64
#endif
#define BY_LINE 0
#define BY_STEP 1
#ifndef PACK_A
#define PACK_A BY_STEP
#define PACK_B BY_LINE
#endif
#define SIDE 32          // rows or columns of a pair of tiles
#define DEPTH 32         // steps of k of a tile
#define TILE 256         // pairs of numbers in a tile
#define A_STEP (2 * A_PARTS * TILE)
#define B_STEP (2 * B_PARTS * TILE)

#ifdef AMX               // tiles of sums are loaded from C and stored there
#define DIRECT_float32 1
#define DIRECT_float16 0
#define DIRECT_bfloat16 0
#if PASTE(DIRECT_, C)
#define IN_PLACE
#endif
#endif

typedef struct {
    long m, n, k, inner;                         // inner: size of the second batch dimension
    long a_row, a_column, b_row, b_column;       // strides
    long a_outer, a_inner, b_outer, b_inner;     // strides of the two batch dimensions
    long mc, nc, kc;                             // size of a block; steps of k at a time
} sizes_t;

// pack_...: the parts of 16 lines, rows of A or columns of B, and DEPTH steps of k; 0 beyond `lines` and `steps`.
// `largest` keeps the largest bits of the numbers' sizes.
#define PACKER(name, type, parts, layout, turned)                                                                     \
    static float16 name##_some(global const STORAGE(type) *p, long step, long count)                                  \
    {                                                                                                                 \
        if (step == 1 && count >= 16)                                                                                 \
            return LOAD(type, p, 0);                                                                                  \
        float x[16];                                                                                                  \
        for (int j = 0; j < 16; j++)                                                                                  \
            x[j] = j < count ? LOAD1(type, p, j * step) : 0;                                                          \
        return vload16(0, x);                                                                                         \
    }                                                                                                                 \
    static void name(global const STORAGE(type) *from, long line, long step, long lines, long steps,                  \
                     local uint *to, uint16 *largest)                                                                 \
    {                                                                                                                 \
        float16 x[16], y[16];                                                                                         \
        uint16 sizes = 0;                                                                                             \
        if (lines >= 16 && steps >= DEPTH && (layout == BY_STEP ? step : line) == 1) {                                \
            UNROLL for (int j = 0; j < 16; j++) {                                                                     \
                x[j] = LOAD(type, layout == BY_STEP ? from + j * line : from + j * step, 0);                          \
                y[j] = LOAD(type, layout == BY_STEP ? from + j * line + 16 : from + (j + 16) * step, 0);              \
            }                                                                                                         \
        } else                                                                                                        \
            for (int j = 0; j < 16; j++) {                                                                            \
                if (layout == BY_STEP) {                                                                              \
                    x[j] = j < lines ? name##_some(from + j * line, step, steps) : (float16)0;                        \
                    y[j] = j < lines ? name##_some(from + j * line + 16 * step, step, steps - 16) : (float16)0;       \
                } else {                                                                                              \
                    x[j] = j < steps ? name##_some(from + j * step, line, lines) : (float16)0;                        \
                    y[j] = j + 16 < steps ? name##_some(from + (j + 16) * step, line, lines) : (float16)0;            \
                }                                                                                                     \
            }                                                                                                         \
        UNROLL for (int j = 0; j < (PLAIN(A, A_PARTS, B, B_PARTS) ? 0 : 16); j++)                                     \
            sizes = max(sizes, max(SIZES(x[j]), SIZES(y[j])));                                                        \
        *largest = max(*largest, sizes);                                                                              \
        const bool large = greatest(sizes) >= LARGE;                                                                  \
        UNROLL for (int part = 0; part < parts; part++) {                                                             \
            float16 pairs[16];                                                                                        \
            PART_PAIRS(type, part, large, x, y, pairs)                                                                \
            if (turned)                                                                                               \
                TRANSPOSE(pairs)                                                                                      \
            UNROLL for (int j = 0; j < 16; j++)                                                                       \
                vstore16(as_uint16(pairs[j]), j, to + 2 * part * TILE);                                               \
        }                                                                                                             \
    }
PACKER(pack_a, A, A_PARTS, PACK_A, PACK_A != BY_STEP)
PACKER(pack_b, B, B_PARTS, PACK_B, PACK_B == BY_STEP)

// The sums += the products Ai Bj of a strip and a panel for which i + j is at most `last`.
// Inline, for PoCL 3.1 gets local memory wrong that is passed on.
static inline __attribute__((always_inline)) void multiply(
    tiles_t tiles, const local uint *a, const local uint *b, long steps, int last)
{
    for (long step = 0; step < steps; step++, a += A_STEP, b += B_STEP)
        for (int i = A_PARTS; i >= 1; i--) {
            TILE_LOAD(4, a + (2 * i - 2) * TILE, 64)
            TILE_LOAD(5, a + (2 * i - 1) * TILE, 64)
            for (int j = min(B_PARTS, last - i); j >= 1; j--) {
                TILE_LOAD(6, b + (2 * j - 2) * TILE, 64)
                TILE_LOAD(7, b + (2 * j - 1) * TILE, 64)
                TILE_PRODUCT(0, 4, 6)
                TILE_PRODUCT(1, 4, 7)
                TILE_PRODUCT(2, 5, 6)
                TILE_PRODUCT(3, 5, 7)
            }
        }
}

// Groups of one work-item; global size (n / s.nc, m / s.mc, batch), each rounded up.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_amx(
    global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at, global STORAGE(C) *c, long c_at,
#ifdef BIAS
    global const STORAGE(BIAS) *bias, long bias_at,
#endif
    sizes_t s)
{
    local uint b_pack[PAIRS_OF_TILES * B_STEP] __attribute__((aligned(64)));
    local uint a_pack[KC / DEPTH * A_STEP] __attribute__((aligned(64)));
    local uint first_row[NC] __attribute__((aligned(64)));         // what sums begin with; these are the bits of floats
    local uint before[SIDE * SIDE] __attribute__((aligned(64))), sums[SIDE * SIDE] __attribute__((aligned(64)));
    const long left = get_group_id(0) * s.nc, top = get_group_id(1) * s.mc, batch = get_group_id(2);
    const long width = min(s.nc, s.n - left), height = min(s.mc, s.m - top);
    a += a_at + batch / s.inner * s.a_outer + batch % s.inner * s.a_inner + top * s.a_row;
    b += b_at + batch / s.inner * s.b_outer + batch % s.inner * s.b_inner + left * s.b_column;
    c += c_at + (batch * s.m + top) * s.n + left;
    for (long j = 0; j < s.nc; j++)
#ifdef BIAS
        first_row[j] = j < width ? as_uint((float)LOAD1(BIAS, bias, bias_at + left + j)) : 0;
#else
        first_row[j] = 0;
#endif

    TILES
    for (long from = 0; from < s.k; from += s.kc) {
        const long kc = min(s.kc, s.k - from), steps = (kc + DEPTH - 1) / DEPTH;
        uint16 b_largest = 0;
        for (long column = 0; column < s.nc; column += 16)
            for (long step = 0; step < steps; step++)
                pack_b(b + column * s.b_column + (from + step * DEPTH) * s.b_row, s.b_column, s.b_row, width - column,
                       kc - step * DEPTH, b_pack + (column / SIDE * steps + step) * B_STEP + column % SIDE / 16 * TILE,
                       &b_largest);
        for (long row = 0; row < height; row += SIDE) {
            const int rows = min((long)SIDE, height - row);
            uint16 largest = b_largest;
            for (int lower = 0; lower < 2; lower++)
                for (long step = 0; step < steps; step++)
                    pack_a(a + (row + 16 * lower) * s.a_row + (from + step * DEPTH) * s.a_column, s.a_row, s.a_column,
                           rows - 16 * lower, kc - step * DEPTH, a_pack + step * A_STEP + lower * TILE, &largest);
            const bool large = greatest(largest) >= LARGE;
            for (long column = 0; column < width; column += SIDE) {
                const int columns = min((long)SIDE, width - column);
                const local uint *panel = b_pack + column / SIDE * steps * B_STEP;
                global STORAGE(C) *out = c + row * s.n + column;
#ifdef IN_PLACE
                if (rows == SIDE && columns == SIDE && !large) {
                    if (from > 0) {
                        SUMS(TILE_LOAD, out, 4 * s.n)
                    } else {
                        SUMS(TILE_LOAD, first_row + column, 0)
                    }
                    multiply(tiles, a_pack, panel, steps, LAST);
                    SUMS(TILE_STORE, out, 4 * s.n)
                    continue;
                }
#endif
                for (int i = 0; i < (from > 0 || large ? SIDE : 0); i++)
                    for (int j = 0; j < SIDE; j++)
                        if (from == 0)
                            before[i * SIDE + j] = first_row[column + j];
                        else if (i < rows && j < columns)
                            before[i * SIDE + j] = as_uint((float)LOAD1(C, out, i * s.n + j));
                        else
                            before[i * SIDE + j] = 0;
                if (from > 0) {
                    SUMS(TILE_LOAD, before, 4 * SIDE)
                } else {
                    SUMS(TILE_LOAD, first_row + column, 0)
                }
                multiply(tiles, a_pack, panel, steps, LAST);
                SUMS(TILE_STORE, sums, 4 * SIDE)
                if (large) {                      // first parts alone say what is infinite and what is not a number
                    SUMS(TILE_LOAD, before, 4 * SIDE)
                    multiply(tiles, a_pack, panel, steps, 2);
                    SUMS(TILE_STORE, before, 4 * SIDE)
                    for (int i = 0; i < SIDE * SIDE; i++)
                        sums[i] = isfinite(as_float(sums[i])) ? sums[i] : before[i];
                }
                for (int i = 0; i < rows; i++) {
                    int j = 0;
                    for (; j + 16 <= columns; j += 16)
                        STORE(C, out + i * s.n + j, 0, as_float16(vload16(0, sums + i * SIDE + j)));
                    for (; j < columns; j++)
                        STORE1(C, out, i * s.n + j, as_float(sums[i * SIDE + j]));
                }
            }
        }
    }
    TILES_END
}
