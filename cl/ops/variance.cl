// Variance along one dimension of an array seen as (outer, n, inner), row by row without gaps.
//
// Each block of `block` elements gives its mean and the sum of squared differences from it, (outer, blocks, inner) each;
// moments_join combines them in order (Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for
// computing sample variances") and divides. Nothing is lost when the mean is large beside the deviation.
//
// Defined by the host (genesis/ops/variance.py):
//   IN, OUT   storage types of the elements and of the result;  WIDTH  lanes of moments_rows
//   ROOT      the result is the standard deviation
#include "types.h"

#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif

// One work-item a block of a row: the mean first, then the differences, while the block is in the cache.
// Global size (blocks, rows).
kernel void moments_rows(global const STORAGE(IN) *x, long x_at, global SCALAR *means, global SCALAR *squares,
                         long n, long block)
{
    const long first = get_global_id(0) * block, count = min(block, n - first);
    global const STORAGE(IN) *p = x + x_at + get_global_id(1) * n + first;
    const long to = get_global_id(1) * get_global_size(0) + get_global_id(0);
    SCALAR sum = 0, square = 0, rest = 0;
    long i = 0;
#if WIDTH > 1
    SCALAR lane[WIDTH];
    if (count >= 2 * WIDTH) {
        real a0 = 0, a1 = 0;
        for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
            a0 += LOAD(IN, p + i, 0);
            a1 += LOAD(IN, p + i, 1);
        }
        a0 += a1;
        VSTORE(a0, 0, lane);
        for (int j = 0; j < WIDTH; j++)
            sum += lane[j];
    }
#endif
    for (; i < count; i++)
        sum += (SCALAR)LOAD1(IN, p, i);
    const SCALAR mean = sum / count;
    i = 0;
#if WIDTH > 1
    if (count >= 2 * WIDTH) {
        real a0 = 0, a1 = 0, b0 = 0, b1 = 0;
        for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
            const real d0 = LOAD(IN, p + i, 0) - mean, d1 = LOAD(IN, p + i, 1) - mean;
            a0 += d0 * d0;
            a1 += d1 * d1;
            b0 += d0;
            b1 += d1;
        }
        a0 += a1;
        b0 += b1;
        VSTORE(a0, 0, lane);
        for (int j = 0; j < WIDTH; j++)
            square += lane[j];
        VSTORE(b0, 0, lane);
        for (int j = 0; j < WIDTH; j++)
            rest += lane[j];
    }
#endif
    for (; i < count; i++) {
        const SCALAR d = (SCALAR)LOAD1(IN, p, i) - mean;
        square += d * d;
        rest += d;
    }
    rest /= count;                                 // what rounding took from the mean
    square -= rest * rest * count;
    means[to] = mean + rest;
    squares[to] = square < 0 ? 0 : square;
}

// One work-item a column and block, by Welford's recurrence (1962) on differences from the first element. Global size (inner, blocks, outer).
kernel void moments_columns(global const STORAGE(IN) *x, long x_at, global SCALAR *means, global SCALAR *squares,
                            long n, long inner, long block)
{
    const long column = get_global_id(0);
    if (column >= inner) return;
    const long first = get_global_id(1) * block, count = min(block, n - first);
    global const STORAGE(IN) *p = x + x_at + (get_global_id(2) * n + first) * inner + column;
    const SCALAR shift = (SCALAR)LOAD1(IN, p, 0);
    SCALAR mean = 0, square = 0;
    for (long i = 1; i < count; i++) {
        const SCALAR e = (SCALAR)LOAD1(IN, p, i * inner) - shift, d = e - mean;
        mean += d / (SCALAR)(i + 1);
        square += d * (e - mean);
    }
    const long to = (get_global_id(2) * get_global_size(1) + get_global_id(1)) * inner + column;
    means[to] = shift + mean;
    squares[to] = square;
}

// Global size (inner, outer).
kernel void moments_join(global const SCALAR *means, global const SCALAR *squares, global STORAGE(OUT) *out,
                         long out_at, global SCALAR *mean_out, long n, long inner, long block, long blocks,
                         SCALAR divisor)
{
    const long column = get_global_id(0), o = get_global_id(1);
    if (column >= inner) return;
    const long from = o * blocks * inner + column;
    SCALAR mean = means[from], square = squares[from];
    long seen = min(block, n);
    for (long b = 1; b < blocks; b++) {
        const long count = min(block, n - b * block);
        const SCALAR d = means[from + b * inner] - mean, share = (SCALAR)count / (SCALAR)(seen + count);
        square += squares[from + b * inner] + d * d * ((SCALAR)seen * share);
        mean += d * share;
        seen += count;
    }
    square /= divisor;
#ifdef ROOT
    square = sqrt(square);
#endif
    STORE1(OUT, out, out_at + o * inner + column, square);
    mean_out[o * inner + column] = mean;
}

// The gradient: (x - mean) * scale. Global size (inner, n, outer), or (n, outer) with LAST, for inner = 1.
kernel void centered(global const STORAGE(IN) *x, long x_at, global const SCALAR *mean, global const SCALAR *scale,
                     global STORAGE(IN) *out, long out_at, long n, long inner)
{
#ifdef LAST
    const long i = 0, k = get_global_id(0), o = get_global_id(1);
    if (k >= n) return;
#else
    const long i = get_global_id(0), k = get_global_id(1), o = get_global_id(2);
    if (i >= inner) return;
#endif
    const long at = (o * n + k) * inner + i, row = o * inner + i;
    STORE1(IN, out, out_at + at, ((SCALAR)LOAD1(IN, x, x_at + at) - mean[row]) * scale[row]);
}
