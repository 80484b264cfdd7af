// Householder's reflections: QR, and symmetric or Hermitian matrices made tridiagonal.
//
// A batch of matrices lies row by row without gaps. Reflection k is I - tau v v^H; v is 1 at row k + SHIFT, 0 before, and
// what follows stands in column k of the matrix below. PANEL of them are I - V T V^H with a triangular T (Schreiber &
// Van Loan 1989), which `reflect` applies to columns, a work-item each, in two passes over them.
//
// Loops count in one type: rusticl of Mesa 22 skips those that compare an int with a long.
//
// Defined by the host (genesis/ops/linalg.py):
//   TYPE        float32, float64, or with -D COMPLEX complex64, complex128
//   ITEMS       work-items of a work-group that treats a matrix or a panel, the latter in rows of LANES, each of which
//               takes PANEL / LANES columns
//   SHIFT       0 in QR, 1 for symmetric matrices
//   TRANSPOSED  apply the conjugate transpose: in rising order
//   PARTIAL     of a panel with less than PANEL reflections
//   WIDE_TYPE   type of the tridiagonal matrix, float32 or float64
#include "numbers.h"

#ifndef WIDE_TYPE
#define WIDE_TYPE float32
#endif
#ifndef PANEL
#define PANEL 16
#endif
#ifndef ITEMS
#define ITEMS 16
#endif
#ifndef LANES
#define LANES PANEL
#endif
#ifndef SHIFT
#define SHIFT 0
#endif
#ifndef TRANSPOSED
#define TRANSPOSED 0
#endif

typedef STORAGE(WIDE_TYPE) wide;
#if ITEMS == 1
#define SYNC
#else
#define SYNC barrier(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE)
#endif

// The sum, or the largest, of what all work-items of a group have; in the same order for each of them.
static element sum_of(element mine, local element *parts, long item)
{
    parts[item] = mine;
    SYNC;
    element sum = FROM_PART(0);
    for (int i = 0; i < ITEMS; i++) sum += parts[i];
    SYNC;
    return sum;
}
static part largest_of(part mine, local element *parts, long item)
{
    parts[item] = FROM_PART(mine);
    SYNC;
    part most = 0;
    for (int i = 0; i < ITEMS; i++) most = fmax(most, REAL_PART(parts[i]));
    SYNC;
    return most;
}

// The reflection whose conjugate transpose leaves of x only its first element, x being `count` elements `stride` apart:
// beta, a real number, is what that becomes, and the others are to be divided by `divisor`.
#define REFLECTION(x, count, stride) \
    const element head = (count) > 0 ? (x)[0] : FROM_PART(0); \
    part most = 0, squares = 0, beta = REAL_PART(head); \
    element tau = FROM_PART(0), divisor = FROM_PART(1); \
    for (long i = 1 + item; i < (count); i += ITEMS) most = fmax(most, LARGER_PART((x)[i * (stride)])); \
    most = largest_of(most, parts, item); \
    if (most > 0 || IMAGINARY(head) != 0) most = fmax(most, LARGER_PART(head));        /* so that no square overflows */ \
    for (long i = item; i < (count) && most > 0; i += ITEMS) { \
        const element y = (x)[i * (stride)] / most; \
        squares += SQUARE_SIZE(y); \
    } \
    squares = REAL_PART(sum_of(FROM_PART(squares), parts, item)); \
    if (most > 0) { \
        beta = -copysign(most * sqrt(squares), REAL_PART(head)); \
        tau = (FROM_PART(beta) - head) / beta; \
        divisor = head - FROM_PART(beta); \
    }

