// Factorizations of matrices (LU, Cholesky, QR), Jacobi's method for eigen- and singular values, triangular systems.
//
// A batch lies row by row without gaps, a work-group treats one matrix and works in its memory. What takes many steps
// is given a range of them, first to last, since some devices end long loops early (genesis/opencl/quirks.py).
//
// Defined by the host (genesis/ops/linalg.py):
//   TYPE      float32 or float64; real is its type
//   LOWER, TRANSPOSED, UNIT      of the triangular matrix: 0 or 1
#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef LOWER
#define LOWER 1
#define TRANSPOSED 0
#define UNIT 0
#endif

typedef STORAGE(TYPE) element;
#ifdef REAL64
#define EPS 1.1102230246251565e-16
#else
#define EPS 5.9604645e-8f
#endif
#define SYNC barrier(CLK_GLOBAL_MEM_FENCE)
#define GROUP const long item = get_local_id(0), items = get_local_size(0), matrix = get_group_id(0)

// P A = L U with partial pivoting: L below the diagonal, which is 1, U from it on. pivots[k] is the row that row k was
// swapped with at step k.
kernel void lu(global element *a, global int *pivots, long n, long first, long last)
{
    GROUP;
    a += matrix * n * n;
    pivots += matrix * n;
    for (long k = first; k < last; k++) {
        if (item == 0) {
            long best = k;
            for (long i = k + 1; i < n; i++)
                if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
            pivots[k] = best;
        }
        SYNC;
        const long pivot = pivots[k];
        if (pivot != k)
            for (long j = item; j < n; j += items) {
                const element swapped = a[k * n + j];
                a[k * n + j] = a[pivot * n + j];
                a[pivot * n + j] = swapped;
            }
        SYNC;
        const element divisor = a[k * n + k];
        if (divisor != 0)
            for (long i = k + 1 + item; i < n; i += items) {
                const element factor = a[i * n + k] / divisor;
                a[i * n + k] = factor;
                for (long j = k + 1; j < n; j++)
                    a[i * n + j] -= factor * a[k * n + j];
            }
        SYNC;
    }
}

// The rows of x (n, m) swapped as `lu` did; a work-item a column. Global size (m, rounded up; matrices).
kernel void swap_rows(global element *x, global const int *pivots, long n, long m, long first, long last)
{
    const long column = get_global_id(0), matrix = get_global_id(1);
    if (column >= m) return;
    x += matrix * n * m + column;
    for (long k = first; k < last; k++) {
        const long pivot = pivots[matrix * n + k];
        const element swapped = x[k * m];
        x[k * m] = x[pivot * m];
        x[pivot * m] = swapped;
    }
}

// A X = B for a triangular A (n, n), in the memory of B (n, m); a work-item a column. Global size as for swap_rows.
#define FORWARD (LOWER != TRANSPOSED)
#define ROW(step) (FORWARD ? (step) : n - 1 - (step))
#define AT(i, j) a[TRANSPOSED ? (j) * n + (i) : (i) * n + (j)]
kernel void triangular(global const element *a, global element *x, long n, long m, long first, long last)
{
    const long column = get_global_id(0), matrix = get_global_id(1);
    if (column >= m) return;
    a += matrix * n * n;
    x += matrix * n * m + column;
    for (long step = first; step < last; step++) {
        const long i = ROW(step);
        element sum = x[i * m];
        for (long before = 0; before < step; before++)
            sum -= AT(i, ROW(before)) * x[ROW(before) * m];
        x[i * m] = UNIT ? sum : sum / AT(i, i);
    }
}

// A = L L^T, L in the lower triangle; info is 1 more than the step at which a matrix was found not positive definite.
kernel void cholesky(global element *a, global int *info, long n, long first, long last)
{
    GROUP;
    a += matrix * n * n;
    for (long k = first; k < last; k++) {
        global element *row = a + k * n;
        if (item == 0) {
            element rest = row[k];
            for (long j = 0; j < k; j++) rest -= row[j] * row[j];
            if (!(rest > 0) && info[matrix] == 0) info[matrix] = k + 1;
            row[k] = sqrt(rest);
        }
        SYNC;
        for (long i = k + 1 + item; i < n; i += items) {
            element rest = a[i * n + k];
            for (long j = 0; j < k; j++) rest -= a[i * n + j] * row[j];
            a[i * n + k] = rest / row[k];
        }
        SYNC;
    }
}

// Householder's QR of the transpose: the columns of a matrix (m, n) are the rows of a (n, m). Step k leaves R in the
// first k + 1 elements of row k and the rest of the reflection I - tau v v^T, v beginning with 1, behind them.
kernel void householder(global element *a, global element *taus, long m, long n, long first, long last)
{
    GROUP;
    a += matrix * n * m;
    taus += matrix * min(m, n);
    for (long k = first; k < last; k++) {
        global element *v = a + k * m;
        if (item == 0) {
            const element head = v[k];
            element largest = 0, sum = 0, tau = 0;
            for (long i = k + 1; i < m; i++) largest = fmax(largest, fabs(v[i]));
            if (largest > 0) {
                largest = fmax(largest, fabs(head));            // so that no square overflows
                for (long i = k; i < m; i++) sum += v[i] / largest * (v[i] / largest);
                const element beta = -copysign(largest * sqrt(sum), head);
                tau = (beta - head) / beta;
                for (long i = k + 1; i < m; i++) v[i] /= head - beta;
                v[k] = beta;
            }
            taus[k] = tau;
        }
        SYNC;
        const element tau = taus[k];
        for (long j = k + 1 + item; j < n; j += items) {
            global element *x = a + j * m;
            element dot = x[k];
            for (long i = k + 1; i < m; i++) dot += v[i] * x[i];
            x[k] -= tau * dot;
            for (long i = k + 1; i < m; i++) x[i] -= tau * dot * v[i];
        }
        SYNC;
    }
}

