// Activation functions and their derivatives, as macros for elementwise.cl: x is the input, g the gradient of the
// result. Each is written so that neither tail overflows or cancels. COMPUTE is float or double.

// erfc(x), to 3 units in the last place near 0 and 2^-24 x^2 in the tail. Where a runtime's own takes one number at a time
// (genesis/opencl/quirks.py): t exp(P(t) - x^2) for x > 0, with t = 1 / (1 + x / 2), as in Press et al., "Numerical
// Recipes" (2007), 6.2.2; P fitted here, to 5e-8 of the exponent.
#if defined(SCALAR_ERFC) && !defined(REAL64)
static float complement(float x)
{
    const float z = fabs(x), t = 1 / (1 + 0.5f * z);
    const float p = -1.26545298f + t * (0.998726308f + t * (0.385905385f + t * (0.0378191322f + t * (-0.00741645321f
        + t * (-0.0652002022f + t * (-0.713170826f + t * (1.16860461f + t * (-0.685568929f + t * 0.14575398f))))))));
    const float tail = t * exp(p - z * z);
    return x < 0 ? 2 - tail : tail;
}
#else
#define complement(x) erfc(x)
#endif

// x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016; arXiv:1606.08415). erfc keeps the left tail exact.
// With 0.5f * x for ldexp, Intel's runtime takes twice as long for 16 million numbers; the result is the same.
#define OP_gelu(x)               (ldexp(x, -1) * complement((x) * K(-0.7071067811865476)))
#define OP_gelu_backward(g, x)   ((g) * (0.5f * complement((x) * K(-0.7071067811865476)) \
                                         + (x) * K(0.3989422804014327) * exp(-0.5f * (x) * (x))))
// The same with Phi(x) taken as (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
#define TWO_U(x)                 (K(1.5957691216057308) * ((x) + K(0.044715) * (x) * (x) * (x)))
#define OP_gelu_tanh(x)          ((x) / (1 + exp(-TWO_U(x))))
#define OP_gelu_tanh_backward(g, x)  gelu_tanh_backward(g, x)
static COMPUTE gelu_tanh_backward(COMPUTE g, COMPUTE x)
{
    const COMPUTE s = 1 / (1 + exp(-TWO_U(x)));
    return g * (s + x * s * (1 - s) * K(1.5957691216057308) * (1 + K(0.134145) * x * x));
}

#define OP_silu(x)               ((x) / (1 + exp(-(x))))
#define OP_silu_backward(g, x)   silu_backward(g, x)
static COMPUTE silu_backward(COMPUTE g, COMPUTE x)
{
    const COMPUTE s = 1 / (1 + exp(-x));
    return g * (s * (1 + x * (1 - s)));
}

// x tanh(softplus(x)) (Misra 2019; arXiv:1908.08681), tanh(log(1 + e)) = n / (n + 2) where e = exp(x), n = e (e + 2).
#define OP_mish(x)               mish(x)
#define OP_mish_backward(g, x)   mish_backward(g, x)
static COMPUTE mish(COMPUTE x)
{
    const COMPUTE e = exp(x), n = e * (e + 2);
    return x > 20 ? x : x * (n / (n + 2));
}
static COMPUTE mish_backward(COMPUTE g, COMPUTE x)
{
    const COMPUTE e = exp(x), n = e * (e + 2), t = n / (n + 2);
    return x > 20 ? g : g * (t + x * (e / (1 + e)) * (2 / (n + 2)) * (1 + t));
}

#define OP_softplus(x, beta, threshold) \
    ((x) * (beta) > (threshold) ? (x) : log1p(exp((x) * (beta))) / (beta))
#define OP_softplus_backward(g, x, beta, threshold) \
    ((x) * (beta) > (threshold) ? (g) : (g) / (1 + exp(-(x) * (beta))))
#define OP_logsigmoid(x)         (fmin(x, (COMPUTE)0) - log1p(exp(-fabs(x))))
#define OP_logsigmoid_backward(g, x)  ((g) / (1 + exp(x)))
#define OP_softsign(x)           ((x) / (1 + fabs(x)))
#define OP_softsign_backward(g, x)    ((g) / ((1 + fabs(x)) * (1 + fabs(x))))

#define OP_leaky_relu(x, slope)  ((x) > 0 ? (x) : (x) * (slope))
#define OP_leaky_relu_backward(g, x, slope)  ((x) > 0 ? (g) : (g) * (slope))
#define OP_prelu_backward_weight(g, x)       ((x) > 0 ? 0 : (g) * (x))
// scale * x or scale * alpha (exp(rate x) - 1): ELU (Clevert et al. 2015; arXiv:1511.07289), SELU and CELU.
#define OP_elu(x, alpha, scale, rate)        ((x) > 0 ? (x) * (scale) : (scale) * (alpha) * expm1((x) * (rate)))
#define OP_elu_backward(g, x, alpha, scale, rate) \
    ((x) > 0 ? (g) * (scale) : (g) * ((scale) * (alpha) * (rate)) * exp((x) * (rate)))
#define OP_hardtanh_backward(g, x, low, high)     ((x) > (low) && (x) < (high) ? (g) : 0)
#define OP_hardsigmoid(x)        (OP_clamp((x) + 3, 0, 6) / 6)
#define OP_hardsigmoid_backward(g, x)        ((x) > -3 && (x) < 3 ? (g) / 6 : 0)
#define OP_hardswish(x)          ((x) * OP_clamp((x) + 3, 0, 6) / 6)
#define OP_hardswish_backward(g, x)          ((x) <= -3 ? 0 : (x) >= 3 ? (g) : (g) * ((x) / 3 + 0.5f))
#define OP_hardshrink(x, edge)   ((x) >= -(edge) && (x) <= (edge) ? 0 : (x))
#define OP_softshrink(x, edge)   (fabs(x) <= (edge) ? 0 : (x) > 0 ? (x) - (edge) : (x) + (edge))
#define OP_shrink_backward(g, x, edge)       ((x) > (edge) || (x) < -(edge) ? (g) : 0)
#define OP_threshold_backward(g, x, edge)    ((x) <= (edge) ? 0 : (g))
#define OP_logit(x, eps)         logit(x, eps)
static COMPUTE logit(COMPUTE x, COMPUTE eps)        // a negative eps: no limits
{
    const COMPUTE z = eps < 0 ? x : OP_clamp(x, eps, 1 - eps);
    return log(z / (1 - z));
}
#define OP_logit_backward(g, x, eps) \
    ((x) < fmax(eps, (COMPUTE)0) || (x) > 1 - fmax(eps, (COMPUTE)0) ? ((eps) < 0 ? (COMPUTE)NAN : 0) \
                                                                    : (g) / ((x) * (1 - (x))))
