// Matrix product C = A B (+ bias), A (m, k), B (k, n), for a batch of each with two dimensions. A and B have any strides,
// C lies without gaps. CPUs with room in local memory use matmul_block.cl instead.
//
// matmul_tile, for other CPUs: a work-item computes ROWS x (2 WIDTH) elements of C, all in registers:
//
//            <- 2 WIDTH ->
//        B   [ b0 ][ b1 ]     one row of B at a time
//   A    x   [acc][acc]
//   one  x   [acc][acc]       ROWS rows: acc += x * b
//   column   [acc][acc]
//
// matmul_local, for GPUs: a group of SIDE x SIDE work-items computes a tile of (SIDE PER) x (SIDE PER), reading SIDE
// columns of A and rows of B at a time through local memory; each work-item keeps PER x PER elements.
//
// matmul_integer: a work-item an element, for integers, which wrap.
//
// Defined by the host (genesis/ops/matmul.py):
//   KERNEL           matmul_tile, matmul_local or matmul_integer: 0, 1, 2
//   A, B, C          storage types; 16-bit ones are added up in float32 and rounded once
//   BIAS             storage type of the bias (n,); undefined: none
//   A_BY_COLUMN      columns of A lie without gaps: matmul_local reads along them; B_BY_COLUMN likewise
#include "types.h"

#ifndef KERNEL
#define KERNEL 0
#endif
#ifndef A
#define A float32
#define B float32
#define C float32
#endif
#ifndef ROWS
#define ROWS 4           // rows of C a work-item computes in matmul_tile
#endif
#ifndef SIDE
#define SIDE 16          // work-items along each side of a group in matmul_local
#endif
#ifndef PER
#define PER 4            // elements of C a work-item computes along each side in matmul_local
#endif
#ifndef A_BY_COLUMN
#define A_BY_COLUMN 0
#endif
#ifndef B_BY_COLUMN
#define B_BY_COLUMN 0
#endif

typedef struct {
    long m, n, k, inner;                         // inner: size of the second batch dimension
    long a_row, a_column, b_row, b_column;       // strides
    long a_outer, a_inner, b_outer, b_inner;     // strides of the two batch dimensions
} sizes_t;

#ifdef BIAS
#define BIAS_ARGUMENT global const STORAGE(BIAS) *bias, long bias_at,
#define BIAS_OF(column) LOAD1(BIAS, bias, bias_at + (column))
#else
#define BIAS_ARGUMENT
#define BIAS_OF(column) 0
#endif

#define ENTER_BATCH(batch)                                                                                            \
    a += a_at + (batch) / s.inner * s.a_outer + (batch) % s.inner * s.a_inner;                                        \
    b += b_at + (batch) / s.inner * s.b_outer + (batch) % s.inner * s.b_inner;                                        \
    c += c_at + (batch) * s.m * s.n;

