// What attention.cl and attention_keys.cl share: layout, macros and arithmetic on lanes.
//
// q (batch, heads, rows, SIZE), k (batch, heads / group, keys, SIZE), v (batch, heads / group, keys, VSIZE), out
// (batch, heads, rows, VSIZE): any strides but for the last dimension, which lies without gaps. A work-item holds LANES
// rows (or keys) side by side in VECTORS vectors and keeps everything that belongs to them transposed in private memory,
//
//      t[d] = [ x of lane 0 | x of lane 1 | ... ]         so that maxima, sums and exponentials need no shuffling
//
// and multiplies as matmul_tile of matmul.cl does: TILE numbers from memory, each spread over a vector, times VECTORS
// vectors. On GPUs a work-item holds one row. Exponentials are taken with base 2.
//
// Defined by the host (genesis/ops/attention.py):
//   SIZE, VSIZE      head sizes
//   WIDTH, VECTORS   lanes of a work-item
//   TILE, DEEPEST    what the device's registers hold
//   MASK             1: there is an array that is added to the scores
//   DROPOUT          1: entries of P are dropped, by a Philox counter made of row and key
#ifndef ATTENTION_H
#define ATTENTION_H
#include "types.h"
#include "philox.h"

#ifndef SIZE
#define SIZE 64
#endif
#ifndef VSIZE
#define VSIZE SIZE
#endif
#ifndef VECTORS
#define VECTORS 1
#endif
#ifndef TILE
#define TILE 12          // scalars from memory that are multiplied at once
#endif
#ifndef DEEPEST
#define DEEPEST 13       // elements of a head whose sums are in registers at once
#endif
#ifndef KEYS
#define KEYS 48          // keys (attention_keys.cl: rows) a block; a multiple of TILE
#endif

#define LANES (WIDTH * VECTORS)
// Head sizes in TILES tiles of at most DEEPEST: 64 is five tiles of 13, 26 vectors in registers.
#define TILES(n)   (((n) + DEEPEST - 1) / DEEPEST)
#define DEPTH(n)   (((n) + TILES(n) - 1) / TILES(n))
#define PADDED(n)  (TILES(n) * DEPTH(n))
#define MAX(a, b)  ((a) > (b) ? (a) : (b))
#define LOG2E ((SCALAR)1.4426950408889634)

typedef struct {
    long rows, keys, heads, group;
    long q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, o_batch, o_head, o_row;
    long m_batch, m_head, m_row, m_key;
    long causal;
} sizes_t;

typedef struct {                                // gradients: of the result, then of q, k, v
    long g_batch, g_head, g_row, q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row;
} strides_t;

typedef struct {
    ulong stream, seed;
    float p, unused;
} dropout_t;

typedef WIDE(uint) uints;

#ifdef REAL64
static real power2(real x) { return exp2(x); }
#else
// 2^x for x <= 0, within 2e-7; 0 below -127. It takes a third of the time of exp2.
static real power2(real x)
{
    x = x < -127 ? (real)-127 : x;                            // keeps a NaN
    const real n = rint(x), f = x - n;
    real y = mad(f, (real)1.54614475e-4f, (real)1.33908674e-3f);
    y = mad(f, y, (real)9.61805667e-3f);
    y = mad(f, y, (real)5.55035710e-2f);
    y = mad(f, y, (real)2.40226509e-1f);
    y = mad(f, y, (real)6.93147188e-1f);
    y = mad(f, y, (real)1);
    return y * PASTE(as_, WIDE(float))((CONVERT(int, n) + 127) << 23);
}
#endif

// t[d] = scale * the d-th elements of LANES rows; lanes from `count` on repeat the last row.
static void gather(global const SCALAR *rows, long step, long count, SCALAR scale, real *t, const int size)
{
    SCALAR *lanes = (SCALAR *)t;
    for (int l = 0; l < LANES; l++) {
        global const SCALAR *row = rows + min((long)l, count - 1) * step;
        for (int d = 0; d < size; d++)
            lanes[d * LANES + l] = scale * row[d];
    }
}

// The converse, for the first `count` lanes.
static void scatter(const real *t, global SCALAR *rows, long step, long count, const int size)
{
    const SCALAR *lanes = (const SCALAR *)t;
    for (int l = 0; l < LANES && l < count; l++)
        for (int d = 0; d < size; d++)
            rows[l * step + d] = lanes[d * LANES + l];
}

