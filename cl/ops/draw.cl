// Numbers drawn from gamma, Poisson and binomial distributions, by rejection. Element i of a call takes the Philox
// counters whose lower 40 bits are i, one an attempt, so that what is drawn depends on seed, stream, i and parameters.
#include "types.h"
#include "philox.h"

#ifndef TYPE
#define TYPE float32      // of the parameters and of the numbers drawn
#endif
#ifndef COMPUTE
#define COMPUTE float
#endif
#define INTEGER 0
#include "functions.h"
#include "special.h"

typedef STORAGE(TYPE) element;
#define MOST 1000         // attempts; more than a handful are needed once in the age of the universe

static uint4 attempt(long i, int number, ulong stream, ulong seed)
{
    return philox((ulong)number << 40 | i, stream, seed);
}
static COMPUTE inside(uint word) { return ((word >> 9) + 0.5f) * 0x1p-23f; }          // in (0, 1), both left out
static COMPUTE normal_of(uint a, uint b) { return sqrt(-2 * log(inside(a))) * cos(2 * PI * unit_interval(b)); }

// Logarithms of numbers from the gamma distributions of the shapes alpha (Marsaglia & Tsang 2000, "A simple method for
// generating gamma variables"); for alpha < 1 that of alpha + 1, times a uniform number to the power 1 / alpha.
kernel void log_gamma_draw(global const element *alpha, global element *out, long n, ulong stream, ulong seed)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const COMPUTE a = LOAD1(TYPE, alpha, i), d = (a < 1 ? a + 1 : a) - 1 / (COMPUTE)3, c = 1 / sqrt(9 * d);
    COMPUTE result = log(d), boost = 0;
    int done = 0;
    for (int k = 0; k < MOST && !done; k++) {
        const uint4 words = attempt(i, k, stream, seed);
        const COMPUTE x = normal_of(words.x, words.y), root = 1 + c * x, v = root * root * root;
        if (a < 1) boost = log(inside(words.w)) / a;
        if (root > 0 && log(inside(words.z)) < 0.5f * x * x + d * (1 - v + log(v))) {
            result = log(d * v);
            done = 1;
        }
    }
    STORE1(TYPE, out, i, a > 0 ? result + boost : NAN);
}

// d log x / d alpha for a number x that was drawn, given by its logarithm: minus the derivative of the distribution
// function by alpha, over x times the density (Figurnov, Mohamed & Mnih 2018, "Implicit reparameterization gradients").
// With t = x exp(-v) below x or x exp(v) above it that is the integral over v from 0 of
//     exp(-alpha v + x (1 - exp(-v))) (digamma(alpha) - log x + v)  or  exp(alpha v - x (exp(v) - 1)) (log x - ... + v);
// of the two, which are equal, the one is taken in which nothing cancels. It ends where the exponential is e^-20, found
// by Newton's method from the right, and is done by Gauss' formula with 16 points on each half.
constant COMPUTE POINTS[8] = {
    K(0.095012509837637441), K(0.28160355077925892), K(0.45801677765722737), K(0.61787624440264377),
    K(0.755404408355003), K(0.86563120238783176), K(0.9445750230732326), K(0.98940093499164994)
};
constant COMPUTE WEIGHTS[8] = {
    K(0.18945061045506864), K(0.18260341504492364), K(0.16915651939500265), K(0.14959598881657671),
    K(0.12462897125553407), K(0.095158511682492605), K(0.062253523938647456), K(0.027152459411754176)
};
static COMPUTE log_gamma_slope_of(COMPUTE a, COMPUTE log_x)
{
    const COMPUTE x = exp(log_x), apart = digamma(a) - log_x, sign = apart > 0 ? -1 : 1;
    COMPUTE end, sum = 0;
    if (sign < 0)
        end = (20 + x) / a;
    else {
        end = log(21 + 100 * a + x) - log_x;
        if (x > 1) end = fmin(end, (fmax(a - x, (COMPUTE)0) + sqrt((a - x) * (a - x) + 40 * x)) / x);
    }
    for (int step = 0; step < 12; step++) {
        const COMPUTE e = expm1(sign * end);
        end -= (x * e - sign * a * end - 20) / (sign * (x * (e + 1) - a));
    }
    for (int k = 0; k < 32; k++) {
        const int at = k & 7;
        const COMPUTE place = ((k & 8 ? -POINTS[at] : POINTS[at]) + (k & 16 ? 3 : 1)) * end / 4;
        sum += WEIGHTS[at] * exp(sign * a * place - x * expm1(sign * place)) * (fabs(apart) + place);
    }
    return sum * end / 4;
}
kernel void log_gamma_slope(global const element *alpha, global const element *log_x, global element *out, long n)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    STORE1(TYPE, out, i, log_gamma_slope_of(LOAD1(TYPE, alpha, i), LOAD1(TYPE, log_x, i)));
}

