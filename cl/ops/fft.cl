// Discrete Fourier transforms of rows that fit into local memory: out[k] = scale * sum over j of in[j] w^(jk),
// w = exp(-2 pi i / N), or its conjugate for the inverse.
//
// A work-group takes GROUP rows at once, from global memory into local memory, through Stockham's passes from one half
// of it into the other, and back:
//
//   rows       row r = o * inner + i begins at o * outer_step + i * inner_step; its elements are `step` apart
//   pass       R values N / R apart are turned by twiddles, transformed, and written `done` apart, where `done` is the
//              product of the radices of the passes before. So the result comes out in order.
//   twiddles   w^t for t < N, from the host, where they were computed in double precision
//
// An inverse transform is a forward one of numbers whose parts are swapped, with the result's parts swapped.
//
// Defined by the host (genesis/ops/fft.py):
//   N             length of the rows, a product of 2 to 13
//   PASSES        the passes: PASS(R, from, to, done), the halves being a and b in turn
//   LAST          the half that has the result
//   GROUP         rows of a work-group
//   KEPT          how many results of each row are written, the first ones
//   IN, OUT       storage types: complex, or real for the real part alone
//   HALF          the input is the first half of a row whose second half are conjugates in reverse order
//   INVERSE       conjugate twiddles
//   TURN          multiply result k of row i by v^(ik), v the twiddle of N * inner: a row that was cut into columns
//   BY_ROW        neighbours in memory are elements of a row, not of different rows
#include "types.h"

#ifndef N
#define N 8
#define PASSES PASS(4, a, b, 1) PASS(2, b, a, 4)
#define LAST a
#define GROUP 1
#define KEPT N
#define IN complex64
#define OUT complex64
#define BY_ROW 1
#define COMPUTE float2
#endif

#define CONVERTED(z) PASTE(convert_, COMPUTE)(z)
#define IN_float32(p, i)     ((COMPUTE)((p)[i], 0))
#define IN_float64(p, i)     ((COMPUTE)((SCALAR)(p)[i], 0))
#define IN_complex64(p, i)   CONVERTED((p)[i])
#define IN_complex128(p, i)  CONVERTED((p)[i])
#define OUT_float32(p, i, z)     ((p)[i] = (z).x)
#define OUT_float64(p, i, z)     ((p)[i] = (z).x)
#define OUT_complex64(p, i, z)   ((p)[i] = z)
#define OUT_complex128(p, i, z)  ((p)[i] = z)

#ifdef INVERSE
#define SWAPPED(z) (z).yx
#else
#define SWAPPED(z) (z)
#endif

static COMPUTE times(COMPUTE a, COMPUTE b) { return (COMPUTE)(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
static COMPUTE turn_back(COMPUTE z) { return (COMPUTE)(z.y, -z.x); }           // times -i

// Transforms of a few values, in place.
static void dft2(COMPUTE *v)
{
    const COMPUTE d = v[0] - v[1];
    v[0] += v[1];
    v[1] = d;
}

static void dft4(COMPUTE *v)
{
    const COMPUTE s = v[0] + v[2], d = v[0] - v[2], t = v[1] + v[3], e = turn_back(v[1] - v[3]);
    v[0] = s + t;
    v[1] = d + e;
    v[2] = s - t;
    v[3] = d - e;
}

static void dft8(COMPUTE *v)
{
    const SCALAR h = sqrt((SCALAR)0.5);
    COMPUTE even[4] = {v[0], v[2], v[4], v[6]}, odd[4] = {v[1], v[3], v[5], v[7]};
    dft4(even);
    dft4(odd);
    odd[1] = h * (COMPUTE)(odd[1].x + odd[1].y, odd[1].y - odd[1].x);          // times exp(-2 pi i k / 8)
    odd[2] = turn_back(odd[2]);
    odd[3] = h * (COMPUTE)(odd[3].y - odd[3].x, -odd[3].x - odd[3].y);
    UNROLL for (int k = 0; k < 4; k++) {
        v[k] = even[k] + odd[k];
        v[k + 4] = even[k] - odd[k];
    }
}

// Of odd length r, from the sums and differences of values at equal distances from both ends.
#define DFT_ODD(r) \
static void dft##r(COMPUTE *v, global const COMPUTE *twiddles) \
{ \
    COMPUTE sum[r / 2], turned[r / 2]; \
    const COMPUTE first = v[0]; \
    UNROLL for (int j = 0; j < r / 2; j++) { \
        sum[j] = v[j + 1] + v[r - 1 - j]; \
        turned[j] = turn_back(v[j + 1] - v[r - 1 - j]); \
        v[0] += sum[j]; \
    } \
    UNROLL for (int k = 1; k <= r / 2; k++) { \
        COMPUTE even = first, odd = 0; \
        UNROLL for (int j = 0; j < r / 2; j++) { \
            const COMPUTE w = twiddles[(j + 1) * k % r * (N / r)]; \
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
        COMPUTE v[R]; \
        v[0] = from[row + j]; \
        UNROLL for (int k = 1; k < R; k++) \
            v[k] = done == 1 ? from[row + j + k * (N / R)] \
                             : times(from[row + j + k * (N / R)], twiddles[k * p * (N / (done * R))]); \
        PASTE(DFT_, R)(v); \
        UNROLL for (int k = 0; k < R; k++) to[row + (j - p) * R + p + k * done] = v[k]; \
    } \
    barrier(CLK_LOCAL_MEM_FENCE);

kernel void fft(
    global const STORAGE(IN) *in, long in_at, global STORAGE(OUT) *out, long out_at, global const COMPUTE *twiddles,
    global const COMPUTE *turns, SCALAR scale, long rows, long inner, long in_outer, long in_inner, long in_step,
    long out_outer, long out_inner, long out_step)
{
    local COMPUTE a[GROUP * N], b[GROUP * N];
    local long begin[GROUP], end[GROUP], column[GROUP];
    const int me = get_local_id(0), items = get_local_size(0);
    const long first = (long)get_group_id(0) * GROUP;

    for (int r = me; r < GROUP; r += items) {                       // once a row: divisions take long
        const long row = min(first + r, rows - 1), o = row / inner, i = row % inner;
        begin[r] = in_at + o * in_outer + i * in_inner;             // the last group has the last row more than once
        end[r] = out_at + o * out_outer + i * out_inner;
        column[r] = i;
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int item = me; item < GROUP * N; item += items) {
        const int r = BY_ROW ? item / N : item % GROUP, k = BY_ROW ? item % N : item / GROUP;
#ifdef HALF
        COMPUTE z = PASTE(IN_, IN)(in, begin[r] + (k > N / 2 ? N - k : k) * in_step);
        if (k > N / 2) z.y = -z.y;
        if (k == 0 || 2 * k == N) z.y = 0;
#else
        const COMPUTE z = PASTE(IN_, IN)(in, begin[r] + k * in_step);
#endif
        a[r * N + k] = SWAPPED(z);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    PASSES

    for (int item = me; item < GROUP * KEPT; item += items) {
        const int r = BY_ROW ? item / KEPT : item % GROUP, k = BY_ROW ? item % KEPT : item / GROUP;
        if (first + r >= rows) continue;
        COMPUTE z = LAST[r * N + k];
#ifdef TURN
        z = times(z, turns[column[r] * k]);
#endif
        z = SWAPPED(z * scale);
        PASTE(OUT_, OUT)(out, end[r] + k * out_step, z);
    }
}
