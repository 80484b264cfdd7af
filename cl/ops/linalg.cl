// Factorizations by elimination (LU, Cholesky), and triangular systems.
//
// A batch lies row by row without gaps. LU goes in panels of PANEL columns: a work-group factorizes a panel of one
// matrix, then work-items, one a column, bring the other columns up to date, so that large matrices keep all of a device
// busy and each element is loaded and stored once a panel. What takes many steps is given a range of them, first to last,
// since some devices end long loops early (genesis/opencl/quirks.py).
//
// Defined by the host (genesis/ops/linalg.py):
//   TYPE      float32, float64, or with -D COMPLEX complex64, complex128
//   ITEMS     work-items of a work-group that treats a panel, in rows of LANES, each of which takes PANEL / LANES columns
//   LOWER, TRANSPOSED, UNIT      of the triangular matrix: 0 or 1
#include "numbers.h"

#ifndef PANEL
#define PANEL 16
#endif
#ifndef ITEMS
#define ITEMS 16
#endif
#ifndef LANES
#define LANES PANEL
#endif
#ifndef LOWER
#define LOWER 1
#define TRANSPOSED 0
#define UNIT 0
#endif

#if ITEMS == 1
#define SYNC
#else
#define SYNC barrier(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE)
#endif
#define GROUP const long item = get_local_id(0), items = get_local_size(0), matrix = get_group_id(0)

// P A = L U with partial pivoting: L below the diagonal, which is 1, U from it on; here of the columns of the panel that
// begins at `start`. pivots[k] is the row that row k was swapped with at step k. Local size (LANES, ITEMS / LANES).
kernel void lu_panel(global element *a, global int *pivots, long n, long start, long first, long last)
{
    const long lane = get_local_id(0), team = get_local_id(1), teams = ITEMS / LANES, item = team * LANES + lane;
    const long stop = min(start + PANEL, n);
    local part sizes[ITEMS];
    local int places[ITEMS];
    a += get_group_id(0) * n * n;
    pivots += get_group_id(0) * n;
    for (long k = first; k < last; k++) {
        part size = -1;                                      // of complex numbers as LAPACK's, which has no root
        int place = k;
        for (long i = k + item; i < n; i += ITEMS) {
            const part other = SUM_OF_PARTS(a[i * n + k]);
            if (other > size) {
                size = other;
                place = i;
            }
        }
        sizes[item] = size;
        places[item] = place;
        SYNC;
        int pivot = k;
        size = -1;
        for (int i = 0; i < ITEMS; i++)
            if (sizes[i] > size || (sizes[i] == size && places[i] < pivot)) {
                size = sizes[i];
                pivot = places[i];
            }
        if (item == 0) pivots[k] = pivot;
        if (pivot != k && team == 0)
            for (long column = start + lane; column < stop; column += LANES) {
                const element swapped = a[k * n + column];
                a[k * n + column] = a[pivot * n + column];
                a[pivot * n + column] = swapped;
            }
        SYNC;
        const element divisor = a[k * n + k];
        const int divides = SUM_OF_PARTS(divisor) != 0;
        if (divides)
            for (long i = k + 1 + item; i < n; i += ITEMS) a[i * n + k] = DIVIDE(a[i * n + k], divisor);
        SYNC;
        for (long column = start + lane; column < stop; column += LANES)
            if (divides && column > k) {
                const element above = a[k * n + column];
                for (long i = k + 1 + team; i < n; i += teams) a[i * n + column] -= MULTIPLY(a[i * n + k], above);
            }
        SYNC;
    }
}

// The other columns after `lu_panel`: their rows swapped, and to the right of the panel U's rows and what is left of the
// matrix. A work-item a column. Global size (n, rounded up; matrices).
kernel void lu_update(global element *a, global const int *pivots, long n, long start, long stop)
{
    const long column = get_global_id(0), matrix = get_global_id(1);
    if (column >= n || (column >= start && column < stop)) return;
    a += matrix * n * n;
    global element *x = a + column;
    for (long k = start; k < stop; k++) {
        const long pivot = pivots[matrix * n + k];
        const element swapped = x[k * n];
        x[k * n] = x[pivot * n];
        x[pivot * n] = swapped;
    }
    if (column < start) return;
    global const element *l = a + start;             // right of a panel there are columns only if it is a whole one
    element u[PANEL];
    UNROLL
    for (int k = 0; k < PANEL; k++) {
        u[k] = x[(start + k) * n];
        UNROLL
        for (int j = 0; j < k; j++) u[k] -= MULTIPLY(l[(start + k) * n + j], u[j]);
        x[(start + k) * n] = u[k];
    }
    for (long i = stop; i < n; i++) {
        element rest = x[i * n];
        UNROLL
        for (int k = 0; k < PANEL; k++) rest -= MULTIPLY(l[i * n + k], u[k]);
        x[i * n] = rest;
    }
}

