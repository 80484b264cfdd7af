// Cross-entropy of logits seen as (outer, classes, inner) with class indices or class probabilities, one launch forward
// (and a short one that adds up) and one backward, without storing the probabilities of the softmax.
//
//   loss = sum over c of b[c] (log_z - x[c])        gradient[c] = A p[c] - b[c]        A = sum of b
//
// with p the softmax of the logits x, log_z the log of the sum of their exponentials, and
//
//   b[c] = (1 - s) w[t] [c = t] + s / classes * w[c]         for a class index t
//   b[c] = w[c] ((1 - s) q[c] + s / classes)                 for class probabilities q
//
// where s is the label smoothing and w the weights of the classes. An index equal to `ignore` counts for nothing; any
// other outside [0, classes) is a fault (faults.h) and gives NaN.
//
// Forward keeps three numbers a row: the largest logit, the log of the sum of the exponentials of the differences from
// it (never added up: next to a large logit the log would lose its digits), and A.
// With inner 1 a team (row.h) takes `block` rows one after the other; otherwise a work-item takes WIDTH neighbouring
// rows at once, whose logits of one class are neighbours, `block` times.
//
// Defined by the host (genesis/ops/loss.py):
//   TYPE           storage type of logits, loss and gradient
//   WEIGHTED       1 when there are weights
//   PROBABILITIES  1 when targets are probabilities, stored as TARGET
//   WIDTH, TEAM, COLUMNS   see row.h
#include "row.h"
#include "faults.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef TARGET
#define TARGET float32
#endif
#ifndef WEIGHTED
#define WEIGHTED 0
#endif
#ifndef PROBABILITIES
#define PROBABILITIES 0
#endif

typedef STORAGE(TYPE) element;
ROW_ACCESS(logit, TYPE)
#if PROBABILITIES
typedef STORAGE(TARGET) target_t;
ROW_ACCESS(chance, TARGET)
#else
typedef long target_t;
#endif
#ifdef REAL64
ROW_ACCESS(weight, float64)
#else
ROW_ACCESS(weight, float32)
#endif

#if WEIGHTED
#define WEIGHTS(i, n) load_weight(weight, i, n, 0)
#define WEIGHT(c) weight[c]
#else
#define WEIGHTS(i, n) ((real)1)
#define WEIGHT(c) ((SCALAR)1)
#endif

// Elements of a padded last group are not part of the row.
static real inside(real x, long i, long n)
{
    if ((i + 1) * WIDTH <= n)
        return x;
    SCALAR part[WIDTH];
    VSTORE(x, 0, part);
    for (int j = 0; j < WIDTH; j++)
        part[j] = i * WIDTH + j < n ? part[j] : 0;
    return VLOAD(0, part);
}

// Rows of classes. Each team leaves the sums of its rows' losses and shares of the mean's divisor in `sums`,
// (teams, 2); `losses`, one a row, only when each_row. Global size (teams * TEAM).
TEAM_KERNEL cross_entropy_rows(global const element *x, long x_at, global const target_t *target, long target_at,
                               global const SCALAR *weight, long weight_at, global SCALAR *kept,
                               global SCALAR *sums, global element *losses, long rows, long classes, long ignore,
                               long each_row, long block, SCALAR smoothing, FAULTS)
{
    SCRATCH(scratch);
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    const SCALAR even = smoothing / classes;
    SCALAR loss_sum = 0, share_sum = 0;
    weight += weight_at;
    for (long r = first; r < last; r++) {
        global const element *row = x + x_at + r * classes;
        SCALAR loss = 0, share = 0, a = 0, top = 0, log_sum = 0;
#if PROBABILITIES
        const bool used = true;
#else
        const long t = target[target_at + r];
        const bool used = t != ignore, known = t >= 0 && t < classes;
#endif
        if (used) {
            real tops = LOWEST_FINITE, parts = 0;
            FOR_GROUPS(i, classes) {
                const real e = load_logit(row, i, classes, -INFINITY);
                ONLINE(e, tops, parts);
            }
            top = team_max(tops, scratch);
            parts *= exp(tops - top);
            ONLINE_END(tops, parts);
            log_sum = log(team_sum(parts, scratch));
#if PROBABILITIES
            real all = 0, factors = 0;
            FOR_GROUPS(i, classes) {
                const real b = inside(WEIGHTS(i, classes) * ((1 - smoothing)
                    * load_chance(target + target_at + r * classes, i, classes, 0) + even), i, classes);
                all += b * (top - load_logit(row, i, classes, 0) + log_sum);
                factors += b;
            }
            loss = team_sum(all, scratch);
            a = team_sum(factors, scratch);
            share = 1;
#else
            if (known) {
                share = WEIGHT(t);
                a = (1 - smoothing) * share;
                loss = a * (top - (SCALAR)LOAD1(TYPE, row, t) + log_sum);
            } else {
                loss = share = a = NAN;
                if (LANE == 0)
                    report_fault(t, classes, faults, operation);
            }
            if (smoothing > 0) {
                real all = 0, factors = 0;
                FOR_GROUPS(i, classes) {
                    const real w = inside(WEIGHTS(i, classes), i, classes);
                    all += w * (top - load_logit(row, i, classes, 0) + log_sum);
                    factors += w;
                }
                loss += even * team_sum(all, scratch);
                a += even * team_sum(factors, scratch);
            }
#endif
        }
        if (LANE == 0) {
            kept[r] = top;
            kept[rows + r] = log_sum;
            kept[2 * rows + r] = a;
            if (each_row)
                STORE1(TYPE, losses, r, loss);
        }
        loss_sum += loss;
        share_sum += share;
    }
    if (LANE == 0) {
        sums[2 * get_group_id(0)] = loss_sum;
        sums[2 * get_group_id(0) + 1] = share_sum;
    }
}

