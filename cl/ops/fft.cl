// Discrete Fourier transforms of rows that fit into local memory: out[k] = scale * sum over j of in[j] w^(jk),
// w = exp(-2 pi i / N), or its conjugate for the inverse.
//
// A work-group takes GROUP bundles of WIDTH rows at once, from global memory into local memory, through Stockham's passes
// from one half of it into the other, and back:
//
//   rows       row r = o * inner + i begins at o * outer_step + i * inner_step; its elements are `step` apart
//   bundle     rows whose elements lie side by side in local memory: a PAIR has in .lo the real parts of WIDTH rows, in
//              .hi the imaginary ones. On GPUs WIDTH is 1, and neighbouring work-items are neighbouring elements.
//   pass       R values N / R apart are turned by twiddles, transformed, and written `done` apart, where `done` is the
//              product of the radices of the passes before. So the result comes out in order.
//   twiddles   w^t for t < N, from the host, where they were computed in double precision
//
// An inverse transform is a forward one of numbers whose parts are swapped, with the result's parts swapped.
//
// Of real numbers, 2 N of them, the even ones are taken for real parts and the odd ones for imaginary parts: from the
// transform of these N complex numbers the first N + 1 results follow, the others being conjugates ("fold"). The other
// way, from N + 1 numbers to 2 N real ones, likewise ("unfold"). An odd number of them has transforms of its own.
//
// Defined by the host (genesis/ops/fft.py):
//   N             length of the rows, a product of 2 to 13
//   PASSES        the passes: PASS(R, from, to, done), the halves being a and b in turn; from b where HALF
//   LAST          the half that has the result
//   WIDTH, GROUP  rows of a bundle, bundles of a work-group; where WIDTH is over 1, a work-item treats whole bundles
//   STORED, KEPT  how many elements of each row are read, and how many results are written, the first ones
//   IN, OUT       storage types, complex or real
//   PACKED        real numbers are taken in pairs
//   HALF          the input is the first half of a row whose second half are conjugates in reverse order
//   INVERSE       conjugate twiddles; always where HALF and PACKED
//   CONJUGATE     where HALF and PACKED, the input's conjugate counts; where only PACKED, give the result's
//   TURN          multiply result k of row i by v^(ik), v the twiddle of N * inner: a row that was cut into columns
//   IN_BY_ROW, OUT_BY_ROW      elements of a row are neighbours in memory
#ifndef WIDTH
#define WIDTH 1
#endif
#include "types.h"
#if WIDTH > 1
#include "transpose.h"
#endif

#ifndef N
#define N 8
#define PASSES PASS(4, a, b, 1) PASS(2, b, a, 4)
#define LAST a
#define GROUP 1
#define STORED N
#define KEPT N
#define IN complex64
#define OUT complex64
#define IN_BY_ROW 1
#define OUT_BY_ROW 1
#endif

#if WIDTH == 8
#define BOTH 16
#elif WIDTH == 4
#define BOTH 8
#elif WIDTH == 2
#define BOTH 4
#else
#define BOTH 2
#endif
#define PAIR PASTE(SCALAR, BOTH)
#define ONE PASTE(SCALAR, 2)

#ifdef INVERSE
#define SWAPPED(z) (PAIR)((z).hi, (z).lo)
#else
#define SWAPPED(z) (z)
#endif

static PAIR times(PAIR a, ONE w) { return a * w.x + (PAIR)(-a.hi, a.lo) * w.y; }
static PAIR turn_back(PAIR z) { return (PAIR)(z.hi, -z.lo); }                  // times -i
static PAIR conjugate(PAIR z) { return (PAIR)(z.lo, -z.hi); }

// Transforms of a few values, in place.
static void dft2(PAIR *v)
{
    const PAIR d = v[0] - v[1];
    v[0] += v[1];
    v[1] = d;
}

