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

// Turns 16 rows of 16 pairs.
static inline __attribute__((always_inline)) void turn(local uint *tile)
{
    float16 x[16];
    UNROLL for (int j = 0; j < 16; j++)
        x[j] = as_float16(vload16(j, tile));
    TRANSPOSE(x)
    UNROLL for (int j = 0; j < 16; j++)
        vstore16(as_uint16(x[j]), j, tile);
}

// pack_...: the parts of 16 * blocks lines, rows of A or columns of B, and DEPTH * tiles steps of k; 0 beyond `lines` and
// `steps`. Memory is read in its order; tiles whose lines lie the other way there are turned. `large`: some number is.
// Returns the largest bits of the numbers' sizes.
#define PACKER(name, type, parts, layout, turned)                                                                     \
    static float16 name##_some(global const STORAGE(type) *p, long apart, long count)                                 \
    {                                                                                                                 \
        if (apart == 1 && count >= 16)                                                                                \
            return LOAD(type, p, 0);                                                                                  \
        float x[16];                                                                                                  \
        for (int i = 0; i < 16; i++)                                                                                  \
            x[i] = i < count ? LOAD1(type, p, i * apart) : 0;                                                         \
        return vload16(0, x);                                                                                         \
    }                                                                                                                 \
    static inline __attribute__((always_inline)) uint16 name(                                                         \
        global const STORAGE(type) *from, long line, long step, long lines, long steps, int blocks, int tiles,        \
        bool large, local uint *to)                                                                                   \
    {                                                                                                                 \
        uint16 sizes = 0;                                                                                             \
        for (int outer = 0; outer < 16 * (layout == BY_STEP ? blocks : tiles); outer++)                               \
            for (int inner = 0; inner < (layout == BY_STEP ? tiles : blocks); inner++) {                              \
                const int row = outer % 16;                                                                           \
                const int block = layout == BY_STEP ? outer / 16 : inner;                                             \
                const int tile = layout == BY_STEP ? inner : outer / 16;                                              \
                local uint *at = to + (block / 2 * tiles + tile) * (2 * parts * TILE) + block % 2 * TILE;             \
                float16 x = 0, y = 0;                                                                                 \
                if (layout == BY_STEP && outer < lines) {                                                             \
                    const long k = tile * DEPTH;                                                                      \
                    x = name##_some(from + outer * line + k * step, step, steps - k);                                 \
                    y = name##_some(from + outer * line + (k + 16) * step, step, steps - k - 16);                     \
                } else if (layout == BY_LINE) {                                                                       \
                    const long k = tile * DEPTH + row, left = lines - block * 16;                                     \
                    global const STORAGE(type) *p = from + k * step + block * 16 * line;                              \
                    x = k < steps ? name##_some(p, line, left) : 0;                                                   \
                    y = k + 16 < steps ? name##_some(p + 16 * step, line, left) : 0;                                  \
                }                                                                                                     \
                if (!PLAIN(A, A_PARTS, B, B_PARTS))                                                                   \
                    sizes = max(sizes, max(SIZES(x), SIZES(y)));                                                      \
                UNROLL for (int part = 0; part < parts; part++)                                                       \
                    vstore16(PART_PAIR(type, part, large, x, y), row, at + 2 * part * TILE);                          \
                for (int part = 0; part < (turned && row == 15 ? parts : 0); part++)                                  \
                    turn(at + 2 * part * TILE);                                                                       \
            }                                                                                                         \
        return sizes;                                                                                                 \
    }
PACKER(pack_a, A, A_PARTS, PACK_A, PACK_A != BY_STEP)
PACKER(pack_b, B, B_PARTS, PACK_B, PACK_B == BY_STEP)

#define STRIP(i)                                                                                                      \
    TILE_LOAD(4, a + (2 * i - 2) * TILE, 64)                                                                          \
    TILE_LOAD(5, a + (2 * i - 1) * TILE, 64)
#define PANEL(j)                                                                                                      \
    TILE_LOAD(6, b + (2 * j - 2) * TILE, 64)                                                                          \
    TILE_LOAD(7, b + (2 * j - 1) * TILE, 64)

// The sums += the products Ai Bj of a strip and a panel for which i + j is at most `last`.
// Inline, for PoCL 3.1 gets local memory wrong that is passed on.
static inline __attribute__((always_inline)) void multiply(
    tiles_t tiles, const local uint *a, const local uint *b, long steps, int last)
{
    for (long step = 0; step < steps; step++, a += A_STEP, b += B_STEP)
        PRODUCTS(A_PARTS, B_PARTS, last, STRIP, PANEL)
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
        global const STORAGE(B) *panels = b + from * s.b_row;
        const uint16 b_sizes = pack_b(panels, s.b_column, s.b_row, width, kc, s.nc / 16, steps, false, b_pack);
        const bool b_large = greatest(b_sizes) >= LARGE;
        if (b_large)
            pack_b(panels, s.b_column, s.b_row, width, kc, s.nc / 16, steps, true, b_pack);
        for (long row = 0; row < height; row += SIDE) {
            const int rows = min((long)SIDE, height - row);
            global const STORAGE(A) *strip = a + row * s.a_row + from * s.a_column;
            const uint16 a_sizes = pack_a(strip, s.a_row, s.a_column, rows, kc, SIDE / 16, steps, false, a_pack);
            const bool a_large = greatest(a_sizes) >= LARGE, large = a_large || b_large;
            if (a_large)
                pack_a(strip, s.a_row, s.a_column, rows, kc, SIDE / 16, steps, true, a_pack);
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
