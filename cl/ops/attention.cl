// Scaled dot-product attention without storing the matrix of scores (FlashAttention: Dao et al. 2022,
// arXiv:2205.14135, with the online softmax of Milakov & Gimelshein 2018, arXiv:1805.02867).
//
//   scores = scale Q K^T + mask,   P = softmax(scores),   out = dropout(P) V
//
// q (batch, heads, rows, SIZE), k (batch, heads / group, keys, SIZE), v (batch, heads / group, keys, VSIZE), out
// (batch, heads, rows, VSIZE): any strides but for the last dimension, which lies without gaps. A work-item holds LANES
// rows (or keys) side by side in VECTORS vectors and keeps everything that belongs to them transposed in private memory,
//
//      t[d] = [ x of lane 0 | x of lane 1 | ... ]         so that maxima, sums and exponentials need no shuffling
//
// and multiplies as matmul_tile of matmul.cl does: TILE numbers from memory, each spread over a vector, times VECTORS
// vectors. On GPUs a work-item holds one row.
//
//   attention       a work-item per block of rows: all keys in blocks of KEYS, keeping maximum and sum of each row
//   attention_keys  a work-item per head (WHOLE) or per block of keys: gradients of k and v, and of q too if WHOLE
//   attention_rows  a work-item per block of rows: the gradient of q, where there are too few heads for WHOLE
//
// Forward leaves log2 of each row's sum of exponentials in `lse` (batch, heads, rows), +infinity for a row that sees no
// key; backward computes P again from it. Exponentials are taken with base 2.
//
// Defined by the host (genesis/ops/attention.py):
//   SIZE, VSIZE      head sizes
//   WIDTH, VECTORS   lanes of a work-item
//   MASK             1: there is an array that is added to the scores
//   DROPOUT          1: entries of P are dropped, by a Philox counter made of row and key
//   BACKWARD         0: compile attention only; 1: the other two
//   WHOLE            1: attention_keys goes through all keys and adds up the gradient of q
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
#define KEYS 48          // keys (attention_keys: rows) a block; a multiple of TILE
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

// Arithmetic on lanes -----------------------------------------------------------------------------------------------

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

// Lanes are rows -----------------------------------------------------------------------------------------------------

// Base-2 scores of `count` keys from `key` on, for the rows from `row` on: p[j] for key j; -infinity where masked.
static void scores_of_keys(global const SCALAR *k, global const SCALAR *mask, sizes_t s, long row, long key, long count,
                           const real *qt, const real_int *lane, real *p)
{
    for (int j = 0; j < count; j += TILE)
        dots(k + j * s.k_row, s.k_row, count - j, qt, SIZE, p + j * VECTORS);
#if MASK
    for (int j = 0; j < count; j++) {
        real some[VECTORS];
        for (int l = 0; l < LANES; l++)
            ((SCALAR *)some)[l] = mask[min(row + l, s.rows - 1) * s.m_row + (key + j) * s.m_key];
        for (int v = 0; v < VECTORS; v++)
            p[j * VECTORS + v] = mad(some[v], LOG2E, p[j * VECTORS + v]);
    }
#endif
    if (s.causal && key + count - 1 > row)
        for (int j = 0; j < count; j++)
            for (int v = 0; v < VECTORS; v++)
                p[j * VECTORS + v] = (real_int)(SCALAR_INT)(key + j - row) > lane[v] ? (real)-INFINITY
                                                                                    : p[j * VECTORS + v];
}

#if DROPOUT
// Drops entries of keys from `key` on, a multiple of 4.
static void drop_keys(real *p, uint row, long key, long count, const real_int *lane, dropout_t drop)
{
    for (int j = 0; j < count; j += 4)
        for (int v = 0; v < VECTORS; v++) {
            uints words[4];
            random_words((uints)(uint)((key + j) / 4), row + CONVERT(uint, lane[v]), drop, words);
            for (int i = 0; i < 4 && j + i < count; i++)
                p[(j + i) * VECTORS + v] *= keep(words[i], drop);
        }
}
#endif

