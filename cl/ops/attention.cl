// Scaled dot-product attention without storing the matrix of scores (FlashAttention: Dao et al. 2022,
// arXiv:2205.14135, with the online softmax of Milakov & Gimelshein 2018, arXiv:1805.02867).
//
//   scores = scale Q K^T + mask,   P = softmax(scores),   out = dropout(P) V
//
// Here lanes are rows:
//   attention        a work-item per block of rows: all keys in blocks of KEYS, keeping maximum and sum of each row
//   attention_rows   the same: the gradient of q, where there are too few heads for attention_keys.cl to compute it
//
// Forward leaves log2 of each row's sum of exponentials in `lse` (batch, heads, rows), +infinity for a row that sees no
// key; backward computes P again from it. Arrays and macros: attention.h.
#include "attention.h"

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
