// Eigenvalues of symmetric tridiagonal matrices by the implicit QL algorithm, and the one-sided form of Jacobi's method.
//
// Defined by the host (genesis/ops/spectra.py):
//   TYPE      float32, float64; for jacobi_rows also, with -D COMPLEX, complex64 or complex128
//   WIDE_TYPE type of the tridiagonal matrix, float64 where the device has it
//   VECTORS   keep the rotations, for `turn`
#include "numbers.h"

#ifndef WIDE_TYPE
#define WIDE_TYPE float32
#endif

typedef STORAGE(WIDE_TYPE) wide;
#define ROUNDING(type) (sizeof(type) == 8 ? 0x1p-53f : 0x1p-24f)
#define EPS ROUNDING(part)
#define SYNC barrier(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE)

// The square root of x² + y².
static wide length_of(wide x, wide y)
{
    const wide square = x * x + y * y;
    return square > (wide)1e-30f && square < (wide)1e30f ? sqrt(square) : hypot(x, y);
}

// The eigenvalues of the tridiagonal matrix of d and e, in place of d, by the algorithm "tql2" of Bowdler, Martin,
// Reinsch & Wilkinson 1968, with shifts left in the matrix. A work-item a matrix. Ends when `most` rotations are done,
// or nearly; state holds the number of eigenvalues found, iterations for the next, the sweeps of this launch, and
// whether one was not found.
// Rotations of a sweep are those of rows i and i + 1, i falling from sweeps[0] to sweeps[1].
#define STATE 4
kernel void ql(global wide *d, global wide *e, global int *state, global int *sweeps, global element *turns, long n,
               long most, long most_sweeps)
{
    const long matrix = get_global_id(0);
    d += matrix * n;
    e += matrix * n;
    state += matrix * STATE;
#ifdef VECTORS
    sweeps += matrix * most_sweeps * 2;
    turns += matrix * most * 2;
#endif
    long found = state[0], done = 0, count = 0, spent = 0;
    int iterations = state[1];
    wide largest = 0;
    for (long i = 0; i < n; i++) largest = fmax(largest, fabs(d[i]) + fabs(e[i]));
    while (found < n && count < most_sweeps && spent + 2 * n <= most) {
        // What is small beside its neighbours is 0; where these are themselves what rounding left, as in a matrix of low
        // rank, that may not come about, and what is small beside the whole matrix is, as in the algorithm of 1968.
        const wide least = iterations > 20 && isfinite(largest) ? ROUNDING(wide) * largest : 0;
        long m = found;
        while (m < n - 1 && !(fabs(e[m]) <= fmax(ROUNDING(wide) * (fabs(d[m]) + fabs(d[m + 1])), least))) m++;
        spent += m - found + 1;
        if (m == found || iterations == 60) {           // 60: infinity or NaN among the elements
            if (iterations == 60) state[3] = 1;
            found++;
            iterations = 0;
            continue;
        }
        iterations++;
        wide g = (d[found + 1] - d[found]) / (2 * e[found]), s = 1, c = 1, p = 0;
        g = d[m] - d[found] + e[found] / (g + copysign(length_of(g, 1), g));
        long i = m - 1;
        for (; i >= found; i--) {
            const wide f = s * e[i], b = c * e[i];
            wide r = length_of(f, g);
            e[i + 1] = r;
            if (r == 0) {
                d[i + 1] -= p;
                break;
            }
            s = f / r;
            c = g / r;
            g = d[i + 1] - p;
            r = (d[i] - g) * s + 2 * c * b;
            p = s * r;
            d[i + 1] = g + p;
            g = c * r - b;
#ifdef VECTORS
            turns[2 * done] = c;
            turns[2 * done + 1] = s;
            done++;
#endif
        }
        spent += m - i;
        e[m] = 0;
        if (i < found) {
            d[found] -= p;
            e[found] = g;
            e[m] = 0;
        }
#ifdef VECTORS
        sweeps[2 * count] = m - 1;
        sweeps[2 * count + 1] = i + 1;
        count++;
#endif
    }
    state[0] = found;
    state[1] = iterations;
    state[2] = count;
}

// The rotations of `ql` of the rows of x (n, columns), `stride` apart; a work-item a column. Global size (columns, rounded
// up; matrices).
kernel void turn(global const int *state, global const int *sweeps, global const element *turns, global element *x, long n,
                 long columns, long stride, long most, long most_sweeps)
{
    const long column = get_global_id(0), matrix = get_global_id(1);
    if (column >= columns) return;
    x += matrix * n * stride + column;
    sweeps += matrix * most_sweeps * 2;
    turns += matrix * most * 2;
    const int count = state[matrix * STATE + 2];
    for (int sweep = 0; sweep < count; sweep++) {
        const long top = sweeps[2 * sweep], stop = sweeps[2 * sweep + 1];
        element lower = x[(top + 1) * stride];
        for (long i = top; i >= stop; i--) {
            const element upper = x[i * stride], c = turns[0], s = turns[1];
            x[(i + 1) * stride] = s * upper + c * lower;
            lower = c * upper - s * lower;
            turns += 2;
        }
        x[stop * stride] = lower;
    }
}