// The gradient of each row's loss, divided by *divisor when divide; g holds one gradient a row, or one for all
// (g_step 0). Global size (teams * TEAM).
TEAM_KERNEL cross_entropy_rows_backward(global const element *x, long x_at, global const target_t *target,
                                        long target_at, global const SCALAR *weight, long weight_at,
                                        global const SCALAR *kept, global const element *g, long g_at, long g_step,
                                        global const SCALAR *divisor, global element *gx, long rows, long classes,
                                        long ignore, long divide, long block, SCALAR smoothing)
{
    const long first = get_group_id(0) * block, last = min(first + block, rows);
    const SCALAR even = smoothing / classes;
    weight += weight_at;
    for (long r = first; r < last; r++) {
        global const element *row = x + x_at + r * classes;
        global element *out = gx + r * classes;
        const SCALAR gradient = (SCALAR)LOAD1(TYPE, g, g_at + r * g_step);
        const SCALAR scale = divide ? gradient / divisor[0] : gradient;
        const SCALAR top = kept[r], log_sum = kept[rows + r], a = scale * kept[2 * rows + r];
#if PROBABILITIES
        FOR_GROUPS(i, classes) {
            const real b = WEIGHTS(i, classes) * ((1 - smoothing)
                * load_chance(target + target_at + r * classes, i, classes, 0) + even);
            store_logit(out, i, classes, a * exp(load_logit(row, i, classes, 0) - top - log_sum) - scale * b);
        }
#else
        const long t = target[target_at + r];
        if (t == ignore) {
            FOR_GROUPS(i, classes)
                store_logit(out, i, classes, 0);
            continue;
        }
        if (smoothing > 0) {
            FOR_GROUPS(i, classes)
                store_logit(out, i, classes, a * exp(load_logit(row, i, classes, 0) - top - log_sum)
                            - scale * even * WEIGHTS(i, classes));
        } else {
            FOR_GROUPS(i, classes)
                store_logit(out, i, classes, a * exp(load_logit(row, i, classes, 0) - top - log_sum));
        }
        // The target's own element, by the lane that wrote it.
        if (t >= 0 && t < classes && t / WIDTH % TEAM == LANE) {
            const SCALAR p = exp((SCALAR)LOAD1(TYPE, row, t) - top - log_sum);
            const SCALAR w = WEIGHT(t);
            STORE1(TYPE, out, t, a * p - scale * (even + 1 - smoothing) * w);
        }
#endif
    }
}

// Rows that are neighbours in memory: `inner` of them to each of `outer`. Global size (work-items).
COLUMN_KERNEL cross_entropy_columns(global const element *x, long x_at, global const target_t *target, long target_at,
                                    global const SCALAR *weight, long weight_at, global SCALAR *kept,
                                    global SCALAR *sums, global element *losses, long outer, long classes, long inner,
                                    long ignore, long each_row, long items, long block, SCALAR smoothing, FAULTS)
{
    if (get_global_id(0) >= items)
        return;
    const long first = get_global_id(0) * block, last = min(first + block, outer * GROUPS(inner));
    const long rows = outer * inner;
    const SCALAR even = smoothing / classes;
    SCALAR loss_sum = 0, share_sum = 0;
    weight += weight_at;
    for (long task = first; task < last; task++) {
        const long i = task % GROUPS(inner), o = task / GROUPS(inner);
        global const element *column = x + x_at + o * classes * inner;
        real top = LOWEST_FINITE, sum = 0, loss = 0, a = 0;
        for (long c = 0; c < classes; c++) {
            const real e = load_logit(column + c * inner, i, inner, 0);
            ONLINE(e, top, sum);
        }
        ONLINE_END(top, sum);
        const real log_sum = log(sum);
        if (PROBABILITIES || smoothing > 0)
            for (long c = 0; c < classes; c++) {
#if PROBABILITIES
                const real b = WEIGHT(c) * ((1 - smoothing)
                    * load_chance(target + target_at + (o * classes + c) * inner, i, inner, 0) + even);
#else
                const real b = WEIGHT(c) * even;
#endif
                loss += b * (top - load_logit(column + c * inner, i, inner, 0) + log_sum);
                a += b;
            }
        SCALAR loss_of[WIDTH], a_of[WIDTH], top_of[WIDTH], log_of[WIDTH];
        VSTORE(loss, 0, loss_of);
        VSTORE(a, 0, a_of);
        VSTORE(top, 0, top_of);
        VSTORE(log_sum, 0, log_of);
        for (int j = 0; j < WIDTH && i * WIDTH + j < inner; j++) {
            const long at = i * WIDTH + j, r = o * inner + at;
            SCALAR share = 1;
#if !PROBABILITIES
            const long t = target[target_at + r];
            if (t == ignore) {
                loss_of[j] = a_of[j] = top_of[j] = log_of[j] = share = 0;
            } else if (t < 0 || t >= classes) {
                loss_of[j] = a_of[j] = share = NAN;
                report_fault(t, classes, faults, operation);
            } else {
                share = WEIGHT(t);
                const SCALAR b = (1 - smoothing) * share;
                loss_of[j] += b * (top_of[j] - (SCALAR)LOAD1(TYPE, column, t * inner + at) + log_of[j]);
                a_of[j] += b;
            }
#endif
            kept[r] = top_of[j];
            kept[rows + r] = log_of[j];
            kept[2 * rows + r] = a_of[j];
            if (each_row)
                STORE1(TYPE, losses, r, loss_of[j]);
            loss_sum += loss_of[j];
            share_sum += share;
        }
    }
    sums[2 * get_global_id(0)] = loss_sum;
    sums[2 * get_global_id(0) + 1] = share_sum;
}

