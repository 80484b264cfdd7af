// The extreme element along one dimension of an array seen as (outer, n, inner), row by row without gaps, and its
// position: the first one where several are equal, the first NaN where there is one.
//
// Each block of `block` elements gives one value and one position, in results seen as (outer, blocks, inner). Further
// launches join them: with JOINING defined, `positions` holds the position of each element.
//
// Defined by the host (genesis/ops/argument.py):
//   COMPARE   > or <
//   IN        storage type
//   ACC       the C type that elements are compared in
//   WIDTH     lanes of argument_rows; 1 unless the input is floating point
//   SELECT    isgreater or isless, for vectors
#include "types.h"

#ifndef COMPARE
#define COMPARE >
#define SELECT isgreater
#endif
#ifndef IN
#define IN float32
#endif
#ifndef ACC
#define ACC float
#endif

#define BETTER(e, best) ((e) COMPARE (best) || ((e) != (e) && (best) == (best)))

// One work-item a column and block. Global size (inner, blocks, outer).
kernel void argument_columns(global const STORAGE(IN) *x, long x_at, global const long *positions,
                             global STORAGE(IN) *values, global long *out, long n, long inner, long block)
{
    const long column = get_global_id(0);
    if (column >= inner) return;
    const long first = get_global_id(1) * block, last = min(first + block, n);
    const long from = get_global_id(2) * n * inner + column;
    ACC best = (ACC)LOAD1(IN, x, x_at + from + first * inner);
    long position = first;
    for (long i = first + 1; i < last; i++) {
        const ACC e = (ACC)LOAD1(IN, x, x_at + from + i * inner);
        if (BETTER(e, best)) {
            best = e;
            position = i;
        }
    }
    const long to = (get_global_id(2) * get_global_size(1) + get_global_id(1)) * inner + column;
    STORE1(IN, values, to, best);
#ifdef JOINING
    position = positions[from + position * inner];
#endif
    out[to] = position;
}

// One work-item a row, for short rows: compilers make vectors of neighbouring rows. Global size: rows, rounded up.
kernel void argument_short(global const STORAGE(IN) *x, long x_at, global const long *positions,
                           global STORAGE(IN) *values, global long *out, long rows, int n)
{
    const long row = get_global_id(0);
    if (row >= rows) return;
    global const STORAGE(IN) *p = x + x_at + row * n;
    ACC best = (ACC)LOAD1(IN, p, 0);
    int position = 0;
    for (int i = 1; i < n; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i);
        const int better = BETTER(e, best);
        best = better ? e : best;
        position = better ? i : position;
    }
    STORE1(IN, values, row, best);
#ifdef JOINING
    out[row] = positions[row * n + position];
#else
    out[row] = position;
#endif
}

// One work-item a block of a row: finds the value first, WIDTH at a time, then where it is. Global size (blocks, rows).
kernel void argument_rows(global const STORAGE(IN) *x, long x_at, global const long *positions,
                          global STORAGE(IN) *values, global long *out, long n, long block)
{
    const long first = get_global_id(0) * block, count = min(block, n - first);
    global const STORAGE(IN) *p = x + x_at + get_global_id(1) * n + first;
    ACC best = (ACC)LOAD1(IN, p, 0);
    long position = 0;
#if WIDTH > 1
    long i = 0;
    if (count >= 2 * WIDTH) {
        real a0 = LOAD(IN, p, 0), a1 = LOAD(IN, p, 1);
        for (i = 2 * WIDTH; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
            const real e0 = LOAD(IN, p + i, 0), e1 = LOAD(IN, p + i, 1);
            a0 = select(a0, e0, SELECT(e0, a0) || e0 != e0);
            a1 = select(a1, e1, SELECT(e1, a1) || e1 != e1);
        }
        a0 = select(a0, a1, SELECT(a1, a0) || a1 != a1);
        SCALAR lane[WIDTH];
        VSTORE(a0, 0, lane);
        for (int j = 0; j < WIDTH; j++)
            best = BETTER(lane[j], best) ? lane[j] : best;
    }
    for (; i < count; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i);
        best = BETTER(e, best) ? e : best;
    }
    for (i = 0; i + WIDTH <= count; i += WIDTH) {
        const real e = LOAD(IN, p + i, 0);
        if (any(e == best || e != e)) break;
    }
    for (position = i; position + 1 < count; position++) {
        const ACC e = (ACC)LOAD1(IN, p, position);
        if (e == best || e != e) break;
    }
#else
    for (long i = 1; i < count; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i);
        if (BETTER(e, best)) {
            best = e;
            position = i;
        }
    }
#endif
    position += first;
    const long to = get_global_id(1) * get_global_size(0) + get_global_id(0);
    STORE1(IN, values, to, best);
#ifdef JOINING
    position = positions[get_global_id(1) * n + position];
#endif
    out[to] = position;
}

