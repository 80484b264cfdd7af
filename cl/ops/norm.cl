// Layer, RMS and group normalization: y = (x - mean) / sqrt(var + eps) * weight + bias, over rows of (rows, n).
//
// A team (row.h) takes `block` rows one after the other; a row stays in the cache between passes. The variance is that
// of the differences from a first mean, and these differences also mend the mean, so that a mean far from 0 costs no
// digits. Forward keeps mean and 1 / sqrt(var + eps) of each row, (2, rows).
// Backward goes over the rows once. Each team leaves its sums for the gradients of weight and bias, (parts, 2, n), which
// norm_parts adds up in their order.
//
// Layer and RMS normalization have a weight and a bias for each element of a row; group normalization, whose rows are
// `depth` channels of `run` elements, has them for each channel.
//
// Defined by the host (genesis/ops/norm.py):
//   TYPE          storage type of x, y and their gradients
//   PARAM         storage type of weight and bias
//   WEIGHT, BIAS  1 where there is one
//   CENTER        0 for RMS normalization, which subtracts no mean
//   WIDTH, TEAM   see row.h
#include "row.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef PARAM
#define PARAM float32
#endif
#ifndef WEIGHT
#define WEIGHT 1
#endif
#ifndef BIAS
#define BIAS 1
#endif
#ifndef CENTER
#define CENTER 1
#endif

typedef STORAGE(TYPE) element;
typedef STORAGE(PARAM) param_t;
ROW_ACCESS(x, TYPE)
ROW_ACCESS(param, PARAM)
#ifdef REAL64
ROW_ACCESS(part, float64)
#else
ROW_ACCESS(part, float32)
#endif

#if WEIGHT
#define WEIGHTED(x, i, n) ((x) * load_param(weight, i, n, 0))
#define CHANNEL_WEIGHT(c) ((SCALAR)LOAD1(PARAM, weight, c))
#else
#define WEIGHTED(x, i, n) (x)
#define CHANNEL_WEIGHT(c) ((SCALAR)1)
#endif
#if BIAS
#define BIASED(x, i, n) ((x) + load_param(bias, i, n, 0))
#define CHANNEL_BIAS(c) ((SCALAR)LOAD1(PARAM, bias, c))
#else
#define BIASED(x, i, n) (x)
#define CHANNEL_BIAS(c) ((SCALAR)0)
#endif

#define AHEAD 3          // rows: what is asked for while one is written, as sums of a row leave memory waiting

// Sums of several groups side by side, so that an addition need not wait for the one before.
#define CHAINS 4