static void dft4(PAIR *v)
{
    const PAIR s = v[0] + v[2], d = v[0] - v[2], t = v[1] + v[3], e = turn_back(v[1] - v[3]);
    v[0] = s + t;
    v[1] = d + e;
    v[2] = s - t;
    v[3] = d - e;
}

static void dft8(PAIR *v)
{
    const SCALAR h = sqrt((SCALAR)0.5);
    PAIR even[4] = {v[0], v[2], v[4], v[6]}, odd[4] = {v[1], v[3], v[5], v[7]};
    dft4(even);
    dft4(odd);
    odd[1] = h * (PAIR)(odd[1].lo + odd[1].hi, odd[1].hi - odd[1].lo);          // times exp(-2 pi i k / 8)
    odd[2] = turn_back(odd[2]);
    odd[3] = h * (PAIR)(odd[3].hi - odd[3].lo, -odd[3].lo - odd[3].hi);
    UNROLL for (int k = 0; k < 4; k++) {
        v[k] = even[k] + odd[k];
        v[k + 4] = even[k] - odd[k];
    }
}

// Of odd length r, from the sums and differences of values at equal distances from both ends.
#define DFT_ODD(r) \
static void dft##r(PAIR *v, global const ONE *twiddles) \
{ \
    PAIR sum[r / 2], turned[r / 2]; \
    const PAIR first = v[0]; \
    UNROLL for (int j = 0; j < r / 2; j++) { \
        sum[j] = v[j + 1] + v[r - 1 - j]; \
        turned[j] = turn_back(v[j + 1] - v[r - 1 - j]); \
        v[0] += sum[j]; \
    } \
    UNROLL for (int k = 1; k <= r / 2; k++) { \
        PAIR even = first, odd = (PAIR)(0); \
        UNROLL for (int j = 0; j < r / 2; j++) { \
            const ONE w = twiddles[(j + 1) * k % r * (N / r)]; \
            even += sum[j] * w.x; \
            odd -= turned[j] * w.y; \
        } \
        v[k] = even + odd; \
        v[r - k] = even - odd; \
    } \
}
DFT_ODD(3)
DFT_ODD(5)
DFT_ODD(7)
DFT_ODD(11)
DFT_ODD(13)

#define DFT_2(v)  dft2(v)
#define DFT_4(v)  dft4(v)
#define DFT_8(v)  dft8(v)
#define DFT_3(v)  dft3(v, twiddles)
#define DFT_5(v)  dft5(v, twiddles)
#define DFT_7(v)  dft7(v, twiddles)
#define DFT_11(v) dft11(v, twiddles)
#define DFT_13(v) dft13(v, twiddles)

#define PASS(R, from, to, done) \
    for (int item = me; item < GROUP * (N / R); item += items) { \
        const int row = item / (N / R) * N, j = item % (N / R), p = j % done; \
        PAIR v[R]; \
        v[0] = from[row + j]; \
        UNROLL for (int k = 1; k < R; k++) \
            v[k] = done == 1 ? from[row + j + k * (N / R)] \
                             : times(from[row + j + k * (N / R)], twiddles[k * p * (N / (done * R))]); \
        PASTE(DFT_, R)(v); \
        UNROLL for (int k = 0; k < R; k++) to[row + (j - p) * R + p + k * done] = v[k]; \
    } \
    barrier(CLK_LOCAL_MEM_FENCE);

