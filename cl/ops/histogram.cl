// How many elements belong in each of some bins. The host (genesis/ops/histogram.py) adds up the rows of counts.
//
// Defined by the host:
//   IN        storage type of the elements
//   NUMBERS   an element is the number of its bin; else the bins are equal parts of the range from low to high, which
//             belongs to the last one. What has no bin, such as NaN, is not counted
#include "types.h"

#ifndef IN
#define IN float32
#endif

static long bin_of(global const STORAGE(IN) *x, long i, long bins, SCALAR low, SCALAR high)
{
#ifdef NUMBERS
    const long bin = LOAD1(IN, x, i);
    return bin < bins ? bin : -1;
#else
    const SCALAR value = LOAD1(IN, x, i);
    const long bin = (int)((value - low) * bins / (high - low));
    return value >= low && value <= high ? min(bin, bins - 1) : -1;
#endif
}

// A row of counts for each block, for CPUs. Global size: blocks.
kernel void count_blocks(global const STORAGE(IN) *x, long x_at, global uint *counts, long n, long block, long bins,
                         SCALAR low, SCALAR high)
{
    const long first = get_global_id(0) * block, last = min(first + block, n);
    counts += get_global_id(0) * bins;
    for (long i = 0; i < bins; i++)
        counts[i] = 0;
    for (long i = first; i < last; i++) {
        const long bin = bin_of(x, x_at + i, bins, low, high);
        counts[max(bin, 0L)] += bin >= 0;                // instead of a jump that cannot be foretold
    }
}

// The same for GPUs, where work-groups take turns with the rows, which begin at 0. Sums of whole numbers do not depend
// on their order. Global size: n, rounded up to whole work-groups.
kernel void count_each(global const STORAGE(IN) *x, long x_at, global uint *counts, long n, long rows, long bins,
                       SCALAR low, SCALAR high)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const long bin = bin_of(x, x_at + i, bins, low, high);
    if (bin >= 0)
        atomic_inc(counts + get_group_id(0) % rows * bins + bin);
}
