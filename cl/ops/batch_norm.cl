// Batch normalization: y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and variance of each channel over
// samples and positions of x, (samples, channels, run).
//
// The samples are cut into `cuts` pieces of `piece` samples. The first launch finds mean and squared differences of
// every channel in every piece, the second joins a channel's pieces, always in their order (Chan, Golub & LeVeque 1979),
// and normalizes. Backward likewise: sums of every piece, then the gradients. A task is one channel in one piece
// (..._runs, whose vectors lie along the run), or, where run is 1, WIDTH neighbouring channels in one piece
// (..._columns). A team takes `block` tasks.
//
// Defined by the host (genesis/ops/batch_norm.py):
//   TYPE          storage type of x, y and their gradients
//   PARAM         storage type of weight and bias
//   STATS         storage type of the running statistics
//   WEIGHT, BIAS  1 where there is one
//   COLUMNS_MODE  1 to compile the kernels for run 1
//   WIDTH, TEAM   see row.h
#include "row.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef PARAM
#define PARAM float32
#endif
#ifndef STATS
#define STATS float32
#endif
#ifndef WEIGHT
#define WEIGHT 1
#endif
#ifndef BIAS
#define BIAS 1
#endif
#ifndef COLUMNS_MODE
#define COLUMNS_MODE 0
#endif

typedef STORAGE(TYPE) element;
typedef STORAGE(PARAM) param_t;
typedef STORAGE(STATS) stats_t;
ROW_ACCESS(x, TYPE)

// What belongs to a task's channels: one number, or one a lane.
#if COLUMNS_MODE
#define channel real
ROW_ACCESS(param, PARAM)
ROW_ACCESS(stats, STATS)
#ifdef REAL64
ROW_ACCESS(part, float64)
#else
ROW_ACCESS(part, float32)
#endif
#define LOAD_CHANNEL(role, p, c) load_##role(p, c, channels, 0)
#define STORE_CHANNEL(role, p, c, v) store_##role(p, c, channels, v)
#define TASKS (GROUPS(channels) * cuts)
#define TASK_CHANNEL(task) (task % GROUPS(channels))
#define TASK_CUT(task) (task / GROUPS(channels))
#define FIRST_LANE true
#define TEAM_NUMBER (long)get_global_id(0)
#define NORM_KERNEL COLUMN_KERNEL
// Elements of sample s: one vector.
#define FOR_ELEMENTS(s, i) for (long s = from; s < to; s++) for (long i = c, once = 1; once; once = 0)
#define ROW(p, s) ((p) + (s) * channels)
#define LENGTH channels
#define TOTAL(x) (x)
#else
#define channel SCALAR
#define LOAD_param(p, c) ((SCALAR)LOAD1(PARAM, p, c))
#define LOAD_stats(p, c) ((SCALAR)LOAD1(STATS, p, c))
#define LOAD_part(p, c) ((p)[c])
#define STORE_param(p, c, v) STORE1(PARAM, p, c, v)
#define STORE_stats(p, c, v) STORE1(STATS, p, c, v)
#define STORE_part(p, c, v) ((p)[c] = (v))
#define LOAD_CHANNEL(role, p, c) LOAD_##role(p, c)
#define STORE_CHANNEL(role, p, c, v) STORE_##role(p, c, v)
#define TASKS (channels * cuts)
#define TASK_CHANNEL(task) (task % channels)
#define TASK_CUT(task) (task / channels)
#define FIRST_LANE (LANE == 0)
#define TEAM_NUMBER (long)get_group_id(0)
#define NORM_KERNEL TEAM_KERNEL
#if TEAM > 1
#define FOR_ELEMENTS(s, i)                                                                                            \
    for (long at = LANE, s = 0, i = 0;                                                                                \
         at < (to - from) * GROUPS(run) && (s = from + at / GROUPS(run), i = at % GROUPS(run), 1); at += TEAM)
