// Sums, products, extrema along one dimension of an array seen as (outer, n, inner), row by row without gaps.
//
// The dimension is cut into `blocks` of `block` elements; each kernel reduces every block to one element of a result
// seen as (outer, blocks, inner). A second launch, with one block, finishes. The order is fixed by the shapes alone,
// so results repeat bit for bit.
//
// Defined by the host (genesis/ops/reduce.py):
//   OP            sum, sumsq, sumabs, nansum, prod, amax, amin, absmax, absmin, count (of what is not 0), some or every
//                 (any and all are macros of some runtimes)
//   IN, OUT       storage types
//   ACC           the C type of the running result
//   LOWEST, HIGHEST  the limits of ACC
//   TRUTH         count, some and every: elements are taken as whether they are not 0
//   WIDTH         lanes of a work-item in reduce_rows and reduce_tiles; 1 unless the input is floating point
//   SELECT        isgreater or isless, for vectors of extrema
// The result is divided by `divisor`, 1 except in a mean's last launch.
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
#ifndef LANES
#define LANES 16         // vectors of a tile's row in reduce_tiles
#endif

#define START_sum    0
#define START_sumsq  0
#define START_sumabs 0
#define START_nansum 0
#define START_prod   1
#define START_amax   LOWEST
#define START_amin   HIGHEST
#define START_absmax 0
#define START_absmin HIGHEST
#define START_count  0
#define START_some   0
#define START_every  1
#define MAP_sum(x)    (x)
#define MAP_sumsq(x)  ((x) * (x))
#define MAP_sumabs(x) fabs(x)
#define MAP_nansum(x) (fmax(x, (ACC)0) + fmin(x, (ACC)0))       // a NaN is 0
#define MAP_prod(x)   (x)
#define MAP_amax(x)   (x)
#define MAP_amin(x)   (x)
#define MAP_absmax(x) fabs(x)
#define MAP_absmin(x) fabs(x)
#define ADD(a, x)     ((a) + (x))
#define MULTIPLY(a, x) ((a) * (x))
#define LARGER(a, x)  ((x) > (a) || (x) != (x) ? (x) : (a))
#define SMALLER(a, x) ((x) < (a) || (x) != (x) ? (x) : (a))
#define JOIN_sum     ADD
#define JOIN_sumsq   ADD
#define JOIN_sumabs  ADD
#define JOIN_nansum  ADD
#define JOIN_prod    MULTIPLY
#define JOIN_amax    LARGER
#define JOIN_amin    SMALLER
#define JOIN_absmax  LARGER
#define JOIN_absmin  SMALLER
#define JOIN_count   ADD
#define JOIN_some    LARGER
#define JOIN_every   SMALLER
#define START PASTE(START_, OP)
#define MAP   PASTE(MAP_, OP)
#define JOIN  PASTE(JOIN_, OP)
#ifdef TRUTH
#define TAKE(p, i) (ACC)(LOAD1(IN, p, i) != 0)
#else
#define TAKE(p, i) MAP((ACC)LOAD1(IN, p, i))
#endif
#ifdef SELECT
#define JOIN_WIDE(a, x) select(a, x, SELECT(x, a) || (x) != (x))
#else
#define JOIN_WIDE JOIN
#endif

// One work-item a column: for inner > 1, where neighbouring work-items read neighbouring elements. Groups of 32
// elements are joined first, so that a long sum loses no more digits than a short one.
// Global size (inner, blocks, outer).
kernel void reduce_columns(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long out_at,
                           long n, long inner, long block, SCALAR divisor)
{
    const long column = get_global_id(0);
    if (column >= inner) return;
    const long first = get_global_id(1) * block, last = min(first + block, n);
    global const STORAGE(IN) *p = x + x_at + get_global_id(2) * n * inner + column;
    ACC a = START;
    for (long from = first; from < last; from += 32) {
        const long to = min(from + 32, last);
        ACC b = START;
        for (long i = from; i < to; i++) {
            const ACC e = TAKE(p, i * inner);
            b = JOIN(b, e);
        }
        a = JOIN(a, b);
    }
    STORE1(OUT, out, out_at + (get_global_id(2) * get_global_size(1) + get_global_id(1)) * inner + column,
           a / (ACC)divisor);
}

// One work-item a row, for short rows that lie one after another: compilers make vectors of neighbouring rows.
// Global size: rows, rounded up.
kernel void reduce_short(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long out_at,
                         long rows, int n, SCALAR divisor)
{
    const long row = get_global_id(0);
    if (row >= rows) return;
    global const STORAGE(IN) *p = x + x_at + row * n;
    ACC a = START;
    for (int i = 0; i < n; i++) {
        const ACC e = TAKE(p, i);
        a = JOIN(a, e);
    }
    STORE1(OUT, out, out_at + row, a / (ACC)divisor);
}

