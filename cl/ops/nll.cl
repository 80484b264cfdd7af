// Negative log-likelihood: of each row of C log-probabilities, the one that the target names.
//
// x is (N, C, inner), target (N, inner); row r = (n, i). weight has an entry a class. A target that is ignore_index
// counts for nothing; another one outside [0, C) is a fault (faults.h) and makes the loss NaN.
//
// Defined by the host (genesis/ops/nll.py): TYPE, the storage type of x; WEIGHT, that of weight and of the results,
// float32 or float64 (with REAL64).
#include "types.h"
#include "faults.h"

#ifndef TYPE
#define TYPE float32
#define WEIGHT float32
#endif

// loss[r] = -weight[target] x[n, target, i], share[r] = weight[target]
kernel void nll(global const STORAGE(TYPE) *x, long x_at, global const long *target, long target_at,
                global const STORAGE(WEIGHT) *weight, long weight_at, global STORAGE(WEIGHT) *loss,
                global STORAGE(WEIGHT) *share, long rows, long classes, long inner, long ignore_index,
                FAULTS)
{
    const long r = get_global_id(0);
    if (r >= rows) return;
    const long c = target[target_at + r];
    if (c == ignore_index) {
        loss[r] = share[r] = 0;
        return;
    }
    if (!FITS(c, classes)) {
        loss[r] = NAN;
        share[r] = 1;
        return;
    }
    const SCALAR w = weight[weight_at + c];
    loss[r] = -w * LOAD1(TYPE, x, x_at + (r / inner * classes + c) * inner + r % inner);
    share[r] = w;
}

// out[n, c, i] = -weight[c] g[r * g_step] / divisor where c is row r's target, else 0
kernel void nll_backward(global const STORAGE(WEIGHT) *g, long g_at, long g_step, global const STORAGE(WEIGHT) *divisor,
                         global const long *target, long target_at, global const STORAGE(WEIGHT) *weight, long weight_at,
                         global STORAGE(TYPE) *out, long size, long classes, long inner, long ignore_index)
{
    const long at = get_global_id(0);
    if (at >= size) return;
    const long c = at / inner % classes, r = at / (inner * classes) * inner + at % inner;
    const long wanted = target[target_at + r];
    SCALAR value = 0;
    if (c == wanted && c != ignore_index) value = -weight[weight_at + c] * g[g_at + r * g_step] / divisor[0];
    STORE1(TYPE, out, at, value);
}
