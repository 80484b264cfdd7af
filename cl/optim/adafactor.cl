// Adafactor (Shazeer & Stern 2018, Algorithms 4 and 5, with the steps of 8); arXiv:1804.04235.
//
// average    a running average of squares, from their sums over rows or columns, or of each element of a vector
// lengths    sums of squares of the steps U, before their length is limited
// adafactor  takes the step
//
// A parameter is its last two dimensions, `rows` and `columns` of a matrix, as often as the others say; a vector is a
// row. FACTORED: the squares of an element are estimated as row_var * col_var / row_mean; else col_var has them.
// Defined by the host (genesis/optim/adafactor.py): PARAM (storage type of parameter and gradient), STATE, FACTORED,
// and the places in `chosen`, which choose.cl writes: ONE_MINUS_BETA2, RHO, SIGN, FACTOR and SKIP.
#include "types.h"

#ifndef PARAM
#define PARAM float32
#endif
#ifndef STATE
#define STATE float32
#endif
#ifndef FACTORED
#define FACTORED 1
#endif
#ifndef PIECE
#define PIECE 1024              // elements of a row that a work-item sums up
#endif
#ifndef RHO
#define SIGN 1
#define ONE_MINUS_BETA2 2
#define RHO 3
#define FACTOR 4
#define SKIP 5
#endif

// Global size: elements of the average. FACTORED: squares has sums of `count`; else `grads` has the elements themselves.
kernel void average(global STORAGE(STATE) *average, long at, global const SCALAR *squares,
                    global const STORAGE(PARAM) *grads, long grads_at, SCALAR count, global const SCALAR *chosen)
{
    if (chosen[SKIP] != 0) return;
    const long i = get_global_id(0);
#if FACTORED
    const SCALAR square = squares[i] / count * chosen[FACTOR] * chosen[FACTOR];
#else
    const SCALAR grad = chosen[FACTOR] * LOAD1(PARAM, grads, grads_at + i), square = grad * grad;
#endif
    const SCALAR old = LOAD1(STATE, average, at + i), share = chosen[ONE_MINUS_BETA2], change = square - old;
    // From the nearer end: much smaller squares than before would not survive being added to those.
    STORE1(STATE, average, at + i, share < 0.5f ? old + share * change : square - (1 - share) * change);
}

// U, the gradient divided by the root of the average of its squares; eps1 keeps both denominators from 0.
static SCALAR scaled(SCALAR grad, long row, long column, long rows, long columns, global const STORAGE(STATE) *row_var,
                     global const STORAGE(STATE) *col_var, global const SCALAR *row_mean, SCALAR eps1)
{
    SCALAR square = LOAD1(STATE, col_var, row / rows * columns + column);
#if FACTORED
    square *= LOAD1(STATE, row_var, row) / fmax(row_mean[row / rows], eps1);
#endif
    return grad / fmax(sqrt(square), eps1);
}

// Global size: pieces of a row; rows of all matrices. partial: (rows of all, pieces).
kernel void lengths(global const STORAGE(PARAM) *grads, long grads_at, long rows, long columns,
                    global const STORAGE(STATE) *row_var, long row_at, global const STORAGE(STATE) *col_var, long col_at,
                    global const SCALAR *row_mean, SCALAR eps1, global const SCALAR *chosen, global SCALAR *partial)
{
    const long row = get_global_id(1), first = get_global_id(0) * PIECE;
    SCALAR sum = 0;
    for (long column = first; column < min(first + PIECE, columns); column++) {
        const SCALAR grad = chosen[FACTOR] * LOAD1(PARAM, grads, grads_at + row * columns + column);
        const SCALAR u = scaled(grad, row, column, rows, columns, row_var + row_at, col_var + col_at, row_mean, eps1);
        sum += u * u;
    }
    partial[row * get_global_size(0) + get_global_id(0)] = sum;
}

// Global size: columns; rows of all matrices. param_squares and step_squares are sums over all `size` elements.
kernel void adafactor(global STORAGE(PARAM) *params, long params_at,
                      global const STORAGE(PARAM) *grads, long grads_at, long rows, long columns,
                      global const STORAGE(STATE) *row_var, long row_at, global const STORAGE(STATE) *col_var, long col_at,
                      global const SCALAR *row_mean, SCALAR eps1, global const SCALAR *chosen,
                      global const SCALAR *param_squares, global const SCALAR *step_squares, SCALAR size,
                      SCALAR eps2, SCALAR d, SCALAR decay)
{
    if (chosen[SKIP] != 0) return;
    const long row = get_global_id(1), column = get_global_id(0), i = row * columns + column;
    const SCALAR grad = chosen[SIGN] * chosen[FACTOR] * LOAD1(PARAM, grads, grads_at + i);
    const SCALAR u = scaled(grad, row, column, rows, columns, row_var + row_at, col_var + col_at, row_mean, eps1);
    const SCALAR alpha = fmax(eps2, sqrt(param_squares[0] / size)) * chosen[RHO];      // relative to the parameter
    const SCALAR limit = fmax((SCALAR)1, sqrt(step_squares[0] / size) / d);
    const SCALAR param = LOAD1(PARAM, params, params_at + i);
    STORE1(PARAM, params, params_at + i, param - decay * param - alpha / limit * u);
}
