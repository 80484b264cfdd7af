// Functions of numbers, one macro each: OP_name is what elementwise.cl computes for the operation `name`.
//
// Arguments are variables of type COMPUTE, float, double, int or long; INTEGER tells the last two apart. What ends in
// _backward has the gradient g of the result first, then the input x or the result y.
#ifdef REAL64
#define K(number) number          // a constant that float does not hold exactly
#else
#define K(number) number##f
#endif

// One input.
#define OP_identity(a)      (a)
#define OP_neg(a)           (-(a))
#if INTEGER
#define OP_abs(a)           ((a) < 0 ? -(a) : (a))
#define OP_trunc(a)         (a)
#else
#define OP_abs(a)           fabs(a)
#define OP_trunc(a)         trunc(a)
#endif
#define OP_sign(a)          (((a) > 0) - ((a) < 0))
#define OP_square(a)        ((a) * (a))
#define OP_cube(a)          ((a) * (a) * (a))
#define OP_exp(a)           exp(a)
#define OP_exp2(a)          exp2(a)
#define OP_expm1(a)         expm1(a)
#define OP_log(a)           log(a)
#define OP_log2(a)          log2(a)
#define OP_log10(a)         log10(a)
#define OP_log1p(a)         log1p(a)
#define OP_sqrt(a)          sqrt(a)
#define OP_rsqrt(a)         (1 / sqrt(a))
#define OP_reciprocal(a)    (1 / (a))
#define OP_sin(a)           sin(a)
#define OP_cos(a)           cos(a)
#define OP_tan(a)           tan(a)
#define OP_asin(a)          asin(a)
#define OP_acos(a)          acos(a)
#define OP_atan(a)          atan(a)
#define OP_sinh(a)          sinh(a)
#define OP_cosh(a)          cosh(a)
#define OP_tanh(a)          tanh(a)
#define OP_asinh(a)         asinh(a)
#define OP_acosh(a)         acosh(a)
#define OP_atanh(a)         atanh(a)
#define OP_erf(a)           erf(a)
#define OP_erfc(a)          erfc(a)
#define OP_sigmoid(a)       (1 / (1 + exp(-(a))))
#if INTEGER
#define OP_relu(a)          max(a, (COMPUTE)0)            // the other crashes Mesa 22's rusticl, of int8
#else
#define OP_relu(a)          ((a) < 0 ? 0 : (a))           // a NaN passes
#endif
#define OP_floor(a)         floor(a)
#define OP_ceil(a)          ceil(a)
#define OP_round(a)         rint(a)
#define OP_frac(a)          ((a) - trunc(a))
#define OP_logical_not(a)   ((a) == 0)
#define OP_bitwise_not(a)   (~(a))
#define OP_isnan(a)         ((a) != (a))
#define OP_isfinite(a)      ((a) - (a) == 0)
#define OP_isinf(a)         ((a) == (a) && (a) - (a) != 0)
#define OP_isposinf(a)      ((a) == (a) && (a) - (a) != 0 && (a) > 0)
#define OP_isneginf(a)      ((a) == (a) && (a) - (a) != 0 && (a) < 0)
#if INTEGER
#define OP_signbit(a)       ((a) < 0)
#else
#define OP_signbit(a)       (signbit(a) != 0)
#endif

#define OP_frexp_exponent(a)  frexp_exponent(a)

