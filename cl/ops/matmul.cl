// Matrix product C = A B, A (m, k), B (k, n), for a batch of each. Rows of B and C lie without gaps; A has any strides.
//
// matmul_tile, for CPUs: a work-item computes ROWS x (2 WIDTH) elements of C, all in registers:
//
//            <- 2 WIDTH ->
//        B   [ b0 ][ b1 ]     one row of B at a time
//   A    x   [acc][acc]
//   one  x   [acc][acc]       ROWS rows: acc += x * b
//   column   [acc][acc]
//
// matmul_local, for GPUs: a group of SIDE x SIDE work-items computes a tile of (SIDE PER) x (SIDE PER), reading SIDE
// columns of A and rows of B at a time through local memory; each work-item keeps PER x PER elements.
#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef ROWS
#define ROWS 12          // rows of C a work-item computes in matmul_tile
#endif
#ifndef SIDE
#define SIDE 16          // work-items along each side of a group in matmul_local
#endif
#ifndef PER
#define PER 4            // elements of C a work-item computes along each side in matmul_local
#endif

typedef struct {
    long m, n, k;
    long a_row, a_column, b_row, c_row;          // strides
    long a_batch, b_batch, c_batch;
} sizes_t;

typedef STORAGE(TYPE) element;

#ifndef LOCAL
real load_some(global const element *p, long count)          // the first `count` of WIDTH elements, then zeros
{
    SCALAR lane[WIDTH];
    for (int j = 0; j < WIDTH; j++)
        lane[j] = j < count ? p[j] : 0;
    return VLOAD(0, lane);
}

void store_some(real x, global element *p, long count)
{
    SCALAR lane[WIDTH];
    VSTORE(x, 0, lane);
    for (int j = 0; j < WIDTH && j < count; j++)
        p[j] = lane[j];
}

// Global size (n / (2 WIDTH), m / ROWS, batch), each rounded up.
kernel void matmul_tile(global const element *a, long a_at, global const element *b, long b_at,
                        global element *c, long c_at, sizes_t s)
{
    const long column = get_global_id(0) * 2 * WIDTH, row = get_global_id(1) * ROWS, batch = get_global_id(2);
    a += a_at + batch * s.a_batch;
    b += b_at + batch * s.b_batch + column;
    c += c_at + batch * s.c_batch + column;
    long step[ROWS];                                         // rows past the edge read the last row and are not stored
    for (int r = 0; r < ROWS; r++)
        step[r] = min(row + r, s.m - 1) * s.a_row;

    real low[ROWS], high[ROWS];
    for (int r = 0; r < ROWS; r++)
        low[r] = high[r] = 0;
    const long left = s.n - column;
    if (left >= 2 * WIDTH) {
        for (long k = 0; k < s.k; k++) {
            const real b0 = VLOAD(0, b + k * s.b_row), b1 = VLOAD(1, b + k * s.b_row);
            for (int r = 0; r < ROWS; r++) {
                const real x = a[step[r] + k * s.a_column];
                low[r] = mad(x, b0, low[r]);
                high[r] = mad(x, b1, high[r]);
            }
        }
    } else {
        for (long k = 0; k < s.k; k++) {
            const real b0 = load_some(b + k * s.b_row, left), b1 = load_some(b + k * s.b_row + WIDTH, left - WIDTH);
            for (int r = 0; r < ROWS; r++) {
                const real x = a[step[r] + k * s.a_column];
                low[r] = mad(x, b0, low[r]);
                high[r] = mad(x, b1, high[r]);
            }
        }
    }
    for (int r = 0; r < ROWS; r++)
        if (row + r < s.m) {
            store_some(low[r], c + (row + r) * s.c_row, left);
            store_some(high[r], c + (row + r) * s.c_row + WIDTH, left - WIDTH);
        }
}

#else
#define TILE (SIDE * PER)

// Local size (SIDE, SIDE, 1); global size (n / PER, m / PER, batch), rounded up to whole tiles.
kernel void matmul_local(global const element *a, long a_at, global const element *b, long b_at,
                         global element *c, long c_at, sizes_t s)
{
    local SCALAR a_tile[SIDE][TILE + 1], b_tile[SIDE][TILE];
    const int x = get_local_id(0), y = get_local_id(1), item = y * SIDE + x;
    const long column = get_group_id(0) * TILE, row = get_group_id(1) * TILE, batch = get_global_id(2);
    a += a_at + batch * s.a_batch;
    b += b_at + batch * s.b_batch;
    c += c_at + batch * s.c_batch;

    SCALAR acc[PER][PER];
    for (int i = 0; i < PER; i++)
        for (int j = 0; j < PER; j++)
            acc[i][j] = 0;
    for (long first = 0; first < s.k; first += SIDE) {
        for (int t = item; t < SIDE * TILE; t += SIDE * SIDE) {
            const long ka = first + t % SIDE, ra = row + t / SIDE;
            a_tile[t % SIDE][t / SIDE] = ka < s.k && ra < s.m ? a[ra * s.a_row + ka * s.a_column] : 0;
            const long kb = first + t / TILE, cb = column + t % TILE;
            b_tile[t / TILE][t % TILE] = kb < s.k && cb < s.n ? b[kb * s.b_row + cb] : 0;
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
                c[r * s.c_row + k] = acc[i][j];
        }
}
#endif