#if KERNEL == 0
// WIDTH elements of a row of B from position j on, zeros past the end.
static real row_of_b(global const STORAGE(B) *b, long j, long n)
{
    if (j + WIDTH <= n)
        return LOAD(B, b + j, 0);
    SCALAR lane[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        lane[i] = j + i < n ? LOAD1(B, b, j + i) : 0;
    return VLOAD(0, lane);
}

// Rows of B lie without gaps. Global size (n / (2 WIDTH), m / ROWS, batch), each rounded up.
kernel void matmul_tile(global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at,
                        global STORAGE(C) *c, long c_at, BIAS_ARGUMENT sizes_t s)
{
    const long column = get_global_id(0) * 2 * WIDTH, row = get_global_id(1) * ROWS;
    ENTER_BATCH(get_global_id(2))
    long step[ROWS];                                         // rows past the edge read the last row and are not stored
    for (int r = 0; r < ROWS; r++)
        step[r] = min(row + r, s.m - 1) * s.a_row;

    real low[ROWS], high[ROWS];
    for (int r = 0; r < ROWS; r++)
        low[r] = high[r] = 0;
    for (long k = 0; k < s.k; k++) {
        const real b0 = row_of_b(b + k * s.b_row, column, s.n);
        const real b1 = row_of_b(b + k * s.b_row, column + WIDTH, s.n);
        for (int r = 0; r < ROWS; r++) {
            const real x = (SCALAR)LOAD1(A, a, step[r] + k * s.a_column);
            low[r] = mad(x, b0, low[r]);
            high[r] = mad(x, b1, high[r]);
        }
    }
    for (int r = 0; r < ROWS && row + r < s.m; r++) {
        SCALAR lane[2 * WIDTH];
        VSTORE(low[r], 0, lane);
        VSTORE(high[r], 1, lane);
        for (int j = 0; j < 2 * WIDTH; j++)
            if (column + j < s.n)
                STORE1(C, c, (row + r) * s.n + column + j, lane[j] + BIAS_OF(column + j));
    }
}

#elif KERNEL == 1
#define TILE (SIDE * PER)

// Local size (SIDE, SIDE, 1); global size (n / PER, m / PER, batch), rounded up to whole tiles.
kernel void matmul_local(global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at,
                         global STORAGE(C) *c, long c_at, BIAS_ARGUMENT sizes_t s)
{
    local SCALAR a_tile[SIDE][TILE + 1], b_tile[SIDE][TILE + 1];
    const int x = get_local_id(0), y = get_local_id(1), item = y * SIDE + x;
    const long column = get_group_id(0) * TILE, row = get_group_id(1) * TILE;
    ENTER_BATCH(get_global_id(2))

    SCALAR acc[PER][PER];
    for (int i = 0; i < PER; i++)
        for (int j = 0; j < PER; j++)
            acc[i][j] = 0;
    for (long first = 0; first < s.k; first += SIDE) {
        for (int t = item; t < SIDE * TILE; t += SIDE * SIDE) {       // neighbours read neighbours
            const int ka = A_BY_COLUMN ? t / TILE : t % SIDE, ra = A_BY_COLUMN ? t % TILE : t / SIDE;
            const int kb = B_BY_COLUMN ? t % SIDE : t / TILE, cb = B_BY_COLUMN ? t / SIDE : t % TILE;
            a_tile[ka][ra] = first + ka < s.k && row + ra < s.m ?
                (SCALAR)LOAD1(A, a, (row + ra) * s.a_row + (first + ka) * s.a_column) : 0;
            b_tile[kb][cb] = first + kb < s.k && column + cb < s.n ?
                (SCALAR)LOAD1(B, b, (first + kb) * s.b_row + (column + cb) * s.b_column) : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < SIDE; k++) {
            SCALAR left[PER], right[PER];
            for (int i = 0; i < PER; i++) {
                left[i] = a_tile[k][y + i * SIDE];
                right[i] = b_tile[k][x + i * SIDE];
            }
            for (int i = 0; i < PER; i++)
                for (int j = 0; j < PER; j++)
                    acc[i][j] = mad(left[i], right[j], acc[i][j]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int i = 0; i < PER; i++)
        for (int j = 0; j < PER; j++) {
            const long r = row + y + i * SIDE, k = column + x + j * SIDE;
            if (r < s.m && k < s.n)
                STORE1(C, c, r * s.n + k, acc[i][j] + BIAS_OF(k));
        }
}

#else
// Global size (n, m, batch).
kernel void matmul_integer(global const STORAGE(A) *a, long a_at, global const STORAGE(B) *b, long b_at,
                           global STORAGE(C) *c, long c_at, sizes_t s)
{
    const long column = get_global_id(0), row = get_global_id(1);
    ENTER_BATCH(get_global_id(2))
    ulong sum = 0;                               // unsigned, because it may wrap
    for (long k = 0; k < s.k; k++)
        sum += (ulong)(long)LOAD1(A, a, row * s.a_row + k * s.a_column)
             * (ulong)(long)LOAD1(B, b, k * s.b_row + column * s.b_column);
    STORE1(C, c, row * s.n + column, (long)sum);
}
#endif