// Two inputs.
#define OP_gcd(a, b)        gcd(a, b)
#define OP_lcm(a, b)        lcm(a, b)
#define OP_nextafter(a, b)  nextafter(a, b)
#define OP_add(a, b)        ((a) + (b))
#define OP_sub(a, b)        ((a) - (b))
#define OP_mul(a, b)        ((a) * (b))
#define OP_div(a, b)        ((a) / (b))
#define OP_trunc_divide(a, b)  trunc_divide(a, b)
#define OP_pow(a, b)        power(a, b)
#define OP_floor_divide(a, b)  floor_divide(a, b)
#define OP_remainder(a, b)  remainder_(a, b)
#define OP_fmod(a, b)       fmod_(a, b)
#define OP_maximum(a, b)    ((a) > (b) || (a) != (a) ? (a) : (b))
#define OP_minimum(a, b)    ((a) < (b) || (a) != (a) ? (a) : (b))
#define OP_fmax(a, b)       ((a) >= (b) || (b) != (b) ? (a) : (b))
#define OP_fmin(a, b)       ((a) <= (b) || (b) != (b) ? (a) : (b))
#define OP_eq(a, b)         ((a) == (b))
#define OP_ne(a, b)         ((a) != (b))
#define OP_lt(a, b)         ((a) < (b))
#define OP_le(a, b)         ((a) <= (b))
#define OP_gt(a, b)         ((a) > (b))
#define OP_ge(a, b)         ((a) >= (b))
#define OP_logical_and(a, b)  ((a) != 0 && (b) != 0)
#define OP_logical_or(a, b)   ((a) != 0 || (b) != 0)
#define OP_logical_xor(a, b)  (((a) != 0) != ((b) != 0))
#define OP_bitwise_and(a, b)  ((a) & (b))
#define OP_bitwise_or(a, b)   ((a) | (b))
#define OP_bitwise_xor(a, b)  ((a) ^ (b))
#define OP_left_shift(a, b)   ((b) < 0 || (b) >= (COMPUTE)(8 * sizeof(COMPUTE)) ? 0 : (a) << (b))
#define OP_right_shift(a, b)  \
    ((a) >> ((b) < 0 || (b) >= (COMPUTE)(8 * sizeof(COMPUTE)) ? (COMPUTE)(8 * sizeof(COMPUTE) - 1) : (b)))
#define OP_atan2(a, b)      atan2(a, b)
#define OP_hypot(a, b)      hypot(a, b)
#define OP_copysign(a, b)   copysign(a, b)
#define OP_heaviside(a, b)  ((a) == 0 ? (b) : (a) > 0)
#define OP_xlogy(a, b)      ((b) != (b) ? (b) : (a) == 0 ? 0 : (a) * log(b))
#define OP_logaddexp(a, b)  \
    ((a) == (b) ? (a) + K(0.6931471805599453) : fmax(a, b) + log1p(exp(-fabs((a) - (b)))))

// Three and more.
#define OP_where(a, b, c)          ((a) != 0 ? (b) : (c))
#define OP_clamp(x, low, high)     OP_minimum(OP_maximum(x, low), high)    // high where low > high
#define OP_threshold(x, edge, value)       ((x) <= (edge) ? (value) : (x))
#define OP_addcmul(a, b, c)        ((a) + (b) * (c))
#define OP_addcmul_scaled(a, b, c, value)  ((a) + (value) * (b) * (c))
#define OP_addcdiv(a, b, c, value)         ((a) + (value) * (b) / (c))
#define OP_add_scaled(a, b, value)         ((a) + (value) * (b))
#define OP_scaled_sum(a, b, s, t)          ((s) * (a) + (t) * (b))
#define OP_lerp(a, b, w)    (fabs(w) < 0.5f ? (a) + (w) * ((b) - (a)) : (b) - ((b) - (a)) * (1 - (w)))    // ends exact
#define OP_nan_to_num(a, nan_, high, low)  ((a) != (a) ? (nan_) : (a) - (a) == 0 ? (a) : (a) > 0 ? (high) : (low))
#define OP_isclose(a, b, rtol, atol) \
    ((a) == (b) || ((b) - (b) == 0 && fabs((a) - (b)) <= (atol) + fabs((rtol) * (b))))
#define OP_isclose_nan(a, b, rtol, atol)  (OP_isclose(a, b, rtol, atol) || ((a) != (a) && (b) != (b)))