// Element k of a row that begins at p, whose elements are `step` apart; and the converse.
#define READ_complex(p, k, step)   (ONE)((p)[(k) * (step)].x, (p)[(k) * (step)].y)
#define WRITE_complex(p, k, step, re, im)  ((p)[(k) * (step)] = (ONE)(re, im))
#ifdef PACKED
#define READ_real(p, k, step)      (ONE)((p)[2 * (k) * (step)], (p)[(2 * (k) + 1) * (step)])
#define WRITE_real(p, k, step, re, im)     ((p)[2 * (k) * (step)] = re, (p)[(2 * (k) + 1) * (step)] = im)
#else
#define READ_real(p, k, step)      (ONE)((p)[(k) * (step)], 0)
#define WRITE_real(p, k, step, re, im)     ((p)[(k) * (step)] = re)
#endif
#define KIND_float32    real_
#define KIND_float64    real_
#define KIND_complex64  complex_
#define KIND_complex128 complex_
#define IS_real_    0
#define IS_complex_ 1
#define IN_COMPLEX  PASTE(IS_, PASTE(KIND_, IN))
#define OUT_COMPLEX PASTE(IS_, PASTE(KIND_, OUT))
#if IN_COMPLEX
#define READ READ_complex
#else
#define READ READ_real
#endif
#if OUT_COMPLEX
#define WRITE WRITE_complex
#else
#define WRITE WRITE_real
#endif

// Of 2 n real numbers in pairs: result k from those of the pairs, x at k and y at n - k (0 for n); w turns by k in 2 n.
static PAIR folded(PAIR x, PAIR y, bool alone, ONE w)
{
    PAIR z = (SCALAR)0.5 * (x + conjugate(y) + times(turn_back(x - conjugate(y)), w));
    if (alone) z.hi = 0;                             // k is 0 or n
#ifdef CONJUGATE
    z = conjugate(z);
#endif
    return z;
}

// The converse: what the pairs' transform begins with at k, from x at k and y at n - k.
static PAIR unfolded(PAIR x, PAIR y, bool alone, ONE w)
{
    if (alone) {                                     // both are real
        x.hi = 0;
        y.hi = 0;
    }
#ifndef CONJUGATE
    y = conjugate(y);
#else
    x = conjugate(x);
#endif
    return x + y - turn_back(times(x - y, (ONE)(w.x, -w.y)));
}

#ifdef HALF
// What the passes begin with, at k, from the first half of a row of conjugates.
static PAIR completed(local const PAIR *row, int k, global const ONE *turns)
{
#ifdef PACKED
    const PAIR z = unfolded(row[k], row[N - k], k == 0, turns[k]);
#else
    PAIR z = row[k > N / 2 ? N - k : k];
    if (k > N / 2) z = conjugate(z);
    if (k == 0) z.hi = 0;
#endif
    return SWAPPED(z);
}
#endif

// Result k of a row, or of a bundle; turn: of TURN, for each row.
static PAIR result(local const PAIR *row, int k, global const ONE *turns, PAIR turn, SCALAR scale)
{
#if defined(PACKED) && !defined(HALF)
    return scale * folded(row[k % N], row[k ? N - k : 0], k % N == 0, turns[k]);
#else
    PAIR z = row[k];
#ifdef TURN
    z = (PAIR)(z.lo * turn.lo - z.hi * turn.hi, z.lo * turn.hi + z.hi * turn.lo);
#endif
    return SWAPPED(z * scale);
#endif
}

#if WIDTH == 1
#define ITEMS(r, k, count, by_row) \
    const int r = by_row ? item / (count) : item % GROUP, k = by_row ? item % (count) : item / GROUP;
#else
#define VLOAD_BOTH(p)     PASTE(vload, BOTH)(0, p)
#define VSTORE_BOTH(z, p) PASTE(vstore, BOTH)(z, 0, p)

// One element of every row of a bundle, each read or written by itself.
static PAIR gathered(global const STORAGE(IN) *in, local const long *begin, int k, long step)
{
    SCALAR part[BOTH];
    for (int i = 0; i < WIDTH; i++) {
        const ONE z = READ(in + begin[i], k, step);
        part[i] = z.x;
        part[WIDTH + i] = z.y;
    }
    return VLOAD_BOTH(part);
}

static void scattered(global STORAGE(OUT) *out, local const long *end, int rows, int k, long step, PAIR z)
{
    SCALAR part[BOTH];
    VSTORE_BOTH(z, part);
    for (int i = 0; i < rows; i++) WRITE(out + end[i], k, step, part[i], part[WIDTH + i]);
}
#endif