// QR of the columns of a (m, n) from `start` to the panel's end, and m at most: R on and above the diagonal, the
// reflections below. A work-group a matrix, local size (LANES, ITEMS / LANES).
kernel void qr_panel(global element *a, global element *taus, long m, long n, long start, long first, long last)
{
    const long lane = get_local_id(0), team = get_local_id(1), teams = ITEMS / LANES, item = team * LANES + lane;
    const long stop = min(start + PANEL, min(m, n));
    local element parts[ITEMS];
    a += get_group_id(0) * m * n;
    taus += get_group_id(0) * min(m, n);
    for (long k = first; k < last; k++) {
        global element *v = a + k * n + k;
        REFLECTION(v, m - k, n)
        for (long i = 1 + item; i < m - k; i += ITEMS) v[i * n] = DIVIDE(v[i * n], divisor);
        if (item == 0) {
            v[0] = FROM_PART(beta);
            taus[k] = tau;
        }
        SYNC;
        for (long at = 0; at < PANEL; at += LANES) {
            const long column = start + at + lane;
            global element *x = a + k * n + column;
            const long end = column > k && column < stop ? m - k : 0;
            element dot = end && team == 0 ? x[0] : FROM_PART(0);
            for (long i = 1 + team; i < end; i += teams) dot += MULTIPLY(CONJUGATE(v[i * n]), x[i * n]);
            parts[item] = dot;
            SYNC;
            dot = FROM_PART(0);
            for (long i = 0; i < teams; i++) dot += parts[i * LANES + lane];
            dot = MULTIPLY(dot, CONJUGATE(tau));
            if (end && team == 0) x[0] -= dot;
            for (long i = 1 + team; i < end; i += teams) x[i * n] -= MULTIPLY(dot, v[i * n]);
            SYNC;
        }
    }
}

// T of each panel of a (m, n), (panels, PANEL, PANEL) with zeros below its diagonal. Groups (matrices, panels), local size
// (LANES, ITEMS / LANES).
kernel void block_factors(global const element *a, global const element *taus, global element *factors, long m, long n,
                          long count, long first_panel)
{
    const long lane = get_local_id(0), team = get_local_id(1), teams = ITEMS / LANES;
    const long panel = first_panel + get_group_id(1), start = panel * PANEL, width = min((long)PANEL, count - start);
    local element parts[ITEMS / LANES * PANEL], dots[PANEL];
    a += get_group_id(0) * m * n + start;
    taus += get_group_id(0) * count + start;
    factors += (get_group_id(0) * ((count + PANEL - 1) / PANEL) + panel) * PANEL * PANEL;
    for (long k = 0; k < PANEL; k++) {
        const long top = start + k + SHIFT;
        for (long i = lane; i < PANEL; i += LANES) {
            const long end = i < k && k < width ? m : 0;
            element dot = end && team == 0 ? CONJUGATE(a[top * n + i]) : FROM_PART(0);
            for (long r = top + 1 + team; r < end; r += teams) dot += MULTIPLY(CONJUGATE(a[r * n + i]), a[r * n + k]);
            parts[team * PANEL + i] = dot;
        }
        SYNC;
        for (long i = lane; i < PANEL; i += LANES) {
            element dot = FROM_PART(0);
            for (long t = 0; t < teams; t++) dot += parts[t * PANEL + i];
            if (team == 0) dots[i] = dot;
        }
        SYNC;
        const element tau = k < width ? taus[k] : FROM_PART(0);
        for (long i = lane; i < PANEL; i += LANES) {
            global element *row = factors + i * PANEL;
            const long end = team == 0 && k < width ? k : 0;
            element sum = FROM_PART(i == k ? 1 : 0);
            for (long j = i; j < end; j++) sum -= MULTIPLY(row[j], dots[j]);
            if (team == 0) row[k] = MULTIPLY(tau, sum);
        }
        SYNC;
    }
}