// out[j] = sum over d of a[j][d] * t[d] for TILE rows of a, of which the first `count` exist.
static void dots(global const SCALAR *a, long step, long count, const real *t, const int size, real *out)
{
    real sum[TILE][VECTORS];
    long at[TILE];
    for (int j = 0; j < TILE; j++) {
        at[j] = min((long)j, count - 1) * step;
        for (int v = 0; v < VECTORS; v++)
            sum[j][v] = 0;
    }
    for (int d = 0; d < size; d++) {
        real x[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            x[v] = t[d * VECTORS + v];
        for (int j = 0; j < TILE; j++) {
            const real y = a[at[j] + d];
            for (int v = 0; v < VECTORS; v++)
                sum[j][v] = mad(y, x[v], sum[j][v]);
        }
    }
    for (int j = 0; j < TILE; j++)
        for (int v = 0; v < VECTORS; v++)
            out[j * VECTORS + v] = sum[j][v];
}

// t[d] += sum over j < count of a[j][d] * x[j], for depth elements d.
static void add_depth(global const SCALAR *a, long step, long count, const real *x, real *t, const int depth)
{
    real sum[DEEPEST][VECTORS];
    for (int d = 0; d < depth; d++)
        for (int v = 0; v < VECTORS; v++)
            sum[d][v] = t[d * VECTORS + v];
    for (long j = 0; j < count; j++) {
        real y[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            y[v] = x[j * VECTORS + v];
        for (int d = 0; d < depth; d++) {
            const real z = a[j * step + d];
            for (int v = 0; v < VECTORS; v++)
                sum[d][v] = mad(z, y[v], sum[d][v]);
        }
    }
    for (int d = 0; d < depth; d++)
        for (int v = 0; v < VECTORS; v++)
            t[d * VECTORS + v] = sum[d][v];
}

// t[d] += sum over j < count of a[j][d] * x[j]
#define ADD_PRODUCTS(a, step, count, x, t, size)                                                                      \
    do {                                                                                                              \
        for (int d_ = 0; d_ + DEPTH(size) <= (size); d_ += DEPTH(size))                                               \
            add_depth((a) + d_, step, count, x, (t) + d_ * VECTORS, DEPTH(size));                                     \
        if ((size) % DEPTH(size))                                                                                     \
            add_depth((a) + (size) / DEPTH(size) * DEPTH(size), step, count, x,                                       \
                      (t) + (size) / DEPTH(size) * DEPTH(size) * VECTORS, (size) % DEPTH(size));                      \
    } while (0)

static SCALAR dot_product(global const SCALAR *a, global const SCALAR *b, const int size)
{
    SCALAR sum = 0;
    int d = 0;
#if WIDTH > 1
    if (size >= WIDTH) {
        real some = 0;
        for (; d + WIDTH <= size; d += WIDTH)
            some = mad(VLOAD(0, a + d), VLOAD(0, b + d), some);
        SCALAR lane[WIDTH];
        VSTORE(some, 0, lane);
        for (int l = 0; l < WIDTH; l++)
            sum += lane[l];
    }
#endif
    for (; d < size; d++)
        sum = mad(a[d], b[d], sum);
    return sum;
}

// Four random words for each lane, as philox() of philox.h makes them from one counter.
static void random_words(uints x, uints y, dropout_t drop, uints *words)
{
    uints z = (uint)drop.stream, w = (uint)(drop.stream >> 32);
    uint kx = (uint)drop.seed, ky = (uint)(drop.seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uints hi0 = mul_hi((uints)0xD2511F53u, x), lo0 = 0xD2511F53u * x;
        const uints hi1 = mul_hi((uints)0xCD9E8D57u, z), lo1 = 0xCD9E8D57u * z;
        x = hi1 ^ y ^ kx;
        y = lo1;
        z = hi0 ^ w ^ ky;
        w = lo0;
        kx += 0x9E3779B9u;
        ky += 0xBB67AE85u;
    }
    words[0] = x;
    words[1] = y;
    words[2] = z;
    words[3] = w;
}

// What a dropped or kept entry of P is multiplied by.
static real keep(uints word, dropout_t drop)
{
    const real unit = TO_REAL(word >> 8) * (SCALAR)0x1p-24;
    return unit >= (SCALAR)drop.p ? (real)(1 / (1 - (SCALAR)drop.p)) : (real)0;
}

static void number_lanes(real_int *lane)
{
    for (int l = 0; l < LANES; l++)
        ((SCALAR_INT *)lane)[l] = l;
}

#endif
