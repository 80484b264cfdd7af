// Special functions, as macros for elementwise.cl, which includes this file for the operations that need it. OpenCL has
// lgamma, but leaves its accuracy open; these give the same to a few roundings everywhere. COMPUTE is float or double.
#ifdef REAL64
#define EPS 1.1102230246251565e-16
#else
#define EPS 5.9604645e-8f
#endif
#define LOG_ROOT_2PI K(0.9189385332046727)
#define PI K(3.141592653589793)

#define OP_lgamma(x)               log_gamma(x)
#define OP_lgamma_backward(g, x)   ((g) * digamma(x))
#define OP_digamma(x)              digamma(x)
#define OP_digamma_backward(g, x)  ((g) * trigamma(x))
#define OP_trigamma(x)             trigamma(x)
#define OP_zeta(x, s)              hurwitz_zeta(s, x)
#define OP_gammainc(a, x)          gamma_share(a, x, 0)
#define OP_gammaincc(a, x)         gamma_share(a, x, 1)
#define OP_gamma_density(a, x)     gamma_density(a, x)
#define OP_erfinv(x)               erf_inverse(x, -log((1 - (x)) * (1 + (x))))
#define OP_erfinv_backward(g, y)   ((g) * K(0.886226925452758) * exp((y) * (y)))
#define OP_ndtri(p)                normal_quantile(p)
#define OP_ndtri_backward(g, y)    ((g) * K(2.5066282746310002) * exp(0.5f * (y) * (y)))
#define OP_log_ndtr(x)             log_normal(x)
#define OP_log_ndtr_backward(g, x) ((g) * log_normal_slope(x))
#define OP_i0(x)                   bessel_i(0, fabs(x), 0)
#define OP_i0_backward(g, x)       ((g) * bessel_i(1, x, 0))
#define OP_i0e(x)                  bessel_i(0, fabs(x), 1)
#define OP_i0e_backward(g, x)      ((g) * (bessel_i(1, x, 1) - OP_sign(x) * bessel_i(0, fabs(x), 1)))
#define OP_i1(x)                   bessel_i(1, x, 0)
#define OP_i1_backward(g, x)       ((g) * bessel_i1_slope(x, 0))
#define OP_i1e(x)                  bessel_i(1, x, 1)
#define OP_i1e_backward(g, x)      ((g) * (bessel_i1_slope(x, 1) - OP_sign(x) * bessel_i(1, x, 1)))

// sin(πx), exactly 0 at whole numbers.
static COMPUTE sin_pi(COMPUTE x)
{
    const COMPUTE whole = floor(x), rest = x - whole, sine = sin(PI * (rest > 0.5f ? 1 - rest : rest));
    return fmod(whole, (COMPUTE)2) == 0 ? sine : -sine;
}

// (ζ(k) - 1) (-1)^k / k for k from 2: the series of log Γ(2 + z) - (1 - γ) z.
constant COMPUTE AROUND_TWO[25] = {
    K(0.32246703342411322), K(-0.067352301053198095), K(0.020580808427784548), K(-0.0073855510286739853),
    K(0.0028905103307415233), K(-0.001192753911703261), K(0.00050966952474304242), K(-0.00022315475845357938),
    K(9.9457512781808534e-5), K(-4.4926236738133142e-5), K(2.0507212775670692e-5), K(-9.4394882752683959e-6),
    K(4.3748667899074878e-6), K(-2.0392157538013662e-6), K(9.5514121304074198e-7), K(-4.492469198764566e-7),
    K(2.1207184805554666e-7), K(-1.00432248239681e-7), K(4.7698101693639806e-8), K(-2.2711094608943165e-8),
    K(1.0838659214896954e-8), K(-5.1834750419700467e-9), K(2.4836745438024783e-9), K(-1.1921401405860912e-9),
    K(5.731367241678862e-10)
};
static COMPUTE log_gamma_around_two(COMPUTE z)          // |z| <= 1/2
{
    COMPUTE sum = 0;
    for (int k = 24; k >= 0; k--) sum = sum * z + AROUND_TWO[k];
    return z * (K(0.42278433509846714) + z * sum);
}
static COMPUTE log_gamma_positive(COMPUTE x)
{
    if (x < 0.5f) return log_gamma_around_two(x) - log(x) - log1p(x);
    if (x < 1.5f) return log_gamma_around_two(x - 1) - log1p(x - 1);
    if (x < 2.5f) return log_gamma_around_two(x - 2);
    COMPUTE product = 1;
    if (x < 8) {                                          // Γ(x) = (x - 1) (x - 2) ... Γ(x - n)
        for (; x >= 2.5f; product *= x) x -= 1;
        return log_gamma_around_two(x - 2) + log(product);
    }
    const COMPUTE r = 1 / x, s = r * r;                   // Stirling's series
    const COMPUTE series = r * (K(0.08333333333333333) - s * (K(0.002777777777777778) - s * (K(7.936507936507937e-4)
        - s * (K(5.952380952380953e-4) - s * (K(8.417508417508417e-4) - s * (K(0.0019175269175269176)
        - s * (K(0.00641025641025641) - s * (K(0.029550653594771242) - s * K(0.17964437236883057)))))))));
    return (x - 0.5f) * (log(x) - 1) + (LOG_ROOT_2PI - 0.5f) + series;
}
static COMPUTE log_gamma(COMPUTE x)
{
    if (x != x || fabs(x) == INFINITY) return x * x;
    if (x > 0) return log_gamma_positive(x);
    const COMPUTE sine = fabs(sin_pi(x));                 // Γ(x) Γ(1 - x) = π / sin(πx)
    return sine == 0 ? (COMPUTE)INFINITY : log(PI / sine) - log_gamma_positive(1 - x);
}