// One work-item a tile of LANES * WIDTH columns and `block` rows, for CPUs: eight rows at once, as eight streams that
// their prefetchers follow. Global size (inner / (LANES * WIDTH), rounded up, blocks, outer).
#if WIDTH > 1
VECTOR_KERNEL reduce_tiles(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long out_at,
                           long n, long inner, long block, SCALAR divisor)
{
    const long column = get_global_id(0) * LANES * WIDTH, columns = min((long)LANES * WIDTH, inner - column);
    const long first = get_global_id(1) * block, last = min(first + block, n), lanes = columns / WIDTH;
    const long to = out_at + (get_global_id(2) * get_global_size(1) + get_global_id(1)) * inner + column;
    global const STORAGE(IN) *p = x + x_at + get_global_id(2) * n * inner + column;
    real a[LANES];
    for (long j = 0; j < lanes; j++)
        a[j] = START;
    long i = first;
    for (; i + 8 <= last; i += 8) {
        global const STORAGE(IN) *row = p + i * inner;
        for (long j = 0; j < lanes; j++) {
            global const STORAGE(IN) *q = row + j * WIDTH;
            const real e0 = MAP(LOAD(IN, q, 0)), e1 = MAP(LOAD(IN, q + inner, 0));
            const real e2 = MAP(LOAD(IN, q + 2 * inner, 0)), e3 = MAP(LOAD(IN, q + 3 * inner, 0));
            const real e4 = MAP(LOAD(IN, q + 4 * inner, 0)), e5 = MAP(LOAD(IN, q + 5 * inner, 0));
            const real e6 = MAP(LOAD(IN, q + 6 * inner, 0)), e7 = MAP(LOAD(IN, q + 7 * inner, 0));
            const real b0 = JOIN_WIDE(e0, e1), b1 = JOIN_WIDE(e2, e3), b2 = JOIN_WIDE(e4, e5), b3 = JOIN_WIDE(e6, e7);
            const real c0 = JOIN_WIDE(b0, b1), c1 = JOIN_WIDE(b2, b3), d = JOIN_WIDE(c0, c1);
            a[j] = JOIN_WIDE(a[j], d);
        }
    }
    for (; i < last; i++)
        for (long j = 0; j < lanes; j++) {
            const real e = MAP(LOAD(IN, p + i * inner + j * WIDTH, 0));
            a[j] = JOIN_WIDE(a[j], e);
        }
    for (long j = 0; j < lanes; j++)
        STORE(OUT, out + to + j * WIDTH, 0, a[j] / divisor);
    for (long c = lanes * WIDTH; c < columns; c++) {
        ACC b = START;
        for (long k = first; k < last; k++) {
            const ACC e = TAKE(p, k * inner + c);
            b = JOIN(b, e);
        }
        STORE1(OUT, out, to + c, b / (ACC)divisor);
    }
}
#endif

// One work-item a block of a row, with four vectors of running results: side by side, or, where a quarter of the block
// fills a page, a quarter apart: four streams that a CPU's prefetchers follow. Global size (blocks, rows).
VECTOR_KERNEL reduce_rows(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long out_at,
                          long n, long block, SCALAR divisor)
{
    const long first = get_global_id(0) * block, last = min(first + block, n);
    global const STORAGE(IN) *p = x + x_at + get_global_id(1) * n + first;
    const long count = last - first;
    ACC a = START;
    long i = 0;
#if WIDTH > 1
    if (count >= WIDTH) {
        real a0 = START, a1 = START, a2 = START, a3 = START;
        const long whole = count / (4 * WIDTH) * (4 * WIDTH);
        const long apart = whole * (long)sizeof(*p) >= 4 * 4096 ? whole / 4 : WIDTH;
        const long end = apart > WIDTH ? apart : whole, step = apart > WIDTH ? WIDTH : 4 * WIDTH;
        for (; i < end; i += step) {
            global const STORAGE(IN) *q = p + i;
            const real e0 = MAP(LOAD(IN, q, 0)), e1 = MAP(LOAD(IN, q + apart, 0));
            const real e2 = MAP(LOAD(IN, q + 2 * apart, 0)), e3 = MAP(LOAD(IN, q + 3 * apart, 0));
            a0 = JOIN_WIDE(a0, e0);
            a1 = JOIN_WIDE(a1, e1);
            a2 = JOIN_WIDE(a2, e2);
            a3 = JOIN_WIDE(a3, e3);
        }
        for (i = whole; i + WIDTH <= count; i += WIDTH) {
            const real e = MAP(LOAD(IN, p + i, 0));
            a0 = JOIN_WIDE(a0, e);
        }
        a0 = JOIN_WIDE(a0, a1);
        a2 = JOIN_WIDE(a2, a3);
        a0 = JOIN_WIDE(a0, a2);
        SCALAR lane[WIDTH];
        VSTORE(a0, 0, lane);
        for (int half_way = WIDTH / 2; half_way > 0; half_way /= 2)
            for (int j = 0; j < half_way; j++)
                lane[j] = JOIN(lane[j], lane[j + half_way]);
        a = JOIN(a, lane[0]);
    }
#endif
    for (; i < count; i++) {
        const ACC e = TAKE(p, i);
        a = JOIN(a, e);
    }
    STORE1(OUT, out, out_at + get_global_id(1) * get_global_size(0) + get_global_id(0), a / (ACC)divisor);
}
