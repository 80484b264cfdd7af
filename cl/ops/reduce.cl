// Sums, products, extrema along one dimension of an array seen as (outer, n, inner), row by row without gaps.
//
// The dimension is cut into `blocks` of `block` elements; each kernel reduces every block to one element of a result
// seen as (outer, blocks, inner). A second launch, with one block, finishes. The order is fixed by the shapes alone,
// so results repeat bit for bit.
//
// Defined by the host (genesis/ops/reduce.py):
//   OP            sum, sumsq, prod, amax or amin
//   COMPARE       > or <: compile the kernel that finds positions instead
//   IN, OUT       storage types
//   ACC           the C type of the running result
//   WIDTH         lanes of a work-item in reduce_rows; 1 unless the input is floating point
#include "types.h"

#ifndef OP
#define OP sum
#endif
#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif
#ifndef ACC
#define ACC float
#endif

#define START_sum    0
#define START_sumsq  0
#define START_prod   1
#define START_amax   LOWEST
#define START_amin   HIGHEST
#define STEP_sum(a, x)    ((a) + (x))
#define STEP_sumsq(a, x)  ((a) + (x) * (x))
#define STEP_prod(a, x)   ((a) * (x))
#define STEP_amax(a, x)   ((x) > (a) || (x) != (x) ? (x) : (a))
#define STEP_amin(a, x)   ((x) < (a) || (x) != (x) ? (x) : (a))
#define JOIN_sum     STEP_sum
#define JOIN_sumsq   STEP_sum
#define JOIN_prod    STEP_prod
#define JOIN_amax    STEP_amax
#define JOIN_amin    STEP_amin
#define START PASTE(START_, OP)
#define STEP  PASTE(STEP_, OP)
#define JOIN  PASTE(JOIN_, OP)

#ifndef COMPARE
// One work-item a column: for inner > 1, where neighbouring work-items read neighbouring elements.
// Global size (inner, blocks, outer).
kernel void reduce_columns(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out,
                           long n, long inner, long block)
{
    const long column = get_global_id(0);
    if (column >= inner) return;
    const long first = get_global_id(1) * block, last = min(first + block, n);
    global const STORAGE(IN) *p = x + x_at + get_global_id(2) * n * inner + column;
    ACC a = START;
    for (long i = first; i < last; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i * inner);
        a = STEP(a, e);
    }
    STORE1(OUT, out, (get_global_id(2) * get_global_size(1) + get_global_id(1)) * inner + column, a);
}

// One work-item a block of a row, with WIDTH running results. Global size (blocks, rows).
kernel void reduce_rows(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long n, long block)
{
    const long first = get_global_id(0) * block, last = min(first + block, n);
    global const STORAGE(IN) *p = x + x_at + get_global_id(1) * n + first;
    const long count = last - first;
    ACC a = START;
    long i = 0;
#if WIDTH > 1
    if (count >= WIDTH) {
        real lanes = START;
        for (; i + WIDTH <= count; i += WIDTH) {
            const real e = LOAD(IN, p + i, 0);
#if defined(SELECT)
            lanes = select(lanes, e, SELECT(e, lanes) || e != e);
#else
            lanes = STEP(lanes, e);
#endif
        }
        SCALAR lane[WIDTH];
        VSTORE(lanes, 0, lane);
        for (int j = 0; j < WIDTH; j++)
            a = JOIN(a, lane[j]);
    }
#endif
    for (; i < count; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i);
        a = STEP(a, e);
    }
    STORE1(OUT, out, get_global_id(1) * get_global_size(0) + get_global_id(0), a);
}

#else
// Position of the extreme element along the dimension, the first one where several are equal.
// Global size (inner, outer).
kernel void argument(global const STORAGE(IN) *x, long x_at, global long *out, long n, long inner)
{
    const long column = get_global_id(0);
    global const STORAGE(IN) *p = x + x_at + get_global_id(1) * n * inner + column;
    ACC best = (ACC)LOAD1(IN, p, 0);
    long position = 0;
    for (long i = 1; i < n; i++) {
        const ACC e = (ACC)LOAD1(IN, p, i * inner);
        if (e COMPARE best || (e != e && best == best)) {
            best = e;
            position = i;
        }
    }
    out[get_global_id(1) * inner + column] = position;
}
#endif