static real sum_of(global const element *row, long n)
{
    real sum[CHAINS];
    UNROLL for (int j = 0; j < CHAINS; j++)
        sum[j] = 0;
    long i = LANE;
    for (; (i + (CHAINS - 1) * TEAM + 1) * WIDTH <= n; i += CHAINS * TEAM)
        UNROLL for (int j = 0; j < CHAINS; j++)
            sum[j] += LOAD(TYPE, row, i + j * TEAM);
    for (; i < GROUPS(n); i += TEAM)
        sum[0] += load_x(row, i, n, 0);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Sums of the differences from `mean`, and of their squares.
static void differences(global const element *row, long n, SCALAR mean, real *shifts, real *squares)
{
    real shift[2] = {0, 0}, square[2] = {0, 0};
    long i = LANE;
    for (; (i + TEAM + 1) * WIDTH <= n; i += 2 * TEAM)
        UNROLL for (int j = 0; j < 2; j++) {
            const real d = LOAD(TYPE, row, i + j * TEAM) - mean;
            shift[j] += d;
            square[j] += d * d;
        }
    for (; i < GROUPS(n); i += TEAM) {
        const real d = load_x(row, i, n, mean) - mean;
        shift[0] += d;
        square[0] += d * d;
    }
    *shifts = shift[0] + shift[1];
    *squares = square[0] + square[1];
}

// A row's mean, how much is to be added to it, and 1 / sqrt(var + eps).
static void moments(global const element *row, long n, SCALAR eps, SCALAR *mean, SCALAR *more, SCALAR *scale,
                    SCRATCH_SPACE SCALAR *scratch)
{
    real shifts, squares;
#if CENTER
    *mean = team_sum(sum_of(row, n), scratch) / n;
    differences(row, n, *mean, &shifts, &squares);
    *more = team_sum(shifts, scratch) / n;
#else
    *mean = *more = 0;
    differences(row, n, 0, &shifts, &squares);
#endif
    const SCALAR var = team_sum(squares, scratch) / n - *more * *more;
    *scale = 1 / sqrt((var < 0 ? 0 : var) + eps);
}

// Global size (teams * TEAM).
TEAM_KERNEL norm_rows(global const element *x, long x_at, global const param_t *weight, long weight_at,
                      global const param_t *bias, long bias_at, global element *y, global SCALAR *kept, long rows,
                      long n, long block, SCALAR eps)
{
    SCRATCH(scratch);
    const long begin = get_group_id(0) * block, end = min(begin + block, rows);
    weight += weight_at;
    bias += bias_at;
    for (long r = begin; r < end; r++) {
        global const element *row = x + x_at + r * n;
        SCALAR mean, more, scale;
        moments(row, n, eps, &mean, &more, &scale, scratch);
        FOR_GROUPS(i, n) {
            PREFETCH(row + AHEAD * n + i * WIDTH);
            const real normal = (load_x(row, i, n, 0) - mean - more) * scale;
            store_x(y + r * n, i, n, BIASED(WEIGHTED(normal, i, n), i, n));
        }
        if (LANE == 0) {
            kept[r] = mean + more;
            kept[rows + r] = scale;
        }
    }
}

// Gradients of the input, when input, and of the parameters, when params. Global size (teams * TEAM).
TEAM_KERNEL norm_rows_backward(global const element *x, long x_at, global const element *g, long g_at,
                               global const param_t *weight, long weight_at, global const SCALAR *kept,
                               global element *gx, global SCALAR *parts, long rows, long n, long block, long input,
                               long params)
{
    SCRATCH(scratch);
    const long begin = get_group_id(0) * block, end = min(begin + block, rows);
    global SCALAR *weight_part = parts + get_group_id(0) * 2 * n, *bias_part = weight_part + n;
    weight += weight_at;
    for (long r = begin; r < end; r++) {
        global const element *row = x + x_at + r * n, *gradient = g + g_at + r * n;
        const SCALAR mean = kept[r], scale = kept[rows + r];
        SCALAR sum = 0, product = 0;
        if (input) {
            real sums = 0, products = 0;
            FOR_GROUPS(i, n) {
                const real normal = (load_x(row, i, n, 0) - mean) * scale, e = load_x(gradient, i, n, 0);
                const real w = WEIGHTED(e, i, n);
                sums += w;
                products += w * normal;
            }
            product = team_sum(products, scratch) / n;
#if CENTER
            sum = team_sum(sums, scratch) / n;
#endif
        }
        FOR_GROUPS(i, n) {
            const real normal = (load_x(row, i, n, 0) - mean) * scale, e = load_x(gradient, i, n, 0);
            if (input)
                store_x(gx + r * n, i, n, scale * (WEIGHTED(e, i, n) - sum - normal * product));
            if (params) {
                const real old = r == begin ? 0 : load_part(weight_part, i, n, 0);
                store_part(weight_part, i, n, old + e * normal);
#if CENTER
                const real old_bias = r == begin ? 0 : load_part(bias_part, i, n, 0);
                store_part(bias_part, i, n, old_bias + e);
#endif
            }
        }
    }
}

// All groups of `depth` runs, the runs one after the other where one work-item takes them.
#if TEAM > 1
#define FOR_RUNS(d, i, depth, run)                                                                                    \
    for (long at = LANE, d = 0, i = 0;                                                                                \
         at < depth * GROUPS(run) && (d = at / GROUPS(run), i = at % GROUPS(run), 1); at += TEAM)
#else
#define FOR_RUNS(d, i, depth, run) for (long d = 0; d < depth; d++) for (long i = 0; i < GROUPS(run); i++)
#endif

// Group normalization: x is (rows / groups, groups, depth, run). Global size (teams * TEAM).
TEAM_KERNEL norm_groups(global const element *x, long x_at, global const param_t *weight, long weight_at,
                        global const param_t *bias, long bias_at, global element *y, global SCALAR *kept, long rows,
                        long groups, long depth, long run, long block, SCALAR eps)
{
    SCRATCH(scratch);
    const long begin = get_group_id(0) * block, end = min(begin + block, rows), n = depth * run;
    weight += weight_at;
    bias += bias_at;
    for (long r = begin; r < end; r++) {
        global const element *row = x + x_at + r * n;
        SCALAR mean, more, scale;
        moments(row, n, eps, &mean, &more, &scale, scratch);
        FOR_RUNS(d, i, depth, run) {
            const long c = r % groups * depth + d;
            const SCALAR factor = scale * CHANNEL_WEIGHT(c), shift = CHANNEL_BIAS(c) - more * factor;
            store_x(y + r * n + d * run, i, run, (load_x(row + d * run, i, run, 0) - mean) * factor + shift);
        }
        if (LANE == 0) {
            kept[r] = mean + more;
            kept[rows + r] = scale;
        }
    }
}

// Each row leaves its channels' sums in parts, (samples, 2, groups * depth). Global size (teams * TEAM).
TEAM_KERNEL norm_groups_backward(global const element *x, long x_at, global const element *g, long g_at,
                                 global const param_t *weight, long weight_at, global const SCALAR *kept,
                                 global element *gx, global SCALAR *parts, long rows, long groups, long depth,
                                 long run, long block, long input)
{
    SCRATCH(scratch);
    const long begin = get_group_id(0) * block, end = min(begin + block, rows), n = depth * run;
    weight += weight_at;
    for (long r = begin; r < end; r++) {
        global const element *row = x + x_at + r * n, *gradient = g + g_at + r * n;
        const SCALAR mean = kept[r], scale = kept[rows + r];
        SCALAR sum = 0, product = 0;
        for (long d = 0; d < depth; d++) {
            real sums = 0, products = 0;
            FOR_GROUPS(i, run) {
                const real e = load_x(gradient + d * run, i, run, 0);
                sums += e;
                products += e * (load_x(row + d * run, i, run, 0) - mean);
            }
            const long c = r % groups * depth + d;
            const SCALAR e = team_sum(sums, scratch), p = team_sum(products, scratch) * scale;
            if (LANE == 0) {
                parts[(r / groups * 2) * groups * depth + c] = p;
                parts[(r / groups * 2 + 1) * groups * depth + c] = e;
            }
            sum += CHANNEL_WEIGHT(c) * e;
            product += CHANNEL_WEIGHT(c) * p;
        }
        if (!input)
            continue;
        sum /= n;
        product /= n;
        FOR_RUNS(d, i, depth, run) {
            const SCALAR w = CHANNEL_WEIGHT(r % groups * depth + d);
            const real normal = (load_x(row + d * run, i, run, 0) - mean) * scale;
            const real e = load_x(gradient + d * run, i, run, 0);
            store_x(gx + r * n + d * run, i, run, scale * (w * e - sum - normal * product));
        }
    }
}

// Sums of parts, (count, 2, n): the gradients of weight and bias, each when wanted. Global size (work-items).
COLUMN_KERNEL norm_parts(global const SCALAR *parts, global param_t *weight, long weight_at, global param_t *bias,
                         long bias_at, long count, long n, long want_weight, long want_bias)
{
    const long i = get_global_id(0);
    if (i >= GROUPS(n))
        return;
    real sum = 0, bias_sum = 0;
    for (long p = 0; p < count; p++) {
        if (want_weight)
            sum += load_part(parts + p * 2 * n, i, n, 0);
        if (want_bias)
            bias_sum += load_part(parts + (p * 2 + 1) * n, i, n, 0);
    }
    if (want_weight)
        store_param(weight + weight_at, i, n, sum);
    if (want_bias)
        store_param(bias + bias_at, i, n, bias_sum);
}