#else
#define FOR_ELEMENTS(s, i) for (long s = from; s < to; s++) for (long i = 0; i < GROUPS(run); i++)
#endif
#define ROW(p, s) ((p) + ((s) * channels + c) * run)
#define LENGTH run
#define TOTAL(x) team_sum(x, scratch)
#endif

#define FOR_TASKS                                                                                                     \
    const long last = min((TEAM_NUMBER + 1) * block, TASKS);                                                          \
    for (long task = TEAM_NUMBER * block; task < last; task++)
#define TASK                                                                                                          \
    const long c = TASK_CHANNEL(task), cut = TASK_CUT(task), from = cut * piece, to = min(from + piece, samples);
#define PART(k) (parts + ((k) * 2) * channels)

// Mean and sum of squared differences from it of each channel in each piece: parts (cuts, 2, channels).
// tracked, when count_up, is the number of batches seen, and goes up by one. Global size (teams * TEAM).
NORM_KERNEL batch_norm_stats(global const element *x, long x_at, global SCALAR *parts, global long *tracked,
                             long tracked_at, long count_up, long samples, long channels, long run, long cuts,
                             long piece, long block)
{
    SCRATCH(scratch);
    x += x_at;
    if (count_up && get_global_id(0) == 0)
        tracked[tracked_at]++;
    FOR_TASKS {
        TASK
        const SCALAR count = (to - from) * run;
        real sums = 0, shifts = 0, squares = 0;
        FOR_ELEMENTS(s, i)
            sums += load_x(ROW(x, s), i, LENGTH, 0);
        const channel first = TOTAL(sums) / count;
#if COLUMNS_MODE
#define LOAD_SHIFTED(s, i) (load_x(ROW(x, s), i, LENGTH, 0) - first)
#else
#define LOAD_SHIFTED(s, i) (load_x(ROW(x, s), i, LENGTH, first) - first)
#endif
        FOR_ELEMENTS(s, i) {
            const real d = LOAD_SHIFTED(s, i);
            shifts += d;
            squares += d * d;
        }
        const channel shift = TOTAL(shifts), square = TOTAL(squares) - shift * shift / count;
        if (FIRST_LANE) {
            STORE_CHANNEL(part, PART(cut), c, first + shift / count);
            STORE_CHANNEL(part, PART(cut) + channels, c, square < (channel)0 ? (channel)0 : square);
        }
    }
}

// Normalizes, by the statistics of the batch when training, else by the running ones. Those are moved by `momentum`,
// or, when it is negative, by 1 / tracked, when update. kept: (2, channels), mean and 1 / sqrt(var + eps).
// Global size (teams * TEAM).
NORM_KERNEL batch_norm_apply(global const element *x, long x_at, global const param_t *weight, long weight_at,
                             global const param_t *bias, long bias_at, global stats_t *running_mean, long mean_at,
                             global stats_t *running_var, long var_at, global const SCALAR *parts,
                             global const long *tracked, long tracked_at, global element *y, global SCALAR *kept,
                             long training, long update, long samples, long channels, long run, long cuts, long piece,
                             long block, SCALAR momentum, SCALAR eps)
{
    x += x_at;
    FOR_TASKS {
        TASK
        channel mean, var;
        if (training) {
            SCALAR count = 0;
            channel squares = 0;
            mean = 0;
            for (long k = 0; k < cuts; k++) {
                const SCALAR more = (min((k + 1) * piece, samples) - k * piece) * run, all = count + more;
                const channel d = LOAD_CHANNEL(part, PART(k), c) - mean;
                mean += d * (more / all);
                squares += LOAD_CHANNEL(part, PART(k) + channels, c) + d * d * (count * (more / all));
                count = all;
            }
            var = squares / count;
            if (update && cut == 0 && FIRST_LANE) {
                const SCALAR step = momentum < 0 ? 1 / (SCALAR)tracked[tracked_at] : momentum;
                const channel old_mean = LOAD_CHANNEL(stats, running_mean + mean_at, c);
                const channel old_var = LOAD_CHANNEL(stats, running_var + var_at, c);
                STORE_CHANNEL(stats, running_mean + mean_at, c, (1 - step) * old_mean + step * mean);
                STORE_CHANNEL(stats, running_var + var_at, c, (1 - step) * old_var + step * (squares / (count - 1)));
            }
        } else {
            mean = LOAD_CHANNEL(stats, running_mean + mean_at, c);
            var = LOAD_CHANNEL(stats, running_var + var_at, c);
        }
        const channel scale = 1 / sqrt(var + eps);
        channel factor = scale, shift = 0;
#if WEIGHT
        factor *= LOAD_CHANNEL(param, weight + weight_at, c);
#endif
#if BIAS
        shift = LOAD_CHANNEL(param, bias + bias_at, c);
#endif
        FOR_ELEMENTS(s, i)
            store_x(ROW(y, s), i, LENGTH, (load_x(ROW(x, s), i, LENGTH, 0) - mean) * factor + shift);
        if (cut == 0 && FIRST_LANE) {
            STORE_CHANNEL(part, kept, c, mean);
            STORE_CHANNEL(part, kept + channels, c, scale);
        }
    }
}