// What LU tells of each matrix: about[0] is the determinant, about[1] its sign, about[2] the logarithm of its absolute
// value, each for all matrices; info is the position of the first 0 on U's diagonal, counted from 1, or 0. A work-item a
// matrix, of which it reads rows first to last.
kernel void lu_about(global const element *a, global const int *pivots, global element *about, global int *info,
                     long n, long first, long last)
{
    const long matrix = get_global_id(0), matrices = get_global_size(0);
    a += matrix * n * n;
    pivots += matrix * n;
    about += matrix;
    info += matrix;
    element product = FROM_PART(1), sign = FROM_PART(1);
    part sum = 0;
    if (first) {
        product = about[0];
        sign = about[matrices];
        sum = REAL_PART(about[2 * matrices]);
    }
    int zero = first ? *info : 0;
    for (long k = first; k < last; k++) {
        const element x = a[k * n + k];
        const part swapped = pivots[k] == k ? 1 : -1;
        product = MULTIPLY(product, x) * swapped;
        sign = MULTIPLY(sign, SIGN(x)) * swapped;
        sum += LOG_SIZE(x);
        if (SUM_OF_PARTS(x) == 0 && zero == 0) zero = k + 1;
    }
    about[0] = product;
    about[matrices] = sign;
    about[2 * matrices] = FROM_PART(sum);
    *info = zero;
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

// A X = B for a triangular A (n, n), in the memory of B (n, m); a work-item a column, ROWS rows at a time, so that each
// earlier element of X is loaded once for all of them. Global size as for swap_rows; first and last count blocks of rows.
#define ROWS 8
#define FORWARD (LOWER != TRANSPOSED)
#define ROW(step) (FORWARD ? (step) : n - 1 - (step))
#define AT(i, j) a[TRANSPOSED ? (j) * n + (i) : (i) * n + (j)]
kernel void triangular(global const element *a, global element *x, long n, long m, long first, long last)
{
    const long column = get_global_id(0), matrix = get_global_id(1);
    if (column >= m) return;
    a += matrix * n * n;
    x += matrix * n * m + column;
    for (long block = first; block < last; block++) {
        const long start = block * ROWS, count = min(n - start, (long)ROWS);
        element rest[ROWS];
        UNROLL
        for (int r = 0; r < ROWS; r++) rest[r] = r < count ? x[ROW(start + r) * m] : FROM_PART(0);
        for (long before = 0; before < start; before++) {
            const long j = ROW(before);
            const element known = x[j * m];
            UNROLL
            for (int r = 0; r < ROWS; r++) rest[r] -= MULTIPLY(AT(ROW(min(start + r, n - 1)), j), known);
        }
        UNROLL
        for (int r = 0; r < ROWS; r++)
            if (r < count) {
                const long i = ROW(start + r);
                UNROLL
                for (int before = 0; before < r; before++) rest[r] -= MULTIPLY(AT(i, ROW(start + before)), rest[before]);
                if (!UNIT) rest[r] = DIVIDE(rest[r], AT(i, i));
                x[i * m] = rest[r];
            }
    }
}

// A = L L^H, L in the lower triangle, the rest 0; info is 1 more than the step at which a matrix was found not positive
// definite, or 0.
kernel void cholesky(global element *a, global int *info, long n, long first, long last)
{
    GROUP;
    a += matrix * n * n;
    for (long k = first; k < last; k++) {
        global element *row = a + k * n;
        if (item == 0) {
            part rest = REAL_PART(row[k]);
            for (long j = 0; j < k; j++) rest -= SQUARE_SIZE(row[j]);
            const int before = k ? info[matrix] : 0;
            info[matrix] = before == 0 && !(rest > 0) ? k + 1 : before;
            row[k] = FROM_PART(sqrt(rest));
        }
        SYNC;
        for (long i = k + 1 + item; i < n; i += items) {
            element rest = a[i * n + k];
            for (long j = 0; j < k; j++) rest -= MULTIPLY(a[i * n + j], CONJUGATE(row[j]));
            a[i * n + k] = rest / REAL_PART(row[k]);
            row[i] = FROM_PART(0);
        }
        SYNC;
    }
}