static COMPUTE digamma(COMPUTE x)
{
    COMPUTE result = 0;
    if (x == 0) return copysign((COMPUTE)INFINITY, -x);
    if (x < 0) {                                          // ψ(x) = ψ(1 - x) - π / tan(πx)
        if (x == floor(x)) return NAN;
        result = -PI * (sin_pi(x + 0.5f) / sin_pi(x));
        x = 1 - x;
    }
    for (; x < 10; x += 1) result -= 1 / x;
    const COMPUTE s = 1 / (x * x);
    return result + log(x) - 0.5f / x - s * (K(0.08333333333333333) - s * (K(0.008333333333333333)
        - s * (K(0.003968253968253968) - s * (K(0.004166666666666667) - s * (K(0.007575757575757576)
        - s * (K(0.021092796092796094) - s * K(0.08333333333333333)))))));
}

static COMPUTE trigamma(COMPUTE x)
{
    COMPUTE result = 0, sign = 1;
    if (x < 0.5f) {                                       // ψ'(x) = (π / sin(πx))² - ψ'(1 - x)
        const COMPUTE ratio = PI / sin_pi(x);
        result = -ratio * ratio;
        sign = -1;
        x = 1 - x;
    }
    for (; x < 10; x += 1) result += 1 / (x * x);
    const COMPUTE s = 1 / (x * x);
    result += (1 + 0.5f / x + s * (K(0.16666666666666666) - s * (K(0.03333333333333333) - s * (K(0.023809523809523808)
        - s * (K(0.03333333333333333) - s * (K(0.07575757575757576) - s * (K(0.2531135531135531)
        - s * K(1.1666666666666667))))))))  / x;
    return sign * result;
}

// log(1 + y) - y, for a small y by its series.
static COMPUTE log_beside_line(COMPUTE y)
{
    if (!(fabs(y) < 0.3f)) return log1p(y) - y;
    COMPUTE power = -y * y, sum = power / 2;
    for (int k = 3; k < 40; k++) {
        power *= -y;
        sum += power / k;
    }
    return sum;
}

// x^a exp(-x) / Γ(a + 1). A large a cancels with x before Stirling's formula: the exponent is a (log(1 + y) - y) with
// y = (x - a) / a.
static COMPUTE gamma_term(COMPUTE a, COMPUTE x)
{
    if (a < (sizeof(COMPUTE) == 8 ? 20 : 8))
        return x > 750 ? 0 : exp(-x) * pow(x, a) * exp(-log_gamma(a + 1));
    const COMPUTE s = 1 / (a * a), exponent = log_beside_line((x - a) / a);
    const COMPUTE stirling = (K(0.08333333333333333) - s * (K(0.002777777777777778) - s * (K(0.0007936507936507937)
        - s * K(0.0005952380952380953)))) / a;
    return exp(a * exponent - stirling) / sqrt(2 * PI * a);
}

// x^(a - 1) exp(-x) / Γ(a), the density of the gamma distribution of shape a.
static COMPUTE gamma_density(COMPUTE a, COMPUTE x)
{
    if (!(a > 0 && x >= 0)) return NAN;
    if (x == 0) return a < 1 ? INFINITY : a == 1 ? 1 : 0;
    return isinf(x) || isinf(a) ? 0 : gamma_term(a, x) * (a / x);
}

