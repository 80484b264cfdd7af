// The polynomial of a Newton-Schulz iteration: square = a I + b A + c A^2, where `gram` is A and `square` is A^2.
//
// Both are `count` matrices of `n` by `n` elements, one after another. Global size: elements. Called by
// genesis/ops/newton_schulz.py, which multiplies: X X^T = A, A A, and the polynomial times X.
#include "types.h"

#ifndef REAL
#define REAL float32
#endif

kernel void polynomial(global const STORAGE(REAL) *gram, global STORAGE(REAL) *square, long n,
                       SCALAR a, SCALAR b, SCALAR c)
{
    const long i = get_global_id(0), place = i % (n * n);
    square[i] = (place / n == place % n ? a : 0) + b * gram[i] + c * square[i];
}
