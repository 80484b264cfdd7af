// Softmax, its logarithm and the logarithm of the sum of exponentials along one dimension of an array seen as (outer, n, inner), row by row without gaps; forward
// and backward, one launch each.
//
//   softmax        y = exp(x - top) / sum        gx = y (g - sum of g y)
//   log_softmax    y = x - top - log(sum)        gx = g - exp(y) (sum of g)
//   logsumexp      y = top + log(sum)            gx = g exp(x - y), with (outer, inner) results
//
// Rows (inner 1) are read by a team (row.h): a work-item, or a work-group, takes `block` rows one after the other; a row
// is read two or three times, from the cache. Columns (inner > 1) are taken SPAN * WIDTH at a time, neighbouring ones by
// neighbouring work-items, `block` times by each; they are read twice.
// exp is the full-precision one: the runtimes here have it for whole vectors, and these kernels wait for memory.
//
// Defined by the host (genesis/ops/softmax.py):
//   IN, OUT      storage types of x and of y; the gradients are stored like what they belong to
//   LOG          1 for log_softmax
//   KEEP         1 where a result may hold the exponentials before they are divided without losing digits
//   WIDTH, TEAM, SPAN, COLUMNS    see row.h
#include "row.h"

#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif
#ifndef LOG
#define LOG 0
#endif
#ifndef KEEP
#define KEEP 0
#endif

typedef STORAGE(IN) in_t;
typedef STORAGE(OUT) out_t;
ROW_ACCESS(in, IN)
ROW_ACCESS(out, OUT)

// Global size (teams * TEAM).
TEAM_KERNEL softmax_rows(global const in_t *x, long x_at, global out_t *y, long rows, long n, long block)
{
    SCRATCH(scratch);
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    for (long r = first; r < last; r++) {
        global const in_t *row = x + x_at + r * n;
        global out_t *out = y + r * n;
        real tops = -INFINITY, sums = 0;
        FOR_GROUPS(i, n) {
            const real e = load_in(row, i, n, -INFINITY);
            tops = GREATER(e, tops);
        }
        const SCALAR top = team_max(tops, scratch);
        FOR_GROUPS(i, n) {
            const real e = exp(load_in(row, i, n, -INFINITY) - top);
            sums += e;
#if KEEP && !LOG
            store_out(out, i, n, e);
#endif
        }
        const SCALAR sum = team_sum(sums, scratch);
#if LOG
        const SCALAR log_sum = log(sum);
#else
        const SCALAR scale = 1 / sum;
#endif
        FOR_GROUPS(i, n) {
#if LOG
            store_out(out, i, n, load_in(row, i, n, 0) - top - log_sum);
#elif KEEP
            store_out(out, i, n, load_out(out, i, n, 0) * scale);
#else
            store_out(out, i, n, exp(load_in(row, i, n, 0) - top) * scale);
#endif
        }
    }
}

// Global size (work-items).
COLUMN_KERNEL softmax_columns(global const in_t *x, long x_at, global out_t *y, long outer, long n, long inner,
                              long block)
{
    const long first = get_global_id(0) * block, last = min(first + block, outer * SPANS(inner));
    for (long task = first; task < last; task++) {
        const long i = task % SPANS(inner) * SPAN, from = task / SPANS(inner) * n * inner;
        global const in_t *column = x + x_at + from;
        global out_t *out = y + from;
        real top[SPAN], sum[SPAN];
        FOR_SPAN(j) {
            top[j] = LOWEST_FINITE;
            sum[j] = 0;
        }
        for (long k = 0; k < n; k++) {
            FOR_SPAN(j) {
                const real e = load_in(column + k * inner, i + j, inner, 0);
                ONLINE(e, top[j], sum[j]);
            }
        }
        FOR_SPAN(j) {
            ONLINE_END(top[j], sum[j]);
#if LOG
            sum[j] = log(sum[j]);
#else
            sum[j] = 1 / sum[j];
#endif
        }
        for (long k = 0; k < n; k++) {
            FOR_SPAN(j) {
                const real e = load_in(column + k * inner, i + j, inner, 0) - top[j];
#if LOG
                store_out(out + k * inner, i + j, inner, e - sum[j]);
#else
                store_out(out + k * inner, i + j, inner, exp(e) * sum[j]);
#endif
            }
        }
    }
}

// Nothing is subtracted from an infinite greatest element, whose sum is 0 or infinite as it should be.
#define SHIFT(top) ((top) == INFINITY || (top) == -INFINITY ? 0 : (top))

// y[r] = log(sum of exp(x[r, i])). Global size (teams * TEAM).
TEAM_KERNEL logsumexp_rows(global const in_t *x, long x_at, global out_t *y, long rows, long n, long block)
{
    SCRATCH(scratch);
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    for (long r = first; r < last; r++) {
        global const in_t *row = x + x_at + r * n;
        real tops = -INFINITY, sums = 0;
        FOR_GROUPS(i, n) {
            const real e = load_in(row, i, n, -INFINITY);
            tops = GREATER(e, tops);
        }
        const SCALAR top = team_max(tops, scratch), shift = SHIFT(top);
        FOR_GROUPS(i, n)
            sums += exp(load_in(row, i, n, -INFINITY) - shift);
        const SCALAR sum = team_sum(sums, scratch);
        if (LANE == 0)
            STORE1(OUT, y, r, log(sum) + shift);
    }
}