// Sums of g and of g times the normalized x, of each channel in each piece: parts (cuts, 2, channels).
// Global size (teams * TEAM).
NORM_KERNEL batch_norm_sums(global const element *x, long x_at, global const element *g, long g_at,
                            global const SCALAR *kept, global SCALAR *parts, long samples, long channels, long run,
                            long cuts, long piece, long block)
{
    SCRATCH(scratch);
    x += x_at;
    g += g_at;
    FOR_TASKS {
        TASK
        const channel mean = LOAD_CHANNEL(part, kept, c), scale = LOAD_CHANNEL(part, kept + channels, c);
        real sums = 0, products = 0;
        FOR_ELEMENTS(s, i) {
            const real e = load_x(ROW(g, s), i, LENGTH, 0);
            sums += e;
            products += e * (load_x(ROW(x, s), i, LENGTH, 0) - mean);
        }
        const channel sum = TOTAL(sums), product = TOTAL(products) * scale;
        if (FIRST_LANE) {
            STORE_CHANNEL(part, PART(cut), c, sum);
            STORE_CHANNEL(part, PART(cut) + channels, c, product);
        }
    }
}

// The gradients: of x when input, of weight and bias when wanted. Global size (teams * TEAM).
NORM_KERNEL batch_norm_backward(global const element *x, long x_at, global const element *g, long g_at,
                                global const param_t *weight, long weight_at, global const SCALAR *kept,
                                global const SCALAR *parts, global element *gx, global param_t *g_weight,
                                long g_weight_at, global param_t *g_bias, long g_bias_at, long training, long input,
                                long want_weight, long want_bias, long samples, long channels, long run, long cuts,
                                long piece, long block)
{
    x += x_at;
    g += g_at;
    FOR_TASKS {
        TASK
        channel sum = 0, product = 0;
        if (training || want_weight || want_bias)
            for (long k = 0; k < cuts; k++) {
                sum += LOAD_CHANNEL(part, PART(k), c);
                product += LOAD_CHANNEL(part, PART(k) + channels, c);
            }
        if (cut == 0 && FIRST_LANE) {
            if (want_weight)
                STORE_CHANNEL(param, g_weight + g_weight_at, c, product);
            if (want_bias)
                STORE_CHANNEL(param, g_bias + g_bias_at, c, sum);
        }
        if (!input)
            continue;
        const channel mean = LOAD_CHANNEL(part, kept, c), scale = LOAD_CHANNEL(part, kept + channels, c);
        const SCALAR share = training ? 1 / (SCALAR)(samples * run) : 0;
        channel factor = scale;
#if WEIGHT
        factor *= LOAD_CHANNEL(param, weight + weight_at, c);
#endif
        const channel level = sum * share, slope = product * share * scale;
        FOR_ELEMENTS(s, i)
            store_x(ROW(gx, s), i, LENGTH, factor * (load_x(ROW(g, s), i, LENGTH, 0) - level
                                                     - (load_x(ROW(x, s), i, LENGTH, 0) - mean) * slope));
    }
}