// The same share as below for shapes so large that a normal distribution and its first corrections give it (Temme 1979,
// "The asymptotic expansion of the incomplete gamma functions"), the coefficients by their series around 0.
static COMPUTE gamma_share_far(COMPUTE a, COMPUTE x, int above)
{
    const COMPUTE y = (x - a) / a, exponent = log_beside_line(y), eta = sqrt(-2 * exponent) * (y < 0 ? -1 : 1);
    const COMPUTE first = K(-0.3333333333333333) + eta * (K(0.08333333333333333) - eta * (K(0.014814814814814815)
        - eta * K(0.0011574074074074073)));
    const COMPUTE second = K(-0.001851851851851852) - eta * K(0.003472222222222222);
    const COMPUTE rest = exp(a * exponent) / sqrt(2 * PI * a) * (first + second / a);
    const COMPUTE normal = erfc((above ? eta : -eta) * sqrt(a / 2)) / 2;
    return above ? normal + rest : normal - rest;
}

// The share of the gamma distribution of shape a that lies below x, or above it: by the series of the lower part where
// x < a + 1, else by the continued fraction of the upper part (Lentz's method; Press et al. 2007, 6.2).
static COMPUTE gamma_share(COMPUTE a, COMPUTE x, int above)
{
    if (!(a >= 0 && x >= 0) || (a == 0 && x == 0) || (isinf(a) && isinf(x))) return NAN;
    if (a == 0 || isinf(x)) return above ? 0 : 1;
    if (x == 0 || isinf(a)) return above ? 1 : 0;
    if (a > 1e6f) return gamma_share_far(a, x, above);
    const COMPUTE first = gamma_term(a, x);
    if (x < a + 1) {
        COMPUTE sum = 1, term = 1;
        for (int k = 1; k < 5000 && term > EPS * sum; k++) {
            term *= x / (a + k);
            sum += term;
        }
        return above ? 1 - first * sum : fmin(first * sum, (COMPUTE)1);
    }
    const COMPUTE tiny = K(1e-30);
    COMPUTE b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d, change = 0;
    for (int k = 1; k < 5000 && fabs(change - 1) > EPS; k++) {
        const COMPUTE n = k * (a - k);
        b += 2;
        d = n * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + n / c;
        if (fabs(c) < tiny) c = tiny;
        change = c * d;
        h *= change;
    }
    return above ? first * a * h : 1 - first * a * h;
}

// Σ (q + k)^-s over k from 0, s > 1: the first terms, then the Euler-Maclaurin formula.
static COMPUTE hurwitz_zeta(COMPUTE s, COMPUTE q)
{
    if (s <= 1) return s == 1 ? INFINITY : NAN;
    if (q <= 0 && (q == floor(q) || s != floor(s))) return q == floor(q) ? INFINITY : NAN;
    if (isinf(q)) return 0;
    if (isinf(s)) return q > 1 ? 0 : q == 1 ? 1 : INFINITY;
    COMPUTE sum = 0;
    for (int k = 0; k < 10 || q < 10; k++, q += 1) sum += pow(q, -s);
    const COMPUTE last = pow(q, -s), r = 1 / (q * q);
    // The terms are B(2j) / (2j)! s (s + 1) ... (s + 2j - 2) q^(1 - s - 2j).
    const COMPUTE bernoulli[8] = {K(0.08333333333333333), K(-0.001388888888888889), K(3.306878306878307e-5),
        K(-8.267195767195768e-7), K(2.08767569878681e-8), K(-5.284190138687493e-10), K(1.3382536530684679e-11),
        K(-3.3896802963225827e-13)};
    sum += last * q / (s - 1) + 0.5f * last;
    COMPUTE term = last * s / q;
    for (int j = 0; j < 8; j++) {
        sum += bernoulli[j] * term;
        term *= (s + (2 * j + 1)) * (s + (2 * j + 2)) * r;
    }
    return sum;
}