// Global size (teams * TEAM).
TEAM_KERNEL logsumexp_rows_backward(global const in_t *x, long x_at, global const out_t *y, long y_at,
                                    global const out_t *g, long g_at, global in_t *gx, long rows, long n, long block)
{
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    for (long r = first; r < last; r++) {
        const SCALAR scale = LOAD1(OUT, g, g_at + r), result = LOAD1(OUT, y, y_at + r);
        FOR_GROUPS(i, n)
            store_in(gx + r * n, i, n, scale * exp(load_in(x + x_at + r * n, i, n, 0) - result));
    }
}

// Global size (work-items).
COLUMN_KERNEL logsumexp_columns(global const in_t *x, long x_at, global out_t *y, long outer, long n, long inner,
                                long block)
{
    const long first = get_global_id(0) * block, last = min(first + block, outer * GROUPS(inner));
    for (long task = first; task < last; task++) {
        const long i = task % GROUPS(inner), o = task / GROUPS(inner);
        global const in_t *column = x + x_at + o * n * inner;
        real top = -INFINITY, sum = 0;
        for (long k = 0; k < n; k++) {
            const real e = load_in(column + k * inner, i, inner, 0);
            top = GREATER(e, top);
        }
        const real shift = SHIFT(top);
        for (long k = 0; k < n; k++)
            sum += exp(load_in(column + k * inner, i, inner, 0) - shift);
        store_out(y + o * inner, i, inner, log(sum) + shift);
    }
}

// Global size (work-items).
COLUMN_KERNEL logsumexp_columns_backward(global const in_t *x, long x_at, global const out_t *y, long y_at,
                                         global const out_t *g, long g_at, global in_t *gx, long outer, long n,
                                         long inner, long block)
{
    const long first = get_global_id(0) * block, last = min(first + block, outer * GROUPS(inner));
    for (long task = first; task < last; task++) {
        const long i = task % GROUPS(inner), o = task / GROUPS(inner), from = o * n * inner;
        const real scale = load_out(g + g_at + o * inner, i, inner, 0);
        const real result = load_out(y + y_at + o * inner, i, inner, 0);
        for (long k = 0; k < n; k++)
            store_in(gx + from + k * inner, i, inner,
                     scale * exp(load_in(x + x_at + from + k * inner, i, inner, 0) - result));
    }
}

#if LOG
#define ADDEND(g, y) (g)
#define GRADIENT(g, y, total) ((g) - exp(y) * (total))
#else
#define ADDEND(g, y) ((g) * (y))
#define GRADIENT(g, y, total) ((y) * ((g) - (total)))
#endif

// Global size (teams * TEAM).
TEAM_KERNEL softmax_rows_backward(global const out_t *y, long y_at, global const out_t *g, long g_at,
                                  global in_t *gx, long rows, long n, long block)
{
    SCRATCH(scratch);
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    for (long r = first; r < last; r++) {
        global const out_t *result = y + y_at + r * n, *gradient = g + g_at + r * n;
        real sums = 0;
        FOR_GROUPS(i, n)
            sums += ADDEND(load_out(gradient, i, n, 0), load_out(result, i, n, 0));
        const SCALAR total = team_sum(sums, scratch);
        FOR_GROUPS(i, n) {
            const real e = load_out(gradient, i, n, 0), p = load_out(result, i, n, 0);
            store_in(gx + r * n, i, n, GRADIENT(e, p, total));
        }
    }
}

// Global size (work-items).
COLUMN_KERNEL softmax_columns_backward(global const out_t *y, long y_at, global const out_t *g, long g_at,
                                       global in_t *gx, long outer, long n, long inner, long block)
{
    const long first = get_global_id(0) * block, last = min(first + block, outer * SPANS(inner));
    for (long task = first; task < last; task++) {
        const long i = task % SPANS(inner) * SPAN, from = task / SPANS(inner) * n * inner;
        global const out_t *result = y + y_at + from, *gradient = g + g_at + from;
        real total[SPAN];
        FOR_SPAN(j)
            total[j] = 0;
        for (long k = 0; k < n; k++) {
            FOR_SPAN(j)
                total[j] += ADDEND(load_out(gradient + k * inner, i + j, inner, 0),
                                   load_out(result + k * inner, i + j, inner, 0));
        }
        for (long k = 0; k < n; k++) {
            FOR_SPAN(j) {
                const real e = load_out(gradient + k * inner, i + j, inner, 0);
                const real p = load_out(result + k * inner, i + j, inner, 0);
                store_in(gx + from + k * inner, i + j, inner, GRADIENT(e, p, total[j]));
            }
        }
    }
}
