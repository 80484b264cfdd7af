// Operations on corresponding elements: one kernel, compiled for an operation, its types and its layout.
//
// Work-item (x, y): x counts along the innermost dimension, y along all others together. Sizes and strides come in
// `layout`, dimension 0 the innermost; strides count elements. The innermost steps are macros, because a compiler that
// knows them to be 0 or 1 loads whole vectors.
//
// Defined by the host (genesis/ops/elementwise.py):
//   OP              OP_add or another of the macros below
//   INPUTS          1, 2 or 3
//   OUT, A, B, C    storage types; for an input, SCALAR_A and so on say that it is a number handed in by value
//   COMPUTE         the C type in which OP works
//   DIMS            dimensions in `layout`
//   OUT_STEP, A_STEP, B_STEP, C_STEP     0, 1 or layout.out[0], layout.a[0], ...
#include "types.h"

#ifndef OP
#define OP OP_add
#define INPUTS 2
#define OUT float32
#define A float32
#define B float32
#define COMPUTE float
#define DIMS 1
#define OUT_STEP 1
#define A_STEP 1
#define B_STEP 1
#endif

typedef struct {
    long shape[DIMS], out[DIMS], a[DIMS], b[DIMS], c[DIMS];
} layout_t;

// One input. OP_x(a, b) also serves arguments that are already in COMPUTE.
#define OP_identity(a)      (a)
#define OP_neg(a)           (-(a))
#if INTEGER
#define OP_abs(a)           ((a) < 0 ? -(a) : (a))
#else
#define OP_abs(a)           fabs(a)
#endif
#define OP_sign(a)          (((a) > 0) - ((a) < 0))
#define OP_exp(a)           exp(a)
#define OP_expm1(a)         expm1(a)
#define OP_log(a)           log(a)
#define OP_log1p(a)         log1p(a)
#define OP_sqrt(a)          sqrt(a)
#define OP_rsqrt(a)         (1 / sqrt(a))
#define OP_reciprocal(a)    (1 / (a))
#define OP_sin(a)           sin(a)
#define OP_cos(a)           cos(a)
#define OP_tanh(a)          tanh(a)
#define OP_sigmoid(a)       (1 / (1 + exp(-(a))))
#define OP_relu(a)          ((a) < 0 ? 0 : (a))           // a NaN passes
#define OP_floor(a)         floor(a)
#define OP_ceil(a)          ceil(a)
#define OP_round(a)         rint(a)
#define OP_logical_not(a)   ((a) == 0)
#define OP_bitwise_not(a)   (~(a))
#define OP_isnan(a)         ((a) != (a))
#define OP_isfinite(a)      ((a) - (a) == 0)
#define OP_isinf(a)         ((a) == (a) && (a) - (a) != 0)

// Two inputs.
#define OP_add(a, b)        ((a) + (b))
#define OP_sub(a, b)        ((a) - (b))
#define OP_mul(a, b)        ((a) * (b))
#define OP_div(a, b)        ((a) / (b))
#define OP_pow(a, b)        power(a, b)
#define OP_floor_divide(a, b)  floor_divide(a, b)
#define OP_remainder(a, b)  remainder_(a, b)
#define OP_maximum(a, b)    ((a) > (b) || (a) != (a) ? (a) : (b))
#define OP_minimum(a, b)    ((a) < (b) || (a) != (a) ? (a) : (b))
#define OP_eq(a, b)         ((a) == (b))
#define OP_ne(a, b)         ((a) != (b))
#define OP_lt(a, b)         ((a) < (b))
#define OP_le(a, b)         ((a) <= (b))
#define OP_gt(a, b)         ((a) > (b))
#define OP_ge(a, b)         ((a) >= (b))
#define OP_bitwise_and(a, b)  ((a) & (b))
#define OP_bitwise_or(a, b)   ((a) | (b))
#define OP_bitwise_xor(a, b)  ((a) ^ (b))
// What backward needs: g is the gradient of the result, x the input, y the result.
#define OP_relu_backward(g, y)     ((y) > 0 ? (g) : 0)
#define OP_sigmoid_backward(g, y)  ((g) * (y) * (1 - (y)))
#define OP_tanh_backward(g, y)     ((g) * (1 - (y) * (y)))
#define OP_log1p_backward(g, x)    ((g) / (1 + (x)))
#define OP_expm1_backward(g, y)    ((g) * ((y) + 1))
#define OP_sqrt_backward(g, y)     ((g) / (2 * (y)))
#define OP_abs_backward(g, x)      ((g) * (((x) > 0) - ((x) < 0)))
#define OP_sin_backward(g, x)      ((g) * cos(x))
#define OP_cos_backward(g, x)      (-(g) * sin(x))

