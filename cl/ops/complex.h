// Functions of complex numbers, by the names of functions.h: OP_add, OP_exp, OP_exp_backward and so on.
//
// A number is a float2 or, with -D REAL64, a double2 (COMPUTE): x the real, y the imaginary part. Real operands have
// the imaginary part 0. The gradient g of a real loss L by z is dL/dx + i dL/dy, so that of the argument of an analytic
// function is g times the conjugate of the derivative.
#ifndef COMPLEX_H
#define COMPLEX_H

#include "types.h"

#ifndef NUMBER
#define NUMBER SCALAR
#endif

// Elements of any storage type as complex numbers.
#define LOAD_NUMBER(type, p, i)       PASTE(LOAD_NUMBER_, type)(p, i)
#define OF_REAL(x)                    ((COMPUTE)((NUMBER)(x), 0))
#define LOAD_NUMBER_float32(p, i)     OF_REAL(LOAD1_float32(p, i))
#define LOAD_NUMBER_float16(p, i)     OF_REAL(LOAD1_float16(p, i))
#define LOAD_NUMBER_bfloat16(p, i)    OF_REAL(LOAD1_bfloat16(p, i))
#define LOAD_NUMBER_float64(p, i)     OF_REAL(LOAD1_float64(p, i))
#define LOAD_NUMBER_int8(p, i)        OF_REAL(LOAD1_int8(p, i))
#define LOAD_NUMBER_int16(p, i)       OF_REAL(LOAD1_int16(p, i))
#define LOAD_NUMBER_int32(p, i)       OF_REAL(LOAD1_int32(p, i))
#define LOAD_NUMBER_int64(p, i)       OF_REAL(LOAD1_int64(p, i))
#define LOAD_NUMBER_uint8(p, i)       OF_REAL(LOAD1_uint8(p, i))
#define LOAD_NUMBER_bool(p, i)        OF_REAL(LOAD1_bool(p, i))
#define LOAD_NUMBER_complex64(p, i)   PASTE(convert_, COMPUTE)((p)[i])
#define LOAD_NUMBER_complex128(p, i)  PASTE(convert_, COMPUTE)((p)[i])
#define STORE1_complex64(p, i, z)     ((p)[i] = convert_float2(z))
#define STORE1_complex128(p, i, z)    ((p)[i] = convert_double2(z))

static COMPUTE conj(COMPUTE z) { return (COMPUTE)(z.x, -z.y); }