// One-sided Jacobi (Hestenes 1958): the rows of a (n, m) become orthogonal; the rotations are done to those of v (n, n),
// too. In round r of a sweep, pair i of `even` players (a tournament, in which each meets each other once in even - 1
// rounds); a player of number n does not exist. state[s] is set when a pair was not orthogonal in sweep s; there are no
// further sweeps if none was. Groups (matrices, parts); there may be several parts if a launch has one round only.
#define FIRST_OF(r, i) ((i) == 0 ? even - 1 : ((r) + (i)) % (even - 1))
#define SECOND_OF(r, i) ((i) == 0 ? (r) : ((r) - (i) + even - 1) % (even - 1))
// A complex row is turned first, so that its product with the other is real.
#ifdef COMPLEX
static void rotate(global element *x, global element *y, element turned, part c, part s, long count)
{
    const part half_way = s / (1 + c);             // in place of c, whose rounding would add up (Rutishauser 1966)
    for (long j = 0; j < count; j++) {
        const element p = x[j], q = times(turned, y[j]);
        x[j] = p - s * (q + half_way * p);
        y[j] = q + s * (p - half_way * q);
    }
}
static element products(global const element *x, global const element *y, part *xx, part *yy, long count)
{
    element xy = 0;
    part f = 0, g = 0;
    for (long j = 0; j < count; j++) {
        f += SQUARE_SIZE(x[j]);
        g += SQUARE_SIZE(y[j]);
        xy += times(x[j], conj(y[j]));
    }
    *xx = f;
    *yy = g;
    return xy;
}
#define VECTOR element
#else
#define WIDTH_OF(n) PASTE(PASTE(PART_, TYPE), n)
#define VECTOR WIDTH_OF(16)
static void rotate(global element *x, global element *y, element turned, part c, part s, long count)
{
    const part half_way = s / (1 + c);          // in place of c, whose rounding would add up (Rutishauser 1966)
    long j = 0;
    for (; j + 16 <= count; j += 16) {
        const VECTOR p = vload16(0, x + j), q = vload16(0, y + j);
        vstore16(p - s * (q + half_way * p), 0, x + j);
        vstore16(q + s * (p - half_way * q), 0, y + j);
    }
    for (; j < count; j++) {
        const element p = x[j], q = y[j];
        x[j] = p - s * (q + half_way * p);
        y[j] = q + s * (p - half_way * q);
    }
}
static element total(VECTOR x)
{
    const WIDTH_OF(8) a = x.lo + x.hi;
    const WIDTH_OF(4) b = a.lo + a.hi;
    const WIDTH_OF(2) c = b.lo + b.hi;
    return c.x + c.y;
}
// The product of two rows, and their squares.
static element products(global const element *x, global const element *y, part *pp, part *qq, long count)
{
    VECTOR xx = 0, xy = 0, yy = 0;
    long j = 0;
    for (; j + 16 <= count; j += 16) {
        const VECTOR f = vload16(0, x + j), g = vload16(0, y + j);
        xx += f * f;
        xy += f * g;
        yy += g * g;
    }
    element f = total(xx), pq = total(xy), g = total(yy);
    for (; j < count; j++) {
        f += x[j] * x[j];
        pq += x[j] * y[j];
        g += y[j] * y[j];
    }
    *pp = f;
    *qq = g;
    return pq;
}
#endif
kernel __attribute__((vec_type_hint(VECTOR))) void jacobi_rows(global element *a, global element *v, global int *state,
                                                               long m, long n, long sweeps, long first, long last)
{
    const long items = get_global_size(1), item = get_global_id(1), matrix = get_group_id(0);
    const long even = n + n % 2, pairs = even / 2;
    const part enough = 2 * EPS * sqrt((part)m);
    a += matrix * n * m;
    v += matrix * n * n;
    state += sweeps * matrix;
    for (long round = first; round < last; round++) {
        const long r = round % (even - 1), sweep = round / (even - 1);
        if (sweep > 0 && !state[sweep - 1]) return;
        for (long i = item; i < pairs; i += items) {
            const long p = FIRST_OF(r, i), q = SECOND_OF(r, i);
            if (p < n && q < n) {
                global element *x = a + p * m, *y = a + q * m;
                part pp, qq;
                const element xy = products(x, y, &pp, &qq, m);
                const part pq = SIZE(xy);
                const part scale = sqrt(pp) * sqrt(qq);
                if (fabs(pq) > EPS * scale) {
                    // The tangent of the smaller angle that makes (pp, pq; pq, qq) diagonal.
                    const part theta = (qq - pp) / (2 * pq);
                    const part t = copysign((part)1, theta) / (fabs(theta) + sqrt(1 + theta * theta));
                    const part c = 1 / sqrt(1 + t * t), s = t * c;
                    rotate(x, y, SIGN(xy), c, s, m);
                    rotate(v + p * n, v + q * n, SIGN(xy), c, s, n);
                    if (fabs(pq) > enough * scale) state[sweep] = 1;
                }
            }
        }
        SYNC;
    }
}