// x (m, columns, `columns` apart) from column `from` on, times I - V T V^H or its conjugate transpose; V the `width`
// reflections of a (m, n) that begin with number `start`. A work-item a column. Global size (columns, rounded up;
// matrices).
#ifdef PARTIAL
#define V(i, k) ((k) < width ? a[(i) * n + (k)] : FROM_PART(0))
#define INSIDE(k) ((k) < width)
#else
#define V(i, k) a[(i) * n + (k)]
#define INSIDE(k) 1
#endif
#if TRANSPOSED
#define FACTOR(k, j) CONJUGATE(factors[(j) * PANEL + (k)])
#else
#define FACTOR(k, j) factors[(k) * PANEL + (j)]
#endif
kernel void reflect(global const element *a, global const element *factors, global element *x, long m, long n,
                    long columns, long from, long start, long width, long panels)
{
    const long column = from + get_global_id(0), matrix = get_global_id(1), top = start + SHIFT;
    if (column >= columns) return;
    a += matrix * m * n + start;
    x += matrix * m * columns + column;
    factors += (matrix * panels + start / PANEL) * PANEL * PANEL;
    element y[PANEL], z[PANEL];
    UNROLL
    for (int k = 0; k < PANEL; k++) y[k] = FROM_PART(0);
    UNROLL
    for (int i = 0; i < PANEL; i++)
        if (INSIDE(i)) {
            const element e = x[(top + i) * columns];
            UNROLL
            for (int k = 0; k < i; k++) y[k] += MULTIPLY(CONJUGATE(a[(top + i) * n + k]), e);
            y[i] += e;
        }
    for (long i = top + width; i < m; i++) {
        const element e = x[i * columns];
        UNROLL
        for (int k = 0; k < PANEL; k++) y[k] += MULTIPLY(CONJUGATE(V(i, k)), e);
    }
    UNROLL
    for (int k = 0; k < PANEL; k++) {
        z[k] = FROM_PART(0);
        UNROLL
        for (int j = 0; j < PANEL; j++)
            if (TRANSPOSED ? j <= k : j >= k) z[k] += MULTIPLY(FACTOR(k, j), y[j]);
    }
    UNROLL
    for (int i = 0; i < PANEL; i++)
        if (INSIDE(i)) {
            element e = x[(top + i) * columns] - z[i];
            UNROLL
            for (int k = 0; k < i; k++) e -= MULTIPLY(a[(top + i) * n + k], z[k]);
            x[(top + i) * columns] = e;
        }
    for (long i = top + width; i < m; i++) {
        element e = x[i * columns];
        UNROLL
        for (int k = 0; k < PANEL; k++) e -= MULTIPLY(V(i, k), z[k]);
        x[i * columns] = e;
    }
}

// Symmetric or Hermitian a (n, n) made real and tridiagonal, the diagonal in d, what is beside it in e (n, the last one
// 0). Step k takes row k away; the update of what is left, a - v w^H - w v^H, is done when the next step multiplies it by
// its own v, in one pass.
// `work` is 4 rows of n, zeros before the first step. Rows of a are `stride` apart. A work-group a matrix.
kernel void tridiagonal(global element *a, global wide *d, global wide *e, global element *taus, global element *work,
                        long n, long stride, long first, long last)
{
    const long item = get_local_id(0), matrix = get_group_id(0);
    local element parts[ITEMS];
    a += matrix * n * stride;
    d += matrix * n;
    e += matrix * n;
    taus += matrix * max(n - 1, (long)1);
    work += matrix * 4 * n;
    global element *w = work + 2 * n, *u = work + 3 * n;
    for (long k = first; k < last; k++) {
        global const element *v = work + (k & 1) * n;
        global element *next = work + ((k + 1) & 1) * n;
        for (long j = k + item; j < n; j += ITEMS)
            u[j] = CONJUGATE(a[k * stride + j]) - MULTIPLY(CONJUGATE(v[k]), w[j]) - MULTIPLY(CONJUGATE(w[k]), v[j]);
        SYNC;
        global const element *row = u + k + 1;
        REFLECTION(row, n - k - 1, 1)
        for (long j = k + 1 + item; j < n; j += ITEMS) {
            next[j] = j == k + 1 ? FROM_PART(1) : DIVIDE(u[j], divisor);
            a[j * stride + k] = next[j];
        }
        if (item == 0) {
            d[k] = REAL_PART(u[k]);
            e[k] = k + 1 < n ? beta : 0;
            if (k + 1 < n) taus[k] = tau;
        }
        SYNC;
        element dot = FROM_PART(0);
        for (long j = (k + 1) / ITEMS * ITEMS + item; j < n; j += ITEMS)         // so that vectors are aligned
            if (j > k) {
                const element vj = CONJUGATE(v[j]), wj = CONJUGATE(w[j]);
                element sum = FROM_PART(0);
                for (long i = k + 1; i < n; i++) {
                    const element x = a[i * stride + j] - MULTIPLY(v[i], wj) - MULTIPLY(w[i], vj);
                    a[i * stride + j] = x;
                    sum += MULTIPLY(CONJUGATE(x), next[i]);
                }
                u[j] = MULTIPLY(tau, sum);
                dot += MULTIPLY(CONJUGATE(u[j]), next[j]);
            }
        dot = MULTIPLY(sum_of(dot, parts, item), tau) / 2;
        for (long j = (k + 1) / ITEMS * ITEMS + item; j < n; j += ITEMS)
            if (j > k) w[j] = u[j] - MULTIPLY(dot, next[j]);
        SYNC;
    }
}