// The x whose error function is y, w being -log(1 - y²) (Giles 2010, "Approximating the erfinv function"), in double
// with a step of Halley's method after it.
static COMPUTE erf_inverse(COMPUTE y, COMPUTE w)
{
    if (fabs(y) >= 1) return fabs(y) == 1 ? copysign((COMPUTE)INFINITY, y) : (COMPUTE)NAN;
    COMPUTE p;
    if (w < 5) {
        w -= 2.5f;
        p = K(2.81022636e-08);
        p = K(3.43273939e-07) + p * w;
        p = K(-3.5233877e-06) + p * w;
        p = K(-4.39150654e-06) + p * w;
        p = K(0.00021858087) + p * w;
        p = K(-0.00125372503) + p * w;
        p = K(-0.00417768164) + p * w;
        p = K(0.246640727) + p * w;
        p = K(1.50140941) + p * w;
    } else {
        w = sqrt(w) - 3;
        p = K(-0.000200214257);
        p = K(0.000100950558) + p * w;
        p = K(0.00134934322) + p * w;
        p = K(-0.00367342844) + p * w;
        p = K(0.00573950773) + p * w;
        p = K(-0.0076224613) + p * w;
        p = K(0.00943887047) + p * w;
        p = K(1.00167406) + p * w;
        p = K(2.83297682) + p * w;
    }
    COMPUTE x = p * y;
#ifdef REAL64
    for (int step = 0; step < 2; step++) {
        const COMPUTE z = fabs(x), far = erfc(z) - (1 - fabs(y));                  // how much too large erfc is
        const COMPUTE newton = (fabs(y) < 0.5 ? fabs(y) - erf(z) : far) * 0.886226925452758 * exp(z * z);
        x = copysign(z + newton / (1 + z * newton), y);
    }
#endif
    return x;
}

// The logarithm of the normal distribution: erfc, and far out, where it underflows, the asymptotic series of the ratio
// of distribution and density times -x. The slope is the inverse of that ratio.
#ifdef REAL64
#define FAR -20
#else
#define FAR -10
#endif
static COMPUTE tail_series(COMPUTE x)
{
    COMPUTE sum = 1;
    for (int k = 11; k > 0; k--) sum = 1 - (2 * k - 1) / (x * x) * sum;
    return sum;
}
static COMPUTE log_normal(COMPUTE x)
{
    if (x > 1) return log1p(-0.5f * erfc(x * K(0.7071067811865476)));
    if (x < FAR) return -0.5f * x * x - LOG_ROOT_2PI - log(-x) + log(tail_series(x));
    return log(0.5f * erfc(x * K(-0.7071067811865476)));
}
static COMPUTE log_normal_slope(COMPUTE x)
{
    return x < FAR ? -x / tail_series(x) : exp(-0.5f * x * x - LOG_ROOT_2PI - log_normal(x));
}

// The number below which a share p of the normal distribution lies: in the tails by Newton's method on logarithms.
static COMPUTE normal_quantile(COMPUTE p)
{
    const COMPUTE tail = p < 0.5f ? p : 1 - p;
    if (!(tail > 0)) return tail == 0 ? (p < 0.5f ? -(COMPUTE)INFINITY : (COMPUTE)INFINITY) : (COMPUTE)NAN;
    if (tail > K(0.02)) return K(1.4142135623730951) * erf_inverse(2 * p - 1, -log(4 * p * (1 - p)));
    const COMPUTE wanted = log(tail), start = sqrt(-2 * wanted);
    COMPUTE x = (LOG_ROOT_2PI + log(start)) / start - start;
    for (int step = 0; step < 4; step++) {
        const COMPUTE is = log_normal(x);
        x -= (is - wanted) / log_normal_slope(x);
    }
    return p < 0.5f ? x : -x;
}

// The modified Bessel functions I0 and I1: power series, and for large |x| the asymptotic one. Scaled: times exp(-|x|).
static COMPUTE bessel_i(int order, COMPUTE x, int scaled)
{
    const COMPUTE z = fabs(x), quarter = z * z / 4;
    COMPUTE sum = 1, term = 1;
    if (z < 20) {
        for (int k = 1; k < 60 && term > sum * EPS; k++) {
            term *= quarter / (k * (k + order));
            sum += term;
        }
        if (order) sum *= x / 2;
        return scaled ? sum * exp(-z) : sum;
    }
    for (int k = 1; k < 20 && fabs(term) > EPS; k++) {
        term *= ((2 * k - 1) * (2 * k - 1) - 4 * order) / (8 * k * z);
        sum += term;
    }
    if (z - z != 0) return scaled ? (z == z ? 0 : x) : (order ? x : z);
    sum /= sqrt(2 * PI * z);
    if (order && x < 0) sum = -sum;
    return scaled ? sum : sum * exp(z / 2) * exp(z / 2);
}
static COMPUTE bessel_i1_slope(COMPUTE x, int scaled)
{
    return x == 0 ? (COMPUTE)0.5f : bessel_i(0, fabs(x), scaled) - bessel_i(1, x, scaled) / x;
}