static COMPUTE times(COMPUTE a, COMPUTE b) { return (COMPUTE)(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }

static NUMBER size(COMPUTE z) { return hypot(z.x, z.y); }

static NUMBER largest(COMPUTE z) { return fmax(fabs(z.x), fabs(z.y)); }

static COMPUTE over(COMPUTE a, COMPUTE b)
{
    const NUMBER scale = largest(b);                       // so that no square is too large or too small
    if (scale == 0) return a / copysign(scale, b.x);
    if (isinf(scale)) return times(a, (COMPUTE)(copysign((NUMBER)0, b.x), -copysign((NUMBER)0, b.y)));
    const COMPUTE d = b / scale;
    return times(a / scale, conj(d)) / (d.x * d.x + d.y * d.y);
}

static COMPUTE one_over(COMPUTE z) { return over((COMPUTE)(1, 0), z); }

static COMPUTE direction(COMPUTE z)
{
    if (z.x == 0 && z.y == 0) return (COMPUTE)(0, 0);
    const COMPUTE d = z / largest(z);
    return d / size(d);
}

static COMPUTE turn(COMPUTE z) { return (COMPUTE)(-z.y, z.x); }            // times i
static COMPUTE turn_back(COMPUTE z) { return (COMPUTE)(z.y, -z.x); }

// Functions with C's values at infinities, on branch cuts (where the sign of a zero decides), and of large and small
// numbers: where a factor alone would overflow, half of its exponent is left to the end.
#define LONG_EXPONENT 80

static COMPUTE exponential(COMPUTE z)
{
    const NUMBER r = exp(z.x);
    if (z.y == 0) return (COMPUTE)(r, z.y);
    if (!isfinite(z.y) && (r == 0 || isinf(r))) return (COMPUTE)(r, r - r);           // r - r: 0 or NaN
    const COMPUTE unit = (COMPUTE)(cos(z.y), sin(z.y));
    if (z.x < LONG_EXPONENT || isinf(z.x)) return r * unit;
    const NUMBER part = exp(z.x / 2);
    return part * unit * part;
}

// The logarithm of the absolute value, which near 1 is that of 1 and a small number.
static NUMBER log_size(COMPUTE z)
{
    const NUMBER a = largest(z), b = fmin(fabs(z.x), fabs(z.y));
    if (a > 0.5f && a < 2 && z.y == z.y && z.x == z.x) return log1p((a - 1) * (a + 1) + b * b) / 2;
    if (a > 0x1p100f) return log(size(z / 16)) + 4 * log((NUMBER)2);
    if (a < 0x1p-100f) return log(size(z * 0x1p64f)) - 64 * log((NUMBER)2);
    return log(size(z));
}

static COMPUTE logarithm(COMPUTE z) { return (COMPUTE)(log_size(z), atan2(z.y, z.x)); }

static COMPUTE logarithm_after_one(COMPUTE z)
{
    const NUMBER angle = atan2(z.y, z.x + 1);
    if (largest(z) > 0.4f) return (COMPUTE)(log_size((COMPUTE)(z.x + 1, z.y)), angle);
    return (COMPUTE)(log1p(z.x * (z.x + 2) + z.y * z.y) / 2, angle);
}

static COMPUTE exponential_before_one(COMPUTE z)
{
    if (isinf(z.x)) return exponential(z) - (COMPUTE)(1, 0);
    const NUMBER s = sin(z.y / 2);
    return (COMPUTE)(expm1(z.x) * cos(z.y) - 2 * s * s, exponential(z).y);
}

static COMPUTE root(COMPUTE z)
{
    if (z.x == 0 && z.y == 0) return (COMPUTE)(0, z.y);
    if (isinf(z.y)) return (COMPUTE)(fabs(z.y), z.y);
    if (isinf(z.x)) {
        const NUMBER other = z.y == z.y ? 0 : z.y;
        return z.x > 0 ? (COMPUTE)(z.x, copysign(other, z.y)) : (COMPUTE)(other, copysign(z.x, z.y));
    }
    const NUMBER a = largest(z), scale = a > 0x1p100f ? 0x1p-4f : a < 0x1p-80f ? 0x1p64f : 1;
    z *= scale;
    const NUMBER t = sqrt((fabs(z.x) + size(z)) / 2);
    return (z.x >= 0 ? (COMPUTE)(t, z.y / (2 * t)) : (COMPUTE)(fabs(z.y) / (2 * t), copysign(t, z.y))) / sqrt(scale);
}

static COMPUTE power(COMPUTE a, COMPUTE b)
{
    if (b.x == 0 && b.y == 0) return (COMPUTE)(1, 0);
    if (a.x == 0 && a.y == 0 && b.x > 0) return (COMPUTE)(0, 0);
    return exponential(times(b, logarithm(a)));
}

static COMPUTE hyperbolic_sine(COMPUTE z)
{
    if (!isfinite(z.y) && (z.x == 0 || isinf(z.x))) return (COMPUTE)(z.x, NAN);
    const COMPUTE d = (COMPUTE)(cos(z.y), sin(z.y));
    COMPUTE y = (COMPUTE)(sinh(z.x), cosh(z.x)) * d;
    if (fabs(z.x) > LONG_EXPONENT && !isinf(z.x)) {
        const NUMBER part = exp(fabs(z.x) / 2);
        y = part / 2 * (COMPUTE)(copysign(d.x, d.x * z.x), d.y) * part;
    }
    return (COMPUTE)(y.x, z.y == 0 ? z.y : y.y);
}

static COMPUTE hyperbolic_cosine(COMPUTE z)
{
    if (!isfinite(z.y) && isinf(z.x)) return (COMPUTE)(fabs(z.x), NAN);
    const COMPUTE d = (COMPUTE)(cos(z.y), sin(z.y));
    COMPUTE y = (COMPUTE)(cosh(z.x), sinh(z.x)) * d;
    if (fabs(z.x) > LONG_EXPONENT && !isinf(z.x)) {
        const NUMBER part = exp(fabs(z.x) / 2);
        y = part / 2 * (COMPUTE)(d.x, copysign(d.y, d.y * z.x)) * part;
    }
    return (COMPUTE)(y.x, z.y == 0 ? copysign(z.y, z.x * z.y) : y.y);
}

// Kahan 1987, "Branch cuts for complex elementary functions, or much ado about nothing's sign bit".
static COMPUTE hyperbolic_tangent(COMPUTE z)
{
    const NUMBER t = tan(z.y), s = sinh(z.x), square = 1 + t * t;
    if (fabs(z.x) > 20) {
        const NUMBER small = isinf(z.x) ? 0 : 4 * (t / square) * exp(-2 * fabs(z.x));
        return (COMPUTE)(copysign((NUMBER)1, z.x), isinf(z.x) ? copysign(small, z.y) : small);
    }
    const COMPUTE y = (COMPUTE)(square * sqrt(1 + s * s) * s, t);
    return y / (1 + square * s * s);
}

// The roots of 1 - z and 1 + z, of which the inverse functions are made (Kahan 1987); from HUGE on 1 makes no difference.
#define ROOTS(z) const COMPUTE less = root((COMPUTE)(1 - (z).x, -(z).y)), more = root((COMPUTE)(1 + (z).x, (z).y))
#define HUGE 0x1p60f

static NUMBER log_double(COMPUTE z) { return log_size(z) + log((NUMBER)2); }

static COMPUTE inverse_cosine(COMPUTE z)
{
    if (largest(z) > HUGE) return (COMPUTE)(atan2(fabs(z.y), z.x), copysign(log_double(z), -z.y));
    ROOTS(z);
    return (COMPUTE)(2 * atan2(less.x, more.x), asinh(more.x * less.y - more.y * less.x));
}

static COMPUTE inverse_sine(COMPUTE z)
{
    if (largest(z) > HUGE) return (COMPUTE)(atan2(z.x, fabs(z.y)), copysign(log_double(z), z.y));
    ROOTS(z);
    return (COMPUTE)(atan2(z.x, less.x * more.x - less.y * more.y), asinh(less.x * more.y - less.y * more.x));
}

static COMPUTE inverse_hyperbolic_cosine(COMPUTE z)
{
    if (largest(z) > HUGE) return (COMPUTE)(log_double(z), atan2(z.y, z.x));
    const COMPUTE less = root((COMPUTE)(z.x - 1, z.y)), more = root((COMPUTE)(z.x + 1, z.y));
    return (COMPUTE)(asinh(less.x * more.x + less.y * more.y), 2 * atan2(less.y, more.x));
}

static COMPUTE inverse_hyperbolic_tangent(COMPUTE z)
{
    if (largest(z) > 0x1p30f)                              // 1 / z, and a quarter of a turn
        return (COMPUTE)(copysign(one_over(z).x, z.x), z.y == z.y ? copysign(acos((NUMBER)0), z.y) : z.y);
    const NUMBER x = fabs(z.x), apart = 1 - x, square = apart * apart + z.y * z.y;
    const NUMBER part = square > x ? log1p(4 * x / square) / 4
                                   : (log_size((COMPUTE)(1 + x, z.y)) - log_size((COMPUTE)(apart, z.y))) / 2;
    return (COMPUTE)(copysign(part, z.x), atan2(2 * z.y, apart * (1 + x) - z.y * z.y) / 2);
}

static COMPUTE sigmoid(COMPUTE z) { return one_over((COMPUTE)(1, 0) + exponential(-z)); }

#define SCALED(z, number) ((z) * (NUMBER)(number))
#define ONE               ((COMPUTE)(1, 0))

#define OP_identity(a)       (a)
#define OP_neg(a)            (-(a))
#define OP_conj(a)           conj(a)
#define OP_square(a)         times(a, a)
#define OP_cube(a)           times(a, times(a, a))
#define OP_reciprocal(a)     one_over(a)
#define OP_sqrt(a)           root(a)
#define OP_rsqrt(a)          one_over(root(a))
#define OP_exp(a)            exponential(a)
#define OP_exp2(a)           exponential(SCALED(a, log((NUMBER)2)))
#define OP_expm1(a)          exponential_before_one(a)
#define OP_log(a)            logarithm(a)
#define OP_log2(a)           (logarithm(a) / log((NUMBER)2))
#define OP_log10(a)          (logarithm(a) / log((NUMBER)10))
#define OP_log1p(a)          logarithm_after_one(a)
#define OP_sin(a)            turn_back(hyperbolic_sine(turn(a)))
#define OP_cos(a)            hyperbolic_cosine(turn(a))
#define OP_tan(a)            turn_back(hyperbolic_tangent(turn(a)))
#define OP_sinh(a)           hyperbolic_sine(a)
#define OP_cosh(a)           hyperbolic_cosine(a)
#define OP_tanh(a)           hyperbolic_tangent(a)
#define OP_asin(a)           inverse_sine(a)
#define OP_acos(a)           inverse_cosine(a)
#define OP_atan(a)           turn_back(inverse_hyperbolic_tangent(turn(a)))
#define OP_asinh(a)          turn_back(inverse_sine(turn(a)))
#define OP_acosh(a)          inverse_hyperbolic_cosine(a)
#define OP_atanh(a)          inverse_hyperbolic_tangent(a)
#define OP_silu(a)           times(a, sigmoid(a))
#define OP_sigmoid(a)        sigmoid(a)
#define OP_sgn(a)            direction(a)
#define OP_abs(a)            size(a)
#define OP_angle(a)          atan2((a).y, (a).x)
#define OP_isnan(a)          (isnan((a).x) || isnan((a).y))
#define OP_isinf(a)          (isinf((a).x) || isinf((a).y))
#define OP_isfinite(a)       (isfinite((a).x) && isfinite((a).y))
#define NONZERO(a)           ((a).x != 0 || (a).y != 0)
#define OP_logical_not(a)    (!NONZERO(a))

#define OP_add(a, b)         ((a) + (b))
#define OP_sub(a, b)         ((a) - (b))
#define OP_mul(a, b)         times(a, b)
#define OP_div(a, b)         over(a, b)
#define OP_pow(a, b)         power(a, b)
#define OP_eq(a, b)          ((a).x == (b).x && (a).y == (b).y)
#define OP_ne(a, b)          (!OP_eq(a, b))
#define OP_logical_and(a, b) (NONZERO(a) && NONZERO(b))
#define OP_logical_or(a, b)  (NONZERO(a) || NONZERO(b))
#define OP_logical_xor(a, b) (NONZERO(a) != NONZERO(b))
#define OP_mul_conj(a, b)    times(a, conj(b))
#define OP_div_conj(a, b)    over(a, conj(b))
#define OP_add_turned(a, b)  ((a) + turn(b))                               // a + i b
#define OP_polar(r, angle)   ((COMPUTE)((r).x * cos((angle).x), (r).x * sin((angle).x)))

#define OP_where(a, b, c)                  ((a).x != 0 ? (b) : (c))
#define OP_add_scaled(a, b, value)         ((a) + times(value, b))
#define OP_addcmul_scaled(a, b, c, value)  ((a) + times(value, times(b, c)))
#define OP_mul_scaled(g, z, value)         times(g, conj(times(value, z)))

// Gradients: of the argument z where a function saves that, by its result y where it saves y.
#define OP_div_backward(g, a, b)           (-times(g, conj(over(over(a, b), b))))
#define OP_exp_backward(g, y)              times(g, conj(y))
#define OP_exp2_backward(g, y)             SCALED(times(g, conj(y)), log((NUMBER)2))
#define OP_expm1_backward(g, y)            times(g, conj((y) + ONE))
#define OP_log_backward(g, z)              over(g, conj(z))
#define OP_log2_backward(g, z)             (over(g, conj(z)) / log((NUMBER)2))
#define OP_log10_backward(g, z)            (over(g, conj(z)) / log((NUMBER)10))
#define OP_log1p_backward(g, z)            over(g, conj((z) + ONE))
#define OP_sqrt_backward(g, y)             over(g, SCALED(conj(y), 2))
#define OP_rsqrt_backward(g, y)            SCALED(times(g, conj(times(y, times(y, y)))), -0.5f)
#define OP_reciprocal_backward(g, y)       (-times(g, conj(times(y, y))))
#define OP_square_backward(g, z)           SCALED(times(g, conj(z)), 2)
#define OP_sin_backward(g, z)              times(g, conj(OP_cos(z)))
#define OP_cos_backward(g, z)              (-times(g, conj(OP_sin(z))))
#define OP_tan_backward(g, y)              times(g, conj(ONE + times(y, y)))
#define OP_sinh_backward(g, z)             times(g, conj(hyperbolic_cosine(z)))
#define OP_cosh_backward(g, z)             times(g, conj(hyperbolic_sine(z)))
#define OP_tanh_backward(g, y)             times(g, conj(ONE - times(y, y)))
#define OP_sigmoid_backward(g, y)          times(g, conj(times(y, ONE - (y))))
#define OP_asin_backward(g, z)             over(g, conj(root(ONE - times(z, z))))
#define OP_acos_backward(g, z)             (-OP_asin_backward(g, z))
#define OP_atan_backward(g, z)             over(g, conj(ONE + times(z, z)))
#define OP_asinh_backward(g, z)            over(g, conj(root(ONE + times(z, z))))
#define OP_acosh_backward(g, z)            over(g, conj(times(root((z) - ONE), root((z) + ONE))))
#define OP_atanh_backward(g, z)            over(g, conj(ONE - times(z, z)))
#define OP_silu_backward(g, z)             silu_backward(g, z)
#define OP_abs_backward(g, z)              SCALED(direction(z), (g).x)
#define OP_angle_backward(g, z)            (NONZERO(z) ? SCALED(turn(direction(z)), (g).x / size(z)) : (z))
#define OP_sgn_backward(g, z)              (NONZERO(z) ? across(g, direction(z)) / size(z) : (z))
#define OP_pow_backward(g, z, p)           (NONZERO(p) ? times(g, conj(times(p, power(z, (p) - ONE)))) : (p))
#define OP_pow_backward_exponent(g, z, p) \
    (!NONZERO(z) && (p).x >= 0 ? (z) : times(g, conj(times(power(z, p), logarithm(z)))))

static COMPUTE silu_backward(COMPUTE g, COMPUTE z)
{
    const COMPUTE s = sigmoid(z);
    return times(g, conj(times(s, ONE + times(z, ONE - s))));
}

static COMPUTE across(COMPUTE g, COMPUTE s) { return g - s * (g.x * s.x + g.y * s.y); }

#endif
