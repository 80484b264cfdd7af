// Gradients of attention (attention.cl) with respect to k and v, and to q too if WHOLE; lanes are keys.
//
// A work-item takes a head (WHOLE) or a block of a head's keys, and goes through all rows in blocks of KEYS.
// Arrays and macros: attention.h, and
//   WHOLE   1: all keys of a head, one block after the other, which add up the gradient of q
#include "attention.h"

#ifndef WHOLE
#define WHOLE 0
#endif

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

// Global size (1 if WHOLE, else keys / LANES, rounded up; heads / group;
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
