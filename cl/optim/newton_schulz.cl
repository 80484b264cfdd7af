// The polynomial of a Newton-Schulz iteration: c1 I + c3 A + c5 A^2, where `gram` is A and `square` is A^2.
//
// Both are matrices of `n` by `n` elements, one after another; the polynomial is written over the square. Global size:
// elements. genesis/ops/newton_schulz.py multiplies before and after: X X^T = A, A A, and the polynomial times X.
#include "types.h"

#ifndef REAL
#define REAL float32
#endif

kernel void polynomial(global const STORAGE(REAL) *gram, global STORAGE(REAL) *square, long n,
                       SCALAR c1, SCALAR c3, SCALAR c5)
{
    const long i = get_global_id(0), place = i % (n * n);
    square[i] = (place / n == place % n ? c1 : 0) + c3 * gram[i] + c5 * square[i];
}
