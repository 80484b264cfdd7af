// Cross-entropy of rows of logits (rows, classes) and class indices, forward and backward without storing the
// probabilities. One work-item a row.
//
//   loss = -(1 - s) w[t] log p[t] - s / classes * sum over c of w[c] log p[c]        s: label smoothing, w: weights
//
// A target equal to `ignore` counts for nothing; any other outside [0, classes) gives NaN.
#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif

typedef STORAGE(TYPE) element;

// The largest logit, and the log of the sum of exponentials of the differences from it. The two are never added up:
// next to a large logit the log would lose its digits.
SCALAR log_sum(global const element *row, long classes, long step, SCALAR *top)
{
    SCALAR sum = 0;
    *top = -INFINITY;
    for (long c = 0; c < classes; c++)
        *top = fmax(*top, (SCALAR)LOAD1(TYPE, row, c * step));
    for (long c = 0; c < classes; c++)
        sum += exp((SCALAR)LOAD1(TYPE, row, c * step) - *top);
    return log(sum);
}

// Writes each row's loss and its share of the mean's divisor (its weight, 0 when ignored).
// Logits of row r, class c lie at (r / inner) * classes * inner + c * inner + r % inner: classes may be any dimension.
kernel void cross_entropy(global const element *logits, long at, global const long *target, long target_at,
                          global const SCALAR *weight, long weight_at, global SCALAR *loss, global SCALAR *share,
                          long classes, long inner, long ignore, SCALAR smoothing)
{
    const long r = get_global_id(0);
    global const element *row = logits + at + r / inner * classes * inner + r % inner;
    const long t = target[target_at + r];
    weight += weight_at;
    if (t == ignore) {
        loss[r] = share[r] = 0;
        return;
    }
    if (t < 0 || t >= classes) {
        loss[r] = share[r] = NAN;
        return;
    }
    SCALAR top;
    const SCALAR log_z = log_sum(row, classes, inner, &top);
    SCALAR total = (1 - smoothing) * weight[t] * (top - (SCALAR)LOAD1(TYPE, row, t * inner) + log_z);
    if (smoothing > 0) {
        SCALAR all = 0;
        for (long c = 0; c < classes; c++)
            all += weight[c] * (top - (SCALAR)LOAD1(TYPE, row, c * inner) + log_z);
        total += smoothing / classes * all;
    }
    loss[r] = total;
    share[r] = weight[t];
}

// g holds one gradient a row, or one for all (g_step 0); each is divided by *divisor.
kernel void cross_entropy_backward(global const element *logits, long at, global const long *target, long target_at,
                                   global const SCALAR *weight, long weight_at,
                                   global const SCALAR *g, long g_at, long g_step,
                                   global const SCALAR *divisor, global element *out,
                                   long classes, long inner, long ignore, SCALAR smoothing)
{
    const long r = get_global_id(0);
    const long base = r / inner * classes * inner + r % inner;
    global const element *row = logits + at + base;
    const long t = target[target_at + r];
    weight += weight_at;
    if (t == ignore) {
        for (long c = 0; c < classes; c++)
            STORE1(TYPE, out, base + c * inner, 0);
        return;
    }
    SCALAR top;
    const SCALAR log_z = log_sum(row, classes, inner, &top), scale = g[g_at + r * g_step] / divisor[0];
    SCALAR sum = 0;
    if (smoothing > 0)
        for (long c = 0; c < classes; c++)
            sum += weight[c];
    const SCALAR chosen = t < 0 || t >= classes ? NAN : (1 - smoothing) * weight[t];
    for (long c = 0; c < classes; c++) {
        const SCALAR p = exp((SCALAR)LOAD1(TYPE, row, c * inner) - top - log_z);
        const SCALAR smooth = smoothing > 0 ? smoothing / classes * (p * sum - weight[c]) : 0;
        STORE1(TYPE, out, base + c * inner, scale * (chosen * (p - (c == t)) + smooth));
    }
}
