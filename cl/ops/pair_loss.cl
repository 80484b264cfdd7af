// Sums of a loss of corresponding elements of two arrays, without writing the losses down.
//
// Work-item i adds up LOSS(x, t, p) over its part of n elements, times `scale`, into out[i]; reduce.cl adds up the parts.
// A part is `block` neighbouring elements, read WIDTH at a time; or, with INTERLEAVED, every so many work-items' element,
// so that neighbouring work-items read neighbouring elements (for GPUs).
//
// Defined by the host (genesis/ops/pair_loss.py):
//   LOSS     LOSS_mse or another macro of losses.h
//   X, T     storage types of the predictions and the targets, both contiguous
//   OUT      storage type of the sums: float32, or float64 with REAL64
//   WIDTH    elements at a time; 1 with INTERLEAVED
#ifndef LOSS
#define LOSS LOSS_mse
#define X float32
#define T float32
#define OUT float32
#define WIDTH 4
#endif
#include "types.h"
#ifdef REAL64
#define K(number) number
#else
#define K(number) number##f
#endif
#include "losses.h"

kernel void pair_loss(global const STORAGE(X) *x, long x_at, global const STORAGE(T) *t, long t_at,
                      global STORAGE(OUT) *out, long n, long block, SCALAR p, SCALAR scale)
{
    const long item = get_global_id(0);
    x += x_at;
    t += t_at;
    SCALAR total = 0;
#ifdef INTERLEAVED
    const long items = get_global_size(0);
    for (long i = item; i < n; i += items)
        total += LOSS((SCALAR)LOAD1(X, x, i), (SCALAR)LOAD1(T, t, i), p);
#else
    const long first = item * block, last = min(first + block, n), whole = (last - first) / WIDTH;
    real sum = 0;
    x += first;
    t += first;
    for (long i = 0; i < whole; i++) {
        const real a = LOAD(X, x, i), b = LOAD(T, t, i);
        sum += LOSS(a, b, p);
    }
    for (long i = whole * WIDTH; i < last - first; i++) {
        const SCALAR a = LOAD1(X, x, i), b = LOAD1(T, t, i);
        total += LOSS(a, b, p);
    }
#if WIDTH == 1
    total += sum;
#else
    SCALAR lanes[WIDTH];
    PASTE(vstore, WIDTH)(sum, 0, lanes);
    for (int i = 0; i < WIDTH; i++) total += lanes[i];
#endif
#endif
    out[item] = total * scale;
}
