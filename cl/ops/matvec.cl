// Products of a matrix and a vector: y[r] (+ bias[r]) = sum over k of matrix[r, k] vector[k], for a batch of each with
// two dimensions (genesis/ops/matvec.py). They take as long as the matrix takes to be read, which each kernel does in
// the order in which it lies:
//
//   matvec_rows      elements of a row lie without gaps: a team of work-items goes along ROWS rows at a time
//   matvec_columns   elements of a column do: a work-item adds up BLOCK rows' sums side by side
//
// Few rows and many k are cut into parts of k, whose sums the host has added up.
//
// Defined by the host:
//   VECTOR           which operand is the vector: 0: A, 1: B
//   A, B, C          storage types; 16-bit ones are added up in float32 and rounded once
//   BIAS             storage type of the bias; undefined: none
//   WIDTH, TEAM      lanes of a vector, work-items to a row
//   ROWS, BLOCK      see above
#include "row.h"

#ifndef A
#define A float32
#define B float32
#define C float32
#endif
#ifndef VECTOR
#define VECTOR 1
#endif
#ifndef ROWS
#define ROWS 1
#endif
#ifndef BLOCK
#define BLOCK WIDTH      // a multiple of WIDTH
#endif

#if VECTOR
#define MATRIX A
#define VECTOR_TYPE B
#else
#define MATRIX B
#define VECTOR_TYPE A
#endif
#ifdef BIAS
#define BIAS_ARGUMENT global const STORAGE(BIAS) *bias, long bias_at,
#define ENTER_BIAS const long bias_step = s.bias_step;
#define BIAS_OF(row) (from == 0 ? (SCALAR)LOAD1(BIAS, bias, bias_at + (row) * bias_step) : 0)
#else
#define BIAS_ARGUMENT
#define ENTER_BIAS
#define BIAS_OF(row) 0
#endif

ROW_ACCESS(matrix, MATRIX)
ROW_ACCESS(vector, VECTOR_TYPE)
ROW_ACCESS(sum, C)

typedef struct {
    long rows, k, inner;                             // inner: size of the second batch dimension
    long row_step, k_step, bias_step;                // strides of the matrix and of the bias
    long a_outer, a_inner, b_outer, b_inner;         // strides of the two batch dimensions
    long take, part;                                 // rows of a work-item or team, and k, at the most
} sizes_t;

// The operands of this batch, from this part of k on, and where its sums go.
#define ENTER                                                                                                         \
    const long batch = get_global_id(2), from = get_global_id(1) * s.part, count = min(s.part, s.k - from);           \
    a += a_at + batch / s.inner * s.a_outer + batch % s.inner * s.a_inner;                                            \
    b += b_at + batch / s.inner * s.b_outer + batch % s.inner * s.b_inner;                                            \
    c += c_at + (get_global_id(1) * get_global_size(2) + batch) * s.rows;                                             \
    const long row_step = s.row_step, k_step = s.k_step;                                                              \
    global const STORAGE(MATRIX) *matrix = (VECTOR ? a : b) + from * k_step;                                          \
    global const STORAGE(VECTOR_TYPE) *vector = (VECTOR ? b : a) + from;                                              \
    const long first = get_group_id(0) * s.take, last = min(first + s.take, s.rows);                                  \
    ENTER_BIAS

// Global size (TEAM rows / s.take, parts, batch), rounded up.
TEAM_KERNEL matvec_rows(global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at,
                        global STORAGE(C) *c, long c_at, BIAS_ARGUMENT sizes_t s)
{
    SCRATCH(scratch);
    ENTER
    for (long row = first; row < last; row += ROWS) {
        real sum[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++)
            sum[r] = 0;
        FOR_GROUPS(i, count) {
            const real x = load_vector(vector, i, count, 0);
            UNROLL for (int r = 0; r < ROWS; r++)        // rows past the end read the last one and are not stored
                sum[r] = MULTIPLY_ADD(load_matrix(matrix + min(row + r, last - 1) * row_step, i, count, 0), x, sum[r]);
        }
        for (int r = 0; r < ROWS && row + r < last; r++) {
            const SCALAR total = team_sum(sum[r], scratch);
            if (LANE == 0)
                STORE1(C, c, row + r, total + BIAS_OF(row + r));
        }
    }
}

// Groups of COLUMNS work-items, each for BLOCK rows; global size (rows / BLOCK, parts, batch), rounded up.
COLUMN_KERNEL matvec_columns(global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at,
                             global STORAGE(C) *c, long c_at, BIAS_ARGUMENT sizes_t s)
{
    ENTER
    const long top = get_global_id(0) * BLOCK, rows = min((long)BLOCK, s.rows - top);
    if (rows <= 0)
        return;
    matrix += top;
    real sum[BLOCK / WIDTH];
    for (int g = 0; g < GROUPS(rows); g++) {
        SCALAR lane[WIDTH];
        for (int i = 0; i < WIDTH; i++)
            lane[i] = g * WIDTH + i < rows ? BIAS_OF(top + g * WIDTH + i) : 0;
        sum[g] = VLOAD(0, lane);
    }
    long k = 0;
    for (; k + 4 <= count; k += 4, matrix += 4 * k_step) {
        const real x0 = (SCALAR)LOAD1(VECTOR_TYPE, vector, k), x1 = (SCALAR)LOAD1(VECTOR_TYPE, vector, k + 1);
        const real x2 = (SCALAR)LOAD1(VECTOR_TYPE, vector, k + 2), x3 = (SCALAR)LOAD1(VECTOR_TYPE, vector, k + 3);
        for (int g = 0; g < GROUPS(rows); g++) {
            real part = MULTIPLY_ADD(load_matrix(matrix, g, rows, 0), x0, sum[g]);
            part = MULTIPLY_ADD(load_matrix(matrix + k_step, g, rows, 0), x1, part);
            part = MULTIPLY_ADD(load_matrix(matrix + 2 * k_step, g, rows, 0), x2, part);
            sum[g] = MULTIPLY_ADD(load_matrix(matrix + 3 * k_step, g, rows, 0), x3, part);
        }
    }
    for (; k < count; k++, matrix += k_step)
        for (int g = 0; g < GROUPS(rows); g++)
            sum[g] = MULTIPLY_ADD(load_matrix(matrix, g, rows, 0), (real)(SCALAR)LOAD1(VECTOR_TYPE, vector, k), sum[g]);
    for (int g = 0; g < GROUPS(rows); g++)
        store_sum(c + top, g, rows, sum[g]);
}