// Three inputs.
#define OP_where(a, b, c)          ((a) != 0 ? (b) : (c))
#define OP_clamp(x, low, high)     OP_minimum(OP_maximum(x, low), high)    // high where low > high
#define OP_pow_backward(g, x, p)   ((p) == 0 ? 0 : (g) * (p) * power(x, (p) - 1))
#define OP_rsqrt_backward(g, y, h) ((h) * (g) * (y) * (y) * (y))
#define OP_addcmul(a, b, c)        ((a) + (b) * (c))
// The share of the gradient that maximum or minimum sends to x: half where both are equal.
#define OP_extremum_backward(g, x, y)  ((x) == (y) ? (g) : 0)

#if INTEGER
COMPUTE power(COMPUTE a, COMPUTE b)
{
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    COMPUTE result = 1;
    for (; b > 0; b >>= 1, a *= a)
        if (b & 1) result *= a;
    return result;
}
COMPUTE floor_divide(COMPUTE a, COMPUTE b)     // rounds down; what stops a process elsewhere gives 0 (b = 0) or wraps
{
    if (b == 0) return 0;
    if (b == -1) return -a;
    COMPUTE q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}
COMPUTE remainder_(COMPUTE a, COMPUTE b) { return a - floor_divide(a, b) * b; }
#else
COMPUTE power(COMPUTE a, COMPUTE b) { return b == 2 ? a * a : pow(a, b); }
COMPUTE remainder_(COMPUTE a, COMPUTE b)       // has the sign of the divisor, as in Python
{
    const COMPUTE r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
COMPUTE floor_divide(COMPUTE a, COMPUTE b)     // goes with remainder_: floor(a / b) is one too many where a / b rounds up
{
    if (b == 0) return a / b;
    const COMPUTE r = fmod(a, b), q = (a - r) / b - (r != 0 && (r < 0) != (b < 0)), whole = floor(q);
    return q - whole > 0.5f ? whole + 1 : whole;
}
#endif

#ifdef SCALAR_A
#define PARAMETER_A COMPUTE a_value
#define VALUE_A a_value
#else
#define PARAMETER_A global const STORAGE(A) *a, long a_at
#define VALUE_A ((COMPUTE)LOAD1(A, a, a_at))
#endif
#ifdef SCALAR_B
#define PARAMETER_B COMPUTE b_value
#define VALUE_B b_value
#else
#define PARAMETER_B global const STORAGE(B) *b, long b_at
#define VALUE_B ((COMPUTE)LOAD1(B, b, b_at))
#endif
#ifdef SCALAR_C
#define PARAMETER_C COMPUTE c_value
#define VALUE_C c_value
#else
#define PARAMETER_C global const STORAGE(C) *c, long c_at
#define VALUE_C ((COMPUTE)LOAD1(C, c, c_at))
#endif

kernel void elementwise(
    global STORAGE(OUT) *out, long out_at, PARAMETER_A
#if INPUTS > 1
    , PARAMETER_B
#endif
#if INPUTS > 2
    , PARAMETER_C
#endif
    , long outer, layout_t layout)
{
    const long x = get_global_id(0), y = get_global_id(1);
    if (x >= layout.shape[0] || y >= outer) return;

    long rest = y;
    for (int d = 1; d < DIMS; d++) {
        const long position = rest % layout.shape[d];
        rest /= layout.shape[d];
        out_at += position * layout.out[d];
#ifndef SCALAR_A
        a_at += position * layout.a[d];
#endif
#if INPUTS > 1 && !defined(SCALAR_B)
        b_at += position * layout.b[d];
#endif
#if INPUTS > 2 && !defined(SCALAR_C)
        c_at += position * layout.c[d];
#endif
    }
    out_at += x * OUT_STEP;
#ifndef SCALAR_A
    a_at += x * A_STEP;
#endif
#if INPUTS > 1 && !defined(SCALAR_B)
    b_at += x * B_STEP;
#endif
#if INPUTS > 2 && !defined(SCALAR_C)
    c_at += x * C_STEP;
#endif

#if INPUTS == 1
    STORE1(OUT, out, out_at, OP(VALUE_A));
#elif INPUTS == 2
    STORE1(OUT, out, out_at, OP(VALUE_A, VALUE_B));
#else
    STORE1(OUT, out, out_at, OP(VALUE_A, VALUE_B, VALUE_C));
#endif
}