// The reflections, from the last on, of the rows of q (count, m); a work-item a row. Global size (count, rounded up;
// matrices). Steps are counted from the last reflection back.
kernel void reflect(global const element *a, global const element *taus, global element *q, long m, long n, long count,
                    long first, long last)
{
    const long row = get_global_id(0), matrix = get_global_id(1), steps = min(m, n);
    if (row >= count) return;
    global element *x = q + (matrix * count + row) * m;
    for (long step = first; step < last; step++) {
        const long k = steps - 1 - step;
        global const element *v = a + (matrix * n + k) * m;
        const element tau = taus[matrix * steps + k];
        element dot = x[k];
        for (long i = k + 1; i < m; i++) dot += v[i] * x[i];
        x[k] -= tau * dot;
        for (long i = k + 1; i < m; i++) x[i] -= tau * dot * v[i];
    }
}

// Jacobi's method: rotations of pairs of rows. In round r of a sweep, pair i of `even` players (a tournament, in which
// each meets each other once in even - 1 rounds); a player of number n does not exist.
#define FIRST_OF(r, i) ((i) == 0 ? even - 1 : ((r) + (i)) % (even - 1))
#define SECOND_OF(r, i) ((i) == 0 ? (r) : ((r) - (i) + even - 1) % (even - 1))
static void rotate(global element *x, global element *y, element c, element s, long count)
{
    const element half_way = s / (1 + c);          // in place of c, whose rounding would add up (Rutishauser 1966)
    for (long j = 0; j < count; j++) {
        const element p = x[j], q = y[j];
        x[j] = p - s * (q + half_way * p);
        y[j] = q + s * (p - half_way * q);
    }
}
// The tangent of the smaller angle that makes (p, g; g, q) diagonal.
static element tangent(element p, element g, element q)
{
    const element theta = (q - p) / (2 * g);
    return copysign((element)1, theta) / (fabs(theta) + sqrt(1 + theta * theta));
}

// Of symmetric a (n, n), which becomes diagonal; the rows of v become its eigenvectors. `turns` holds the cosines and
// sines of a round.
kernel void jacobi_symmetric(global element *a, global element *v, global element *turns, long n, long first, long last)
{
    GROUP;
    const long even = n + n % 2, pairs = even / 2;
    a += matrix * n * n;
    v += matrix * n * n;
    turns += matrix * 2 * pairs;
    for (long round = first; round < last; round++) {
        const long r = round % (even - 1);
        for (long i = item; i < pairs; i += items) {
            const long p = FIRST_OF(r, i), q = SECOND_OF(r, i);
            element c = 1, s = 0;
            if (p < n && q < n && fabs(a[p * n + q]) > EPS * fmin(fabs(a[p * n + p]), fabs(a[q * n + q]))) {
                const element t = tangent(a[p * n + p], a[p * n + q], a[q * n + q]);
                c = 1 / sqrt(1 + t * t);
                s = t * c;
            }
            turns[2 * i] = c;
            turns[2 * i + 1] = s;
        }
        SYNC;
        for (long i = item; i < pairs; i += items) {
            const long p = FIRST_OF(r, i), q = SECOND_OF(r, i);
            if (turns[2 * i + 1] != 0) {
                rotate(a + p * n, a + q * n, turns[2 * i], turns[2 * i + 1], n);
                rotate(v + p * n, v + q * n, turns[2 * i], turns[2 * i + 1], n);
            }
        }
        SYNC;
        for (long row = item; row < n; row += items)
            for (long i = 0; i < pairs; i++) {
                const long p = FIRST_OF(r, i), q = SECOND_OF(r, i);
                if (turns[2 * i + 1] != 0)
                    rotate(a + row * n + p, a + row * n + q, turns[2 * i], turns[2 * i + 1], 1);
            }
        SYNC;
    }
}

// One-sided (Hestenes 1958): the rows of a (n, m) become orthogonal; the rotations are done to those of v (n, n), too.
kernel void jacobi_rows(global element *a, global element *v, long m, long n, long first, long last)
{
    GROUP;
    const long even = n + n % 2, pairs = even / 2;
    a += matrix * n * m;
    v += matrix * n * n;
    for (long round = first; round < last; round++) {
        const long r = round % (even - 1);
        for (long i = item; i < pairs; i += items) {
            const long p = FIRST_OF(r, i), q = SECOND_OF(r, i);
            if (p < n && q < n) {
                element pp = 0, pq = 0, qq = 0;
                for (long j = 0; j < m; j++) {
                    const element x = a[p * m + j], y = a[q * m + j];
                    pp += x * x;
                    pq += x * y;
                    qq += y * y;
                }
                if (fabs(pq) > EPS * sqrt(pp) * sqrt(qq)) {
                    const element t = tangent(pp, pq, qq), c = 1 / sqrt(1 + t * t), s = t * c;
                    rotate(a + p * m, a + q * m, c, s, m);
                    rotate(v + p * n, v + q * n, c, s, n);
                }
            }
        }
        SYNC;
    }
}
