// Finding: where elements are not 0 or differ from the one before, where values belong in sorted rows.
//
// Positions are found in two steps, with a running sum (scan.cl) between them: `count_found` counts those of each block
// of `block` elements, `write_found` writes them from where the block's begin. Called by genesis/ops/search.py.
//   IN        storage type
//   CHANGES   look for elements that differ from the one before, and for the first, instead of those that are not 0
//   RIGHT     belongs: after equal elements instead of before them
#include "types.h"

#ifndef IN
#define IN float32
#endif
#ifdef CHANGES
#define FOUND(i) ((i) == 0 || LOAD1(IN, x, x_at + (i)) != LOAD1(IN, x, x_at + (i) - 1))
#else
#define FOUND(i) (LOAD1(IN, x, x_at + (i)) != 0)
#endif

// Global size: blocks.
kernel void count_found(global const STORAGE(IN) *x, long x_at, global long *counts, long n, long block)
{
    const long b = get_global_id(0), first = b * block, last = min(first + block, n);
    long found = 0;
    for (long i = first; i < last; i++)
        found += FOUND(i);
    counts[b] = found;
}

// Positions in rising order. Global size: blocks.
kernel void write_found(global const STORAGE(IN) *x, long x_at, global const long *sums, global long *out, long n,
                        long block)
{
    const long b = get_global_id(0), first = b * block, last = min(first + block, n);
    long to = 0;
    if (b > 0) to = sums[b - 1];
    for (long i = first; i < last; i++)
        if (FOUND(i))
            out[to++] = i;
}

// For sorted elements, the number of changes up to each, less 1, written to where the element was before sorting.
// Global size: blocks.
kernel void write_groups(global const STORAGE(IN) *x, long x_at, global const long *sums, global const long *order,
                         global long *out, long n, long block)
{
    const long b = get_global_id(0), first = b * block, last = min(first + block, n);
    long group = -1;
    if (b > 0) group = sums[b - 1] - 1;
    for (long i = first; i < last; i++) {
        if (FOUND(i))
            group++;
        out[order[i]] = group;
    }
}

// The number of elements of a sorted row of n that come before each of m values. The row of sequences is row * step.
// Global size (m, rows).
kernel void belongs(global const STORAGE(IN) *sequence, long sequence_at, long step, global const STORAGE(IN) *values,
                    long values_at, global long *out, long n, long m)
{
    const long i = get_global_id(0), row = get_global_id(1);
    if (i >= m) return;
    global const STORAGE(IN) *p = sequence + sequence_at + row * step;
    long low = 0, high = n;
    while (low < high) {
        const long middle = low + (high - low) / 2;
#ifdef RIGHT
        const int before = !(LOAD1(IN, p, middle) > LOAD1(IN, values, values_at + row * m + i));
#else
        const int before = !(LOAD1(IN, p, middle) >= LOAD1(IN, values, values_at + row * m + i));
#endif
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    out[row * m + i] = low;
}