VECTOR_KERNEL fft(
    global const STORAGE(IN) *in, long in_at, global STORAGE(OUT) *out, long out_at, global const ONE *twiddles,
    global const ONE *turns, SCALAR scale, long rows, long inner, long in_outer, long in_inner, long in_step,
    long out_outer, long out_inner, long out_step)
{
    local PAIR a[GROUP * (STORED > N ? STORED : N)], b[GROUP * N];
    local long begin[GROUP * WIDTH], end[GROUP * WIDTH], column[GROUP * WIDTH];
    const int me = get_local_id(0), items = get_local_size(0);
    const long first = (long)get_group_id(0) * GROUP * WIDTH;

    for (int r = me; r < GROUP * WIDTH; r += items) {               // once a row: divisions take long
        const long row = min(first + r, rows - 1), o = row / inner, i = row % inner;
        begin[r] = in_at + o * in_outer + i * in_inner;             // the last group has the last row more than once
        end[r] = out_at + o * out_outer + i * out_inner;
        column[r] = i;
    }
    barrier(CLK_LOCAL_MEM_FENCE);

#ifdef HALF
#define TAKEN(z) (z)             // swapped when it is completed
#else
#define TAKEN(z) SWAPPED(z)
#endif
#if WIDTH == 1
    for (int item = me; item < GROUP * STORED; item += items) {
        ITEMS(r, k, STORED, IN_BY_ROW)
        const PAIR z = READ(in + begin[r], k, in_step);
        a[r * STORED + k] = TAKEN(z);
    }
#else
    for (int bundle = me; bundle < GROUP; bundle += items) {
        local const long *at = begin + bundle * WIDTH;
        local PAIR *to = a + bundle * STORED;
        int k = 0;
#if IN_BY_ROW
        for (; k + WIDTH <= STORED; k += WIDTH) {
            real re[WIDTH], im[WIDTH];
            UNROLL for (int i = 0; i < WIDTH; i++) {
#if IN_COMPLEX || defined(PACKED)
                const PAIR z = VLOAD_BOTH((global const SCALAR *)(in + at[i]) + 2 * k);
                re[i] = z.even;
                im[i] = z.odd;
#else
                re[i] = VLOAD(0, in + at[i] + k);
                im[i] = 0;
#endif
            }
            TRANSPOSE(re)
            TRANSPOSE(im)
            UNROLL for (int i = 0; i < WIDTH; i++) {
                const PAIR z = (PAIR)(re[i], im[i]);
                to[k + i] = TAKEN(z);
            }
        }
#else
        if (at[WIDTH - 1] - at[0] == WIDTH - 1)                     // rows are neighbours in memory
            for (; k < STORED; k++) {
#if IN_COMPLEX
                const PAIR pairs = VLOAD_BOTH((global const SCALAR *)(in + at[0] + k * in_step));
                const PAIR z = (PAIR)(pairs.even, pairs.odd);
#elif defined(PACKED)
                const PAIR z = (PAIR)(VLOAD(0, in + at[0] + 2 * k * in_step),
                                      VLOAD(0, in + at[0] + (2 * k + 1) * in_step));
#else
                const PAIR z = (PAIR)(VLOAD(0, in + at[0] + k * in_step), (real)0);
#endif
                to[k] = TAKEN(z);
            }
#endif
        for (; k < STORED; k++) {
            const PAIR z = gathered(in, at, k, in_step);
            to[k] = TAKEN(z);
        }
    }
#endif
    barrier(CLK_LOCAL_MEM_FENCE);

#ifdef HALF
    for (int item = me; item < GROUP * N; item += items) b[item] = completed(a + item / N * STORED, item % N, turns);
    barrier(CLK_LOCAL_MEM_FENCE);
#endif

    PASSES

#if WIDTH == 1
    for (int item = me; item < GROUP * KEPT; item += items) {
        ITEMS(r, k, KEPT, OUT_BY_ROW)
        if (first + r >= rows) continue;
#ifdef TURN
        const PAIR turn = turns[column[r] * k];
#else
        const PAIR turn = 0;
#endif
        const PAIR z = result(LAST + r * N, k, turns, turn, scale);
        WRITE(out + end[r], k, out_step, z.x, z.y);
    }
#else
    for (int bundle = me; bundle < GROUP; bundle += items) {
        local const long *at = end + bundle * WIDTH;
        local const PAIR *from = LAST + bundle * N;
        const int there = clamp(rows - first - bundle * WIDTH, 0L, (long)WIDTH);
        int k = 0;
        PAIR turn = (PAIR)(0);
#ifdef TURN
#define TURN_AT(k) \
        { \
            SCALAR part[BOTH]; \
            for (int i = 0; i < WIDTH; i++) { \
                const ONE w = turns[column[bundle * WIDTH + i] * (k)]; \
                part[i] = w.x; \
                part[WIDTH + i] = w.y; \
            } \
            turn = VLOAD_BOTH(part); \
        }
#else
#define TURN_AT(k)
#endif
#if OUT_BY_ROW
        for (; there == WIDTH && k + WIDTH <= KEPT; k += WIDTH) {
            real re[WIDTH], im[WIDTH];
            UNROLL for (int i = 0; i < WIDTH; i++) {
                TURN_AT(k + i)
                const PAIR z = result(from, k + i, turns, turn, scale);
                re[i] = z.lo;
                im[i] = z.hi;
            }
            TRANSPOSE(re)
            TRANSPOSE(im)
            UNROLL for (int i = 0; i < WIDTH; i++) {
#if OUT_COMPLEX || defined(PACKED)
                PAIR z;
                z.even = re[i];
                z.odd = im[i];
                VSTORE_BOTH(z, (global SCALAR *)(out + at[i]) + 2 * k);
#else
                VSTORE(re[i], 0, out + at[i] + k);
#endif
            }
        }
#else
        if (there == WIDTH && at[WIDTH - 1] - at[0] == WIDTH - 1)
            for (; k < KEPT; k++) {
                TURN_AT(k)
                const PAIR z = result(from, k, turns, turn, scale);
#if OUT_COMPLEX
                PAIR pairs;
                pairs.even = z.lo;
                pairs.odd = z.hi;
                VSTORE_BOTH(pairs, (global SCALAR *)(out + at[0] + k * out_step));
#elif defined(PACKED)
                VSTORE(z.lo, 0, out + at[0] + 2 * k * out_step);
                VSTORE(z.hi, 0, out + at[0] + (2 * k + 1) * out_step);
#else
                VSTORE(z.lo, 0, out + at[0] + k * out_step);
#endif
            }
#endif
        for (; k < KEPT; k++) {
            TURN_AT(k)
            const PAIR z = result(from, k, turns, turn, scale);
            scattered(out, at, there, k, out_step, z);
        }
    }
#endif
}

// The same step for rows that were transformed in several launches: (rows, n) to (rows, n + 1).
// Global size (n + 1, rows); a work-item an element. Of the converse (n, rows).
kernel void fold(global const ONE *in, long in_at, global ONE *out, long out_at, global const ONE *turns, SCALAR scale,
                 long n)
{
    const long k = get_global_id(0), row = get_global_id(1);
    in += in_at + row * n;
    out[out_at + row * (n + 1) + k] = scale * folded(in[k % n], in[k ? n - k : 0], k % n == 0, turns[k]);
}

kernel void unfold(global const ONE *in, long in_at, global ONE *out, long out_at, global const ONE *turns, SCALAR scale,
                   long n)
{
    const long k = get_global_id(0), row = get_global_id(1);
    in += in_at + row * (n + 1);
    out[out_at + row * n + k] = scale * unfolded(in[k], in[n - k], k == 0, turns[k]);
}
