// Functions of complex numbers, by the names of functions.h: OP_add, OP_exp, OP_exp_backward and so on.
//
// A number is a float2 or, with -D REAL64, a double2 (COMPUTE): x the real, y the imaginary part. Real operands have
// the imaginary part 0. The gradient g of a real loss L by z is dL/dx + i dL/dy, so that of the argument of an analytic
// function is g times the conjugate of the derivative.
#ifndef COMPLEX_H
#define COMPLEX_H

#include "types.h"

#define NUMBER SCALAR

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

static COMPUTE over(COMPUTE a, COMPUTE b)
{
    const NUMBER scale = fmax(fabs(b.x), fabs(b.y));       // so that no square is too large or too small
    const COMPUTE d = b / scale;
    return times(a, conj(d)) / (d.x * d.x + d.y * d.y) / scale;
}

static COMPUTE one_over(COMPUTE z) { return over((COMPUTE)(1, 0), z); }

static COMPUTE direction(COMPUTE z) { return z.x == 0 && z.y == 0 ? z : z / size(z); }

static COMPUTE exponential(COMPUTE z)
{
    const NUMBER r = exp(z.x);
    return z.y == 0 ? (COMPUTE)(r, z.y) : (COMPUTE)(r * cos(z.y), r * sin(z.y));
}

static COMPUTE logarithm(COMPUTE z) { return (COMPUTE)(log(size(z)), atan2(z.y, z.x)); }

static COMPUTE root(COMPUTE z)
{
    if (z.x == 0 && z.y == 0) return (COMPUTE)(0, z.y);
    const NUMBER t = sqrt((fabs(z.x) + size(z)) / 2);
    return z.x >= 0 ? (COMPUTE)(t, z.y / (2 * t)) : (COMPUTE)(fabs(z.y) / (2 * t), copysign(t, z.y));
}

static COMPUTE power(COMPUTE a, COMPUTE b)
{
    if (b.x == 0 && b.y == 0) return (COMPUTE)(1, 0);
    if (a.x == 0 && a.y == 0 && b.x > 0) return (COMPUTE)(0, 0);
    return exponential(times(b, logarithm(a)));
}

static COMPUTE sine(COMPUTE z) { return (COMPUTE)(sin(z.x) * cosh(z.y), cos(z.x) * sinh(z.y)); }
static COMPUTE cosine(COMPUTE z) { return (COMPUTE)(cos(z.x) * cosh(z.y), -sin(z.x) * sinh(z.y)); }
static COMPUTE turn(COMPUTE z) { return (COMPUTE)(-z.y, z.x); }            // times i
static COMPUTE turn_back(COMPUTE z) { return (COMPUTE)(z.y, -z.x); }

static COMPUTE hyperbolic_sine(COMPUTE z) { return turn_back(sine(turn(z))); }
static COMPUTE hyperbolic_cosine(COMPUTE z) { return cosine(turn(z)); }

static COMPUTE hyperbolic_tangent(COMPUTE z)
{
    const NUMBER x = clamp(2 * z.x, (NUMBER)-80, (NUMBER)80);              // beyond, the result is 1 or -1
    return (COMPUTE)(sinh(x), sin(2 * z.y)) / (cosh(x) + cos(2 * z.y));
}

static COMPUTE sigmoid(COMPUTE z) { return one_over((COMPUTE)(1, 0) + exponential(-z)); }

#define SCALED(z, number) ((z) * (NUMBER)(number))

#define OP_identity(a)       (a)
#define OP_neg(a)            (-(a))
#define OP_conj(a)           conj(a)
#define OP_square(a)         times(a, a)
#define OP_cube(a)           times(a, times(a, a))
#define OP_reciprocal(a)     one_over(a)
#define OP_sqrt(a)           root(a)
#define OP_rsqrt(a)          one_over(root(a))
#define OP_exp(a)            exponential(a)
#define OP_log(a)            logarithm(a)
#define OP_sin(a)            sine(a)
#define OP_cos(a)            cosine(a)
#define OP_tan(a)            turn_back(hyperbolic_tangent(turn(a)))
#define OP_sinh(a)           hyperbolic_sine(a)
#define OP_cosh(a)           hyperbolic_cosine(a)
#define OP_tanh(a)           hyperbolic_tangent(a)
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
#define OP_log_backward(g, z)              over(g, conj(z))
#define OP_sqrt_backward(g, y)             over(g, SCALED(conj(y), 2))
#define OP_rsqrt_backward(g, y)            SCALED(times(g, conj(times(y, times(y, y)))), -0.5f)
#define OP_reciprocal_backward(g, y)       (-times(g, conj(times(y, y))))
#define OP_square_backward(g, z)           SCALED(times(g, conj(z)), 2)
#define OP_sin_backward(g, z)              times(g, conj(cosine(z)))
#define OP_cos_backward(g, z)              (-times(g, conj(sine(z))))
#define OP_tan_backward(g, y)              times(g, conj((COMPUTE)(1, 0) + times(y, y)))
#define OP_sinh_backward(g, z)             times(g, conj(hyperbolic_cosine(z)))
#define OP_cosh_backward(g, z)             times(g, conj(hyperbolic_sine(z)))
#define OP_tanh_backward(g, y)             times(g, conj((COMPUTE)(1, 0) - times(y, y)))
#define OP_sigmoid_backward(g, y)          times(g, conj(times(y, (COMPUTE)(1, 0) - (y))))
#define OP_abs_backward(g, z)              SCALED(direction(z), (g).x)
#define OP_angle_backward(g, z)            (NONZERO(z) ? SCALED(turn(direction(z)), (g).x / size(z)) : (z))
#define OP_sgn_backward(g, z)              (NONZERO(z) ? across(g, direction(z)) / size(z) : (z))
#define OP_pow_backward(g, z, p)           (NONZERO(p) ? times(g, conj(times(p, power(z, (p) - (COMPUTE)(1, 0))))) : (p))
#define OP_pow_backward_exponent(g, z, p) \
    (!NONZERO(z) && (p).x >= 0 ? (z) : times(g, conj(times(power(z, p), logarithm(z)))))

static COMPUTE across(COMPUTE g, COMPUTE s) { return g - s * (g.x * s.x + g.y * s.y); }

#endif