// As cross_entropy_rows_backward. Global size (work-items).
COLUMN_KERNEL cross_entropy_columns_backward(global const element *x, long x_at, global const target_t *target,
                                             long target_at, global const SCALAR *weight, long weight_at,
                                             global const SCALAR *kept, global const element *g, long g_at,
                                             long g_step, global const SCALAR *divisor, global element *gx,
                                             long outer, long classes, long inner, long ignore, long divide,
                                             long block, SCALAR smoothing)
{
    const long first = get_global_id(0) * block, last = min(first + block, outer * GROUPS(inner));
    const long rows = outer * inner;
    const SCALAR even = smoothing / classes;
    weight += weight_at;
    for (long task = first; task < last; task++) {
        const long i = task % GROUPS(inner), o = task / GROUPS(inner);
        global const element *column = x + x_at + o * classes * inner;
        global element *out = gx + o * classes * inner;
        SCALAR scale_of[WIDTH], top_of[WIDTH], log_of[WIDTH], a_of[WIDTH];
        for (int j = 0; j < WIDTH; j++) {
            const long r = o * inner + min(i * WIDTH + j, inner - 1);
            const SCALAR gradient = (SCALAR)LOAD1(TYPE, g, g_at + r * g_step);
            scale_of[j] = divide ? gradient / divisor[0] : gradient;
            top_of[j] = kept[r];
            log_of[j] = kept[rows + r];
            a_of[j] = scale_of[j] * kept[2 * rows + r];
        }
        const real scale = VLOAD(0, scale_of), top = VLOAD(0, top_of), log_sum = VLOAD(0, log_of), a = VLOAD(0, a_of);
        for (long c = 0; c < classes; c++) {
#if PROBABILITIES
            const real b = WEIGHT(c) * ((1 - smoothing)
                * load_chance(target + target_at + (o * classes + c) * inner, i, inner, 0) + even);
#else
            const SCALAR b = WEIGHT(c) * even;
#endif
            store_logit(out + c * inner, i, inner,
                        a * exp(load_logit(column + c * inner, i, inner, 0) - top - log_sum) - scale * b);
        }
#if !PROBABILITIES
        for (int j = 0; j < WIDTH && i * WIDTH + j < inner; j++) {
            const long at = i * WIDTH + j, t = target[target_at + o * inner + at];
            if (t == ignore) {
                for (long c = 0; c < classes; c++)
                    STORE1(TYPE, out, c * inner + at, 0);
            } else if (t >= 0 && t < classes) {
                const SCALAR p = exp((SCALAR)LOAD1(TYPE, column, t * inner + at) - top_of[j] - log_of[j]);
                const SCALAR w = WEIGHT(t);
                STORE1(TYPE, out, t * inner + at, a_of[j] * p - scale_of[j] * (even + 1 - smoothing) * w);
            }
        }
#endif
    }
}

// Adds up what the teams left, divides by the sum of the shares when divide, and keeps that sum for backward.
// Global size (TEAM).
TEAM_KERNEL cross_entropy_total(global const SCALAR *sums, global element *loss, global SCALAR *divisor, long count,
                                long divide)
{
    SCRATCH(scratch);
    SCALAR total = 0, share = 0;
    for (long i = LANE; i < count; i += TEAM) {
        total += sums[2 * i];
        share += sums[2 * i + 1];
    }
    const SCALAR all = share_sum(total, scratch), by = share_sum(share, scratch);
    if (LANE == 0) {
        divisor[0] = by;
        STORE1(TYPE, loss, 0, divide ? all / by : all);
    }
}