#if !defined(BACKWARD) || !BACKWARD
// Global size (rows / LANES, rounded up; heads; batch).
VECTOR_KERNEL attention(global const SCALAR *q, long q_at, global const SCALAR *k, long k_at,
                        global const SCALAR *v, long v_at, global const SCALAR *mask, long m_at,
                        global SCALAR *out, long o_at, global SCALAR *lse, SCALAR scale, sizes_t s, dropout_t drop)
{
    const long row = get_global_id(0) * LANES, head = get_global_id(1), batch = get_global_id(2);
    if (row >= s.rows) return;
    const long count = min((long)LANES, s.rows - row), end = s.causal ? min(s.keys, row + LANES) : s.keys;
    q += q_at + batch * s.q_batch + head * s.q_head + row * s.q_row;
    k += k_at + batch * s.k_batch + head / s.group * s.k_head;
    v += v_at + batch * s.v_batch + head / s.group * s.v_head;
    out += o_at + batch * s.o_batch + head * s.o_head + row * s.o_row;
    mask += m_at + batch * s.m_batch + head * s.m_head;

    real qt[SIZE * VECTORS], ot[VSIZE * VECTORS], p[KEYS * VECTORS], top[VECTORS], sum[VECTORS];
    real_int lane[VECTORS];
    number_lanes(lane);
    gather(q, s.q_row, count, scale * LOG2E, qt, SIZE);
    for (int i = 0; i < VSIZE * VECTORS; i++)
        ot[i] = 0;
    for (int i = 0; i < VECTORS; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    for (long key = 0; key < end; key += KEYS) {
        const long n = min((long)KEYS, end - key);
        scores_of_keys(k + key * s.k_row, mask, s, row, key, n, qt, lane, p);
        for (int i = 0; i < VECTORS; i++) {
            real most = top[i], total = 0;
            for (int j = 0; j < n; j++)
                most = p[j * VECTORS + i] > most ? p[j * VECTORS + i] : most;
            const real base = most == -INFINITY ? (real)0 : most;
            for (int j = 0; j < n; j++) {
                p[j * VECTORS + i] = power2(p[j * VECTORS + i] - base);
                total += p[j * VECTORS + i];
            }
            if (key) {
                const real shrink = power2(top[i] - base);
                sum[i] *= shrink;
                for (int d = 0; d < VSIZE; d++)
                    ot[d * VECTORS + i] *= shrink;
            }
            sum[i] += total;
            top[i] = most;
        }
#if DROPOUT
        drop_keys(p, (batch * s.heads + head) * s.rows + row, key, n, lane, drop);
#endif
        ADD_PRODUCTS(v + key * s.v_row, s.v_row, n, p, ot, VSIZE);
    }
    for (int i = 0; i < VECTORS; i++) {
        const real inverse = sum[i] == 0 ? (real)0 : 1 / sum[i];
        for (int d = 0; d < VSIZE; d++)
            ot[d * VECTORS + i] *= inverse;
        top[i] = sum[i] == 0 ? (real)INFINITY : top[i] + log2(sum[i]);
    }
    scatter(ot, out, s.o_row, count, VSIZE);
    lse += (batch * s.heads + head) * s.rows + row;
    for (int l = 0; l < LANES && l < count; l++)
        lse[l] = ((SCALAR *)top)[l];
}

#endif

#if !defined(BACKWARD) || BACKWARD
// Gradient of q, and delta (batch, heads, rows): each row's product of result and gradient, for attention_keys.
// Global size as for attention.
VECTOR_KERNEL attention_rows(global const SCALAR *q, long q_at, global const SCALAR *k, long k_at,
                             global const SCALAR *v, long v_at, global const SCALAR *mask, long m_at,
                             global const SCALAR *out, long o_at, global const SCALAR *g, long g_at,
                             global const SCALAR *lse, global SCALAR *delta, global SCALAR *dq, long dq_at,
                             SCALAR scale, sizes_t s, strides_t t, dropout_t drop)
{
    const long row = get_global_id(0) * LANES, head = get_global_id(1), batch = get_global_id(2);
    if (row >= s.rows) return;
    const long count = min((long)LANES, s.rows - row), end = s.causal ? min(s.keys, row + LANES) : s.keys;
    q += q_at + batch * s.q_batch + head * s.q_head + row * s.q_row;
    k += k_at + batch * s.k_batch + head / s.group * s.k_head;
    v += v_at + batch * s.v_batch + head / s.group * s.v_head;
    out += o_at + batch * s.o_batch + head * s.o_head + row * s.o_row;
    g += g_at + batch * t.g_batch + head * t.g_head + row * t.g_row;
    dq += dq_at + batch * t.q_batch + head * t.q_head + row * t.q_row;
    mask += m_at + batch * s.m_batch + head * s.m_head;
    lse += (batch * s.heads + head) * s.rows + row;
    delta += (batch * s.heads + head) * s.rows + row;

    real qt[SIZE * VECTORS], gt[VSIZE * VECTORS], dqt[SIZE * VECTORS], p[KEYS * VECTORS], dp[KEYS * VECTORS];
    real top[VECTORS], product[VECTORS];
    real_int lane[VECTORS];
    number_lanes(lane);
    gather(q, s.q_row, count, scale * LOG2E, qt, SIZE);
    gather(g, t.g_row, count, 1, gt, VSIZE);
    for (int i = 0; i < SIZE * VECTORS; i++)
        dqt[i] = 0;
    for (int l = 0; l < LANES; l++) {
        const long r = min((long)l, count - 1);
        const SCALAR x = dot_product(out + r * s.o_row, g + r * t.g_row, VSIZE);
        ((SCALAR *)product)[l] = x;
        ((SCALAR *)top)[l] = lse[r];
        delta[r] = x;
    }
    for (long key = 0; key < end; key += KEYS) {
        const long n = min((long)KEYS, end - key);
        scores_of_keys(k + key * s.k_row, mask, s, row, key, n, qt, lane, p);
        for (int j = 0; j < n; j += TILE)
            dots(v + (key + j) * s.v_row, s.v_row, n - j, gt, VSIZE, dp + j * VECTORS);
#if DROPOUT
        drop_keys(dp, (batch * s.heads + head) * s.rows + row, key, n, lane, drop);
#endif
        for (int j = 0; j < n; j++)
            for (int i = 0; i < VECTORS; i++)
                p[j * VECTORS + i] = power2(p[j * VECTORS + i] - top[i]) * (dp[j * VECTORS + i] - product[i]) * scale;
        ADD_PRODUCTS(k + key * s.k_row, s.k_row, n, p, dqt, SIZE);
    }
    scatter(dqt, dq, t.q_row, count, SIZE);
}

// Lanes are keys -----------------------------------------------------------------------------------------------------

#if WHOLE
#define PARTS ((SIZE + WIDTH - 1) / WIDTH)                // vectors of a row of q
#define ABREAST (PARTS > 1 ? 2 : 1)                       // of them, computed at a time
#define ALL_PARTS ((PARTS + ABREAST - 1) / ABREAST * ABREAST)

static void load_padded(global const SCALAR *p, real *out)       // a row of SIZE elements, then zeros
{
    for (int c = 0; c < ALL_PARTS; c++) {
        if ((c + 1) * WIDTH <= SIZE) {
            out[c] = VLOAD(c, p);
        } else {
            out[c] = 0;
            for (int l = c * WIDTH; l < SIZE; l++)
                ((SCALAR *)out)[l] = p[l];
        }
    }
}

// dq[j] (+)= sum over lanes l < lanes of ds[j][l] k[l], for `count` <= TILE rows j.
static void add_to_rows(const real *ds, const real *k, int lanes, global SCALAR *dq, long step, long count, int first)
{
    const SCALAR *factor = (const SCALAR *)ds;
    for (int c = 0; c < ALL_PARTS; c += ABREAST) {
        real sum[TILE][ABREAST];
        for (int j = 0; j < TILE; j++)
            for (int i = 0; i < ABREAST; i++)
                sum[j][i] = 0;
        for (int l = 0; l < lanes; l++) {
            real x[ABREAST];
            for (int i = 0; i < ABREAST; i++)
                x[i] = k[l * ALL_PARTS + c + i];
            for (int j = 0; j < TILE; j++) {
                const real y = factor[j * LANES + l];
                for (int i = 0; i < ABREAST; i++)
                    sum[j][i] = mad(y, x[i], sum[j][i]);
            }
        }
        for (int j = 0; j < TILE; j++)
            if (j < count)
                for (int i = 0; i < ABREAST; i++) {
                    global SCALAR *to = dq + j * step + (c + i) * WIDTH;
                    if ((c + i + 1) * WIDTH <= SIZE) {
                        VSTORE(first ? sum[j][i] : VLOAD(0, to) + sum[j][i], 0, to);
                    } else {
                        SCALAR some[WIDTH];
                        VSTORE(sum[j][i], 0, some);
                        for (int l = 0; (c + i) * WIDTH + l < SIZE; l++)
                            to[l] = first ? some[l] : to[l] + some[l];
                    }
                }
    }
}
#endif

// Gradients of k and v; of q too if WHOLE. Global size (1 if WHOLE, else keys / LANES, rounded up; heads / group;
// batch). If WHOLE, delta is computed here, else by attention_rows.
VECTOR_KERNEL attention_keys(global const SCALAR *q, long q_at, global const SCALAR *k, long k_at,
                             global const SCALAR *v, long v_at, global const SCALAR *mask, long m_at,
                             global const SCALAR *out, long o_at, global const SCALAR *g, long g_at,
                             global const SCALAR *lse, global SCALAR *delta, global SCALAR *dq, long dq_at,
                             global SCALAR *dk, long dk_at, global SCALAR *dv, long dv_at,
                             SCALAR scale, sizes_t s, strides_t t, dropout_t drop)
{
    const long part = get_global_id(1), batch = get_global_id(2);
    if (get_global_id(0) * LANES >= s.keys) return;
    q += q_at + batch * s.q_batch;
    k += k_at + batch * s.k_batch + part * s.k_head;
    v += v_at + batch * s.v_batch + part * s.v_head;
    g += g_at + batch * t.g_batch;
    dq += dq_at + batch * t.q_batch;
    dk += dk_at + batch * t.k_batch + part * t.k_head;
    dv += dv_at + batch * t.v_batch + part * t.v_head;

    real kt[SIZE * VECTORS], vt[VSIZE * VECTORS], dkt[SIZE * VECTORS], dvt[VSIZE * VECTORS];
    real p[KEYS * VECTORS], dp[KEYS * VECTORS];
    real_int lane[VECTORS];
    number_lanes(lane);
#if WHOLE
    real rows_of_k[LANES * ALL_PARTS];
    for (long head = part * s.group; head < (part + 1) * s.group; head++)
        for (long row = 0; row < s.rows; row++)
            delta[(batch * s.heads + head) * s.rows + row] = dot_product(
                out + o_at + batch * s.o_batch + head * s.o_head + row * s.o_row,
                g + head * t.g_head + row * t.g_row, VSIZE);
    for (long key = 0; key < s.keys; key += LANES) {
#else
    {
        const long key = get_global_id(0) * LANES;
#endif
        const long count = min((long)LANES, s.keys - key);
        gather(k + key * s.k_row, s.k_row, count, scale * LOG2E, kt, SIZE);
        gather(v + key * s.v_row, s.v_row, count, 1, vt, VSIZE);
        for (int i = 0; i < SIZE * VECTORS; i++)
            dkt[i] = 0;
        for (int i = 0; i < VSIZE * VECTORS; i++)
            dvt[i] = 0;
#if WHOLE
        for (int l = 0; l < count; l++)
            load_padded(k + (key + l) * s.k_row, rows_of_k + l * ALL_PARTS);
#endif
        for (long head = part * s.group; head < (part + 1) * s.group; head++)
            for (long row = s.causal ? key : 0; row < s.rows; row += KEYS) {
                const long n = min((long)KEYS, s.rows - row), at = (batch * s.heads + head) * s.rows + row;
                global const SCALAR *some_q = q + head * s.q_head + row * s.q_row;
                global const SCALAR *some_g = g + head * t.g_head + row * t.g_row;
                for (int j = 0; j < n; j += TILE) {
                    dots(some_q + j * s.q_row, s.q_row, n - j, kt, SIZE, p + j * VECTORS);
                    dots(some_g + j * t.g_row, t.g_row, n - j, vt, VSIZE, dp + j * VECTORS);
                }
#if MASK
                global const SCALAR *m = mask + m_at + batch * s.m_batch + head * s.m_head + row * s.m_row;
                for (int j = 0; j < n; j++) {
                    real some[VECTORS];
                    for (int l = 0; l < LANES; l++)
                        ((SCALAR *)some)[l] = m[j * s.m_row + min(key + l, s.keys - 1) * s.m_key];
                    for (int i = 0; i < VECTORS; i++)
                        p[j * VECTORS + i] = mad(some[i], LOG2E, p[j * VECTORS + i]);
                }
#endif
                if (count < LANES || (s.causal && row < key + LANES - 1))
                    for (int j = 0; j < n; j++) {
                        const SCALAR_INT last = s.causal ? min(count - 1, row + j - key) : count - 1;
                        for (int i = 0; i < VECTORS; i++)
                            p[j * VECTORS + i] = lane[i] > (real_int)last ? (real)-INFINITY : p[j * VECTORS + i];
                    }
                for (int j = 0; j < n; j++)
                    for (int i = 0; i < VECTORS; i++) {
                        const real x = power2(p[j * VECTORS + i] - lse[at + j]);
#if DROPOUT
                        uints words[4];
                        const uints number = (uint)key + CONVERT(uint, lane[i]);
                        random_words(number / 4, (uints)(uint)(at + j), drop, words);
                        const real_int place = CONVERT(SCALAR_INT, number % 4);
                        const real factor = place == 0 ? keep(words[0], drop) : place == 1 ? keep(words[1], drop)
                                          : place == 2 ? keep(words[2], drop) : keep(words[3], drop);
                        p[j * VECTORS + i] = x * factor;
                        dp[j * VECTORS + i] = x * (dp[j * VECTORS + i] * factor - delta[at + j]) * scale;
#else
                        p[j * VECTORS + i] = x;
                        dp[j * VECTORS + i] = x * (dp[j * VECTORS + i] - delta[at + j]) * scale;
#endif
                    }
                ADD_PRODUCTS(some_g, t.g_row, n, p, dvt, VSIZE);
                ADD_PRODUCTS(some_q, s.q_row, n, dp, dkt, SIZE);
#if WHOLE
                for (int j = 0; j < n; j += TILE)
                    add_to_rows(dp + j * VECTORS, rows_of_k, count, dq + head * t.q_head + (row + j) * t.q_row, t.q_row,
                                n - j, key == 0);
#endif
            }
        scatter(dkt, dk + key * t.k_row, t.k_row, count, SIZE);
        scatter(dvt, dv + key * t.v_row, t.v_row, count, VSIZE);
    }
}
#endif