// Backward of one input.
#define OP_exp_backward(g, y)      ((g) * (y))
#define OP_log_backward(g, x)      ((g) / (x))
#define OP_square_backward(g, x)   (2 * (g) * (x))
#define OP_nansum_backward(g, x)   ((x) != (x) ? 0 : (g))
#define OP_relu_backward(g, y)     ((y) <= 0 ? 0 : (g))
#define OP_sigmoid_backward(g, y)  ((g) * (y) * (1 - (y)))
#define OP_log1p_backward(g, x)    ((g) / (1 + (x)))
#define OP_log2_backward(g, x)     ((g) / ((x) * K(0.6931471805599453)))
#define OP_log10_backward(g, x)    ((g) / ((x) * K(2.302585092994046)))
#define OP_exp2_backward(g, y)     ((g) * (y) * K(0.6931471805599453))
#define OP_expm1_backward(g, y)    ((g) * ((y) + 1))
#define OP_sqrt_backward(g, y)     ((g) / (2 * (y)))
#define OP_rsqrt_backward(g, y)    (-0.5f * (g) * (y) * (y) * (y))
#define OP_reciprocal_backward(g, y)  (-(g) * (y) * (y))
#define OP_abs_backward(g, x)      ((g) * (((x) > 0) - ((x) < 0)))
#define OP_sin_backward(g, x)      ((g) * cos(x))
#define OP_cos_backward(g, x)      (-(g) * sin(x))
#define OP_tan_backward(g, y)      ((g) * (1 + (y) * (y)))
#define OP_asin_backward(g, x)     ((g) / sqrt((1 - (x)) * (1 + (x))))
#define OP_acos_backward(g, x)     (-(g) / sqrt((1 - (x)) * (1 + (x))))
#define OP_atan_backward(g, x)     ((g) / (1 + (x) * (x)))
#define OP_sinh_backward(g, x)     ((g) * cosh(x))
#define OP_cosh_backward(g, x)     ((g) * sinh(x))
#define OP_tanh_backward(g, y)     ((g) * (1 - (y) * (y)))
#define OP_asinh_backward(g, x)    ((g) / hypot(x, (COMPUTE)1))
#define OP_acosh_backward(g, x)    ((g) / sqrt(((x) - 1) * ((x) + 1)))
#define OP_atanh_backward(g, x)    ((g) / ((1 - (x)) * (1 + (x))))
#define OP_erf_backward(g, x)      ((g) * K(1.1283791670955126) * exp(-(x) * (x)))
#define OP_erfc_backward(g, x)     ((g) * K(-1.1283791670955126) * exp(-(x) * (x)))
#define OP_finite_backward(g, x)   ((x) - (x) == 0 ? (g) : 0)