// Counts from the Poisson distributions of some rates: below 10 the number of uniform factors whose product stays above
// exp(-rate); else Hörmann's PTRS (1993, "The transformed rejection method for generating Poisson random variables").
kernel void poisson(global const element *rates, global element *out, long n, ulong stream, ulong seed)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const COMPUTE rate = LOAD1(TYPE, rates, i), b = 0.931f + 2.53f * sqrt(rate), a = 0.02483f * b - 0.059f;
    const COMPUTE inverse = 1.1239f + 1.1328f / (b - 3.4f), v_r = 0.9277f - 3.6224f / (b - 2);
    COMPUTE count = 0, product = 1;
    int done = !(rate > 0);
    for (int k = 0; k < MOST && !done; k++) {
        const uint4 words = attempt(i, k, stream, seed);
        if (rate < 10) {
            const uint word[4] = {words.x, words.y, words.z, words.w};
            for (int j = 0; j < 4 && !done; j++) {
                product *= inside(word[j]);
                if (product > exp(-rate)) count += 1;
                else done = 1;
            }
        } else {
            const COMPUTE u = inside(words.x) - 0.5f, v = inside(words.y), us = 0.5f - fabs(u);
            count = floor((2 * a / us + b) * u + rate + 0.43f);
            done = (us >= 0.07f && v <= v_r)
                || (count >= 0 && (us >= 0.013f || v <= us)
                    && log(v * inverse / (a / (us * us) + b)) <= count * log(rate) - rate - log_gamma(count + 1));
        }
    }
    STORE1(TYPE, out, i, rate >= 0 ? count : NAN);
}

// Successes among `counts` trials of probability `probs`: where fewer than 10 of the rarer outcome are expected, by the
// geometric distances between them; else Hörmann's BTRS (1993, "The generation of binomial random variates").
kernel void binomial(global const element *counts, global const element *probs, global element *out, long n,
                     ulong stream, ulong seed)
{
    const long i = get_global_id(0);
    if (i >= n) return;
    const COMPUTE trials = floor((COMPUTE)LOAD1(TYPE, counts, i)), given = LOAD1(TYPE, probs, i);
    const COMPUTE p = given > 0.5f ? 1 - given : given, expected = trials * p, odds = p / (1 - p);
    const COMPUTE root = sqrt(expected * (1 - p)), b = 1.15f + 2.53f * root, a = -0.0873f + 0.0248f * b + 0.01f * p;
    const COMPUTE c = expected + 0.5f, v_r = 0.92f - 4.2f / b, alpha = (2.83f + 5.1f / b) * root;
    const COMPUTE mode = floor((trials + 1) * p);
    const COMPUTE h = log_gamma(mode + 1) + log_gamma(trials - mode + 1);
    COMPUTE found = 0, passed = 0;
    int done = !(expected > 0);
    for (int k = 0; k < MOST && !done; k++) {
        const uint4 words = attempt(i, k, stream, seed);
        if (expected < 10) {
            const uint word[4] = {words.x, words.y, words.z, words.w};
            for (int j = 0; j < 4 && !done; j++) {
                passed += floor(log(inside(word[j])) / log1p(-p)) + 1;
                if (passed <= trials) found += 1;
                else done = 1;
            }
        } else {
            const COMPUTE u = inside(words.x) - 0.5f, us = 0.5f - fabs(u), v = inside(words.y);
            found = floor((2 * a / us + b) * u + c);
            if (found >= 0 && found <= trials)
                done = (us >= 0.07f && v <= v_r)
                    || log(v * alpha / (a / (us * us) + b)) <= h - log_gamma(found + 1) - log_gamma(trials - found + 1)
                                                                + (found - mode) * log(odds);
        }
    }
    if (given > 0.5f) found = trials - found;
    STORE1(TYPE, out, i, given >= 0 && given <= 1 && trials >= 0 ? found : NAN);
}
