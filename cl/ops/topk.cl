// The k largest or smallest elements of each row of n, with their positions, best first; equal ones in their order.
//
// A work-item keeps a sorted list of k for a block of its row; the rest of the block costs one comparison an element,
// WIDTH at a time. Further launches join the blocks' lists: with JOINING, `positions` holds the position of each element,
// -1 where a list was not full. Lists are (rows, blocks, k). Called by genesis/ops/topk.py.
//   IN, ACC   storage type and the C type that elements are compared in
//   LARGEST   the largest elements (NaN counts as the largest)
//   WIDTH     elements compared at once; 1 unless the input is floating point
#include "types.h"

#ifndef IN
#define IN float32
#endif
#ifndef ACC
#define ACC float
#endif
#ifdef LARGEST
#define BETTER(e, v) ((e) > (v) || ((e) != (e) && (v) == (v)))
#define NOT_BETTER islessequal        // false also for NaN
#else
#define BETTER(e, v) ((e) < (v) || ((v) != (v) && (e) == (e)))
#define NOT_BETTER isgreaterequal
#endif

// Global size (blocks, rows).
kernel void top(global const STORAGE(IN) *x, long x_at, global const long *positions, global STORAGE(IN) *values,
                global long *out, long n, long block, long k)
{
    const long first = get_global_id(0) * block, last = min(first + block, n), row = get_global_id(1) * n;
    const long list = (get_global_id(1) * get_global_size(0) + get_global_id(0)) * k;
    global const STORAGE(IN) *p = x + x_at + row;
    long filled = 0, i = first;
    ACC worst = 0;
    while (i < last) {
        long stop = i + 1;
#if WIDTH > 1
        if (filled == k && i + WIDTH <= last) {
            const real e = LOAD(IN, p + i, 0);
            if (all(NOT_BETTER(e, (real)worst))) {
                i += WIDTH;
                continue;
            }
            stop = i + WIDTH;
        }
#endif
        for (; i < stop; i++) {
#ifdef JOINING
            const long position = positions[row + i];
            if (position < 0) continue;
#else
            const long position = i;
#endif
            const ACC e = (ACC)LOAD1(IN, p, i);
            if (filled == k && !BETTER(e, worst)) continue;
            long at = filled < k ? filled++ : k - 1;
            while (at > 0) {
                const ACC before = (ACC)LOAD1(IN, values, list + at - 1);
                if (!BETTER(e, before)) break;
                STORE1(IN, values, list + at, before);
                out[list + at] = out[list + at - 1];
                at--;
            }
            STORE1(IN, values, list + at, e);
            out[list + at] = position;
            if (filled == k)
                worst = (ACC)LOAD1(IN, values, list + k - 1);
        }
    }
    for (; filled < k; filled++)
        out[list + filled] = -1;
}