// Backward of two and more.
#define OP_div_backward(g, a, b)           (-(g) * (((a) / (b)) / (b)))
#define OP_remainder_backward(g, a, b)     (-(g) * floor_divide(a, b))
#define OP_fmod_backward(g, a, b)          (-(g) * trunc_divide(a, b))
#define OP_pow_backward(g, x, p)           ((p) == 0 ? 0 : (g) * (p) * power(x, (p) - 1))
#define OP_pow_backward_exponent(g, x, p)  ((x) == 0 && (p) >= 0 ? 0 : (g) * power(x, p) * log(x))
// The share of the gradient that the larger or the smaller of x and y gets, x being the one asked about: half where
// both are equal.
#define OP_larger_backward(g, x, y)        ((x) == (y) ? (g) / 2 : (x) < (y) ? 0 : (g))
#define OP_smaller_backward(g, x, y)       ((x) == (y) ? (g) / 2 : (x) > (y) ? 0 : (g))
#define OP_fmax_first(a, b)                ((a) >= (b) || (b) != (b))
#define OP_fmin_first(a, b)                ((a) <= (b) || (b) != (b))
#define OP_zero_backward(g, x, y)          0
#define OP_atan2_backward(g, a, b)         ((a) == 0 && (b) == 0 ? 0 : (g) * ((b) / ((a) * (a) + (b) * (b))))
#define OP_atan2_backward_x(g, a, b)       ((a) == 0 && (b) == 0 ? 0 : (g) * (-(a) / ((a) * (a) + (b) * (b))))
#define OP_hypot_backward(g, x, y)         ((g) * ((x) / (y)))
#define OP_copysign_backward(g, x, y)      ((x) == 0 ? 0 : (signbit(x) != 0) == (signbit(y) != 0) ? (g) : -(g))
#define OP_xlogy_backward(g, a, b)         ((a) == 0 && (b) <= 0 ? 0 : (g) * log(b))
#define OP_xlogy_backward_log(g, a, b)     ((g) * ((a) / (b)))
#define OP_logaddexp_backward(g, x, y)     ((g) / (1 + exp((y) - (x))))
#define OP_clamp_backward(g, x, low, high) ((x) >= (low) && (x) <= (high) ? (g) : 0)
#define OP_clamp_backward_low(g, x, low, high)   ((x) < (low) && (low) < (high) ? (g) : 0)
#define OP_clamp_backward_high(g, x, low, high)  ((x) > (high) || (high) < (low) ? (g) : 0)
#define OP_mul_scaled(g, x, value)         ((g) * (value) * (x))
#define OP_div_scaled(g, x, value)         ((g) * (value) / (x))
#define OP_addcdiv_backward(g, a, b, value)  (-(g) * (value) * ((a) / (b)) / (b))
#define OP_lerp_backward(g, a, b)          ((g) * ((b) - (a)))
#define OP_lerp_backward_start(g, w)       ((g) * (1 - (w)))

#if INTEGER
static COMPUTE power(COMPUTE a, COMPUTE b)
{
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    COMPUTE result = 1;
    for (; b > 0; b >>= 1, a *= a)
        if (b & 1) result *= a;
    return result;
}
static COMPUTE gcd(COMPUTE a, COMPUTE b)
{
    while (b != 0) {
        const COMPUTE rest = b == -1 ? 0 : a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}
static COMPUTE lcm(COMPUTE a, COMPUTE b)
{
    if (a == 0 || b == 0) return 0;
    const COMPUTE product = a / gcd(a, b) * b;
    return product < 0 ? -product : product;
}
static COMPUTE trunc_divide(COMPUTE a, COMPUTE b)     // what stops a process elsewhere gives 0 (b = 0) or wraps
{
    if (b == 0) return 0;
    return b == -1 ? -a : a / b;
}
static COMPUTE floor_divide(COMPUTE a, COMPUTE b)     // rounds down
{
    if (b == 0) return 0;
    if (b == -1) return -a;
    COMPUTE q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}
static COMPUTE remainder_(COMPUTE a, COMPUTE b) { return a - floor_divide(a, b) * b; }
static COMPUTE fmod_(COMPUTE a, COMPUTE b) { return a - trunc_divide(a, b) * b; }
#else
static int frexp_exponent(COMPUTE a)                  // a = m 2^e with |m| in [1/2, 1); 0 for 0, infinity and NaN
{
    return a == 0 || a - a != 0 ? 0 : ilogb(a) + 1;
}
static COMPUTE power(COMPUTE a, COMPUTE b) { return b == 2 ? a * a : b == 1 ? a : pow(a, b); }
static COMPUTE fmod_(COMPUTE a, COMPUTE b) { return fmod(a, b); }
static COMPUTE remainder_(COMPUTE a, COMPUTE b)       // has the sign of the divisor, as in Python
{
    const COMPUTE r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static COMPUTE trunc_divide(COMPUTE a, COMPUTE b) { return trunc(a / b); }
static COMPUTE floor_divide(COMPUTE a, COMPUTE b)     // fits remainder_: 1 less than floor(a / b) where a / b rounds up
{
    if (b == 0) return a / b;
    const COMPUTE r = fmod(a, b), q = (a - r) / b - (r != 0 && (r < 0) != (b < 0)), whole = floor(q);
    return q - whole > 0.5f ? whole + 1 : whole;
}
#endif
