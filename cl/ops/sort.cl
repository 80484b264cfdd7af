// Stable sorting of rows of unsigned keys, with the position that each key had.
//
// Elements become keys of 32 or 64 bits that compare as they do: make_keys. NaN counts as the largest, -0 and 0 are
// equal, and the order can be reversed (equal elements keep theirs). Then either rank_sort, for short rows, or a radix
// sort from the lowest digit up (Knuth, TAOCP vol. 3, 5.2.5): radix_count, a prefix sum over the counts (scan.cl),
// radix_move. One work-item takes a chunk of a row, so the order is fixed and nothing is atomic.
//
// Defined by the host (genesis/ops/sort.py):
//   IN        storage type of the elements
//   KEYS64    keys have 64 bits (float64, int64)
//   DESCENDING  the order is reversed
//   DIGIT     bits of a digit
//   FIRST     radix_move is at its first digit: the positions are still those of the row
#include "types.h"

#ifndef IN
#define IN float32
#endif
#ifdef KEYS64
typedef ulong sort_key;
#define KEY_float64(x) ((x) != (x) ? ~0UL : (x) == 0 ? 1UL << 63 : (long)as_ulong(x) < 0 ? ~as_ulong(x) \
                        : as_ulong(x) | 1UL << 63)
#define KEY_int64(x) ((ulong)(x) ^ 1UL << 63)
#else
typedef uint sort_key;
#define KEY_float32(x) ((x) != (x) ? ~0u : (x) == 0 ? 1u << 31 : (int)as_uint(x) < 0 ? ~as_uint(x) \
                        : as_uint(x) | 1u << 31)
#define KEY_float16 KEY_float32
#define KEY_bfloat16 KEY_float32
#define KEY_int32(x) ((uint)(x) ^ 1u << 31)
#define KEY_int8 KEY_int32
#define KEY_int16 KEY_int32
#define KEY_uint8(x) ((uint)(x))
#define KEY_bool(x) ((uint)(x))
#endif

#ifndef DIGIT            // the other kernels know keys only
// Global size: n.
kernel void make_keys(global const STORAGE(IN) *x, long x_at, global sort_key *keys, long n)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const sort_key key = PASTE(KEY_, IN)(LOAD1(IN, x, x_at + i));
#ifdef DESCENDING
    keys[i] = ~key;
#else
    keys[i] = key;
#endif
}
#define DIGIT 8
#endif
#define BINS (1 << DIGIT)

// Each key's place is the number of those before it. Global size (n, rows).
kernel void rank_sort(global const sort_key *keys, global sort_key *sorted, global long *order, long n)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const long row = get_global_id(1) * n;
    const sort_key key = keys[row + i];
    int rank = 0;
    for (int j = 0; j < (int)n; j++)
        rank += keys[row + j] < key || (keys[row + j] == key && j < (int)i);
    sorted[row + rank] = key;
    order[row + rank] = i;
}

// How often each digit occurs in a chunk: counts is (rows, BINS, chunks). Global size (chunks, rows).
kernel void radix_count(global const sort_key *keys, global long *counts, long n, long chunk, int shift)
{
    const long c = get_global_id(0), chunks = get_global_size(0), row = get_global_id(1);
    const long first = c * chunk, last = min(first + chunk, n);
    uint count[BINS];
    for (int d = 0; d < BINS; d++)
        count[d] = 0;
    for (long i = first; i < last; i++)
        count[(uint)(keys[row * n + i] >> shift) & (BINS - 1)]++;
    for (int d = 0; d < BINS; d++)
        counts[(row * BINS + d) * chunks + c] = count[d];
}

// Puts each key where its digit belongs: `starts` is the running sum of the counts, (rows, BINS, chunks), each one's own
// included. Global size (chunks, rows).
kernel void radix_move(global const sort_key *keys, global const long *order, global const long *starts,
                       global sort_key *sorted, global long *new_order, long n, long chunk, int shift)
{
    const long c = get_global_id(0), chunks = get_global_size(0), row = get_global_id(1);
    const long first = c * chunk, last = min(first + chunk, n);
    global const long *start = starts + row * BINS * chunks;
    uint to[BINS];
    for (long d = 0; d < BINS; d++)
        to[d] = d + c > 0 ? (uint)start[d * chunks + c - 1] : 0;
    for (long i = first; i < last; i++) {
        const sort_key key = keys[row * n + i];
        const uint at = to[(uint)(key >> shift) & (BINS - 1)]++;
        sorted[row * n + at] = key;
#ifdef FIRST
        new_order[row * n + at] = i;
#else
        new_order[row * n + at] = order[row * n + i];
#endif
    }
}
