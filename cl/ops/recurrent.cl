// Steps of recurrent layers. A step multiplies the states h (batch, hidden) of all samples with the recurrent weights
// and applies the gates to the products while they are in registers; the products with the inputs of the whole sequence
// are made before (genesis/ops/recurrent.py).
//
//   RNN    h' = act(x + W h + b)                                                act: tanh or max(., 0)
//   LSTM   i, f, o = sigmoid(...), g = tanh(...);  c' = f c + i g,  h' = o tanh(c')
//   GRU    r, z = sigmoid(...);  n = tanh(x_n + r (W_n h + b_n)),  h' = (1 - z) n + z h
//
// with x the products with the inputs, (batch, GATES hidden), in PyTorch's order of gates. Where sequences are of
// different lengths, a step has only the first samples, those that are long enough. A work-item has WIDTH units of
// BLOCKS times ROWS samples: ROWS x GATES vectors of sums in registers. The weights are packed for it: `pack` puts the
// COLUMNS vectors that a work-item needs for one k side by side. DEPTH k at a time serve all samples from the cache.
//
//   recur            one step forward; keeps what backward needs in `kept`
//   recur_backward   one step backward: the gradient of h from that of the next step's gates, then this step's gates
//
// Defined by the host:
//   CELL        TANH, RELU, LSTM or GRU
//   ROWS        samples a block
//   BLOCKS      blocks a work-item
//   COLUMNS     vectors of packed weights for one k: the gates in forward, 2 in backward
#include "types.h"

#define TANH 0
#define RELU 1
#define LSTM 2
#define GRU  3
#ifndef CELL
#define CELL LSTM
#endif
#ifndef ROWS
#define ROWS 4
#endif
#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef DEPTH
#define DEPTH (256 / COLUMNS)              // 16 KiB of packed weights
#endif
#define SAMPLES (BLOCKS * ROWS)
#if CELL == LSTM
#define GATES 4
#elif CELL == GRU
#define GATES 3
#else
#define GATES 1
#endif
#define KEPT (GATES == 1 ? 0 : 4)          // LSTM: i f g o; GRU: r z n and W_n h + b_n; else h itself is enough
#ifndef COLUMNS
#define COLUMNS GATES
#endif

typedef struct {
    long hidden, batch;
    long w_k, w_column, w_panel;            // strides of the packed weights, in vectors
} sizes_t;

static real sigmoid_of(real x) { return 1 / (1 + exp(-x)); }

static real load_units(global const SCALAR *p, long left)          // the first `left` of WIDTH elements, then zeros
{
#if WIDTH > 1
    if (left < WIDTH) {
        SCALAR lane[WIDTH];
        for (int j = 0; j < WIDTH; j++)
            lane[j] = j < left ? p[j] : 0;
        return VLOAD(0, lane);
    }
#endif
    return VLOAD(0, p);
}

static void store_units(real x, global SCALAR *p, long left)
{
#if WIDTH > 1
    if (left < WIDTH) {
        SCALAR lane[WIDTH];
        VSTORE(x, 0, lane);
        for (int j = 0; j < WIDTH && j < left; j++)
            p[j] = lane[j];
        return;
    }
#endif
    VSTORE(x, 0, p);
}

// Element (k, column, lane) of a panel is w[k * by_k + column * by_column + unit * by_unit], where unit is panel * units
// + column * spread + lane; 0 for units from `hidden` on. Global size (panels, k).
kernel void pack(global const SCALAR *w, long w_at, global SCALAR *out, long by_k, long by_column, long by_unit,
                 long units, long spread, sizes_t s)
{
    const long panel = get_global_id(0), k = get_global_id(1);
    for (int column = 0; column < COLUMNS; column++) {
        const long first = panel * units + column * spread;
        global SCALAR *to = out + (panel * s.w_panel + k * s.w_k + column * s.w_column) * WIDTH;
        for (int j = 0; j < WIDTH; j++)
            to[j] = first + j < s.hidden ? w[w_at + k * by_k + column * by_column + (first + j) * by_unit] : 0;
    }
}

// sum[r][c] += sum over k of a[r][k] * w[k][c] for ROWS rows; rows past the last repeat it.
static void multiply_rows(global const SCALAR *a, long step, long rows, long depth, global const SCALAR *w, sizes_t s,
                          real sum[][COLUMNS])
{
    long at[ROWS];
    real part[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; r++) {
        at[r] = min((long)r, rows - 1) * step;
        for (int c = 0; c < COLUMNS; c++)
            part[r][c] = sum[r][c];
    }
    for (long k = 0; k < depth; k++) {
        real x[COLUMNS];
        for (int c = 0; c < COLUMNS; c++)
            x[c] = VLOAD(k * s.w_k + c * s.w_column, w);
        for (int r = 0; r < ROWS; r++) {
            const real y = a[at[r] + k];
            for (int c = 0; c < COLUMNS; c++)
                part[r][c] = mad(y, x[c], part[r][c]);
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            sum[r][c] = part[r][c];
}

// The same for the first `rows` of SAMPLES rows.
static void multiply(global const SCALAR *a, long step, long rows, long depth, global const SCALAR *w, sizes_t s,
                     real sum[SAMPLES][COLUMNS])
{
    for (long k = 0; k < depth; k += DEPTH)
        for (int r = 0; r < SAMPLES && r < rows; r += ROWS)
            multiply_rows(a + r * step + k, step, rows - r, min((long)DEPTH, depth - k), w + k * s.w_k * WIDTH, s,
                          sum + r);
}

// Arrays (batch, hidden): h, h_out, c, c_out; (batch, GATES hidden): x; (batch, KEPT hidden): kept; (GATES hidden): bias.
// Global size (hidden / WIDTH, batch / SAMPLES), rounded up.
VECTOR_KERNEL recur(global const SCALAR *x, long x_at, global const SCALAR *w, global const SCALAR *bias,
                    long bias_at, int biased, global const SCALAR *h, long h_at, global SCALAR *h_out, long h_out_at,
                    global const SCALAR *c, long c_at, global SCALAR *c_out, long c_out_at,
                    global SCALAR *kept, long kept_at, sizes_t s)
{
    const long unit = get_global_id(0) * WIDTH, row = get_global_id(1) * SAMPLES, left = s.hidden - unit;
    if (left <= 0) return;
    real sum[SAMPLES][COLUMNS];
    for (int g = 0; g < GATES; g++) {
        const real start = biased ? load_units(bias + bias_at + g * s.hidden + unit, left) : (real)0;
        for (int r = 0; r < SAMPLES; r++)
            sum[r][g] = start;
    }
    multiply(h + h_at + row * s.hidden, s.hidden, s.batch - row, s.hidden, w + get_global_id(0) * s.w_panel * WIDTH, s,
             sum);
    for (int r = 0; r < SAMPLES; r++) {
        if (row + r >= s.batch) return;
        global const SCALAR *in = x + x_at + (row + r) * GATES * s.hidden + unit;
        const long at = (row + r) * s.hidden + unit;
        global SCALAR *keep = kept + kept_at + (row + r) * KEPT * s.hidden + unit;
        real y;
#if CELL == LSTM
        const real i = sigmoid_of(sum[r][0] + load_units(in, left));
        const real f = sigmoid_of(sum[r][1] + load_units(in + s.hidden, left));
        const real g = tanh(sum[r][2] + load_units(in + 2 * s.hidden, left));
        const real o = sigmoid_of(sum[r][3] + load_units(in + 3 * s.hidden, left));
        const real cell = f * load_units(c + c_at + at, left) + i * g;
        store_units(cell, c_out + c_out_at + at, left);
        store_units(i, keep, left);
        store_units(f, keep + s.hidden, left);
        store_units(g, keep + 2 * s.hidden, left);
        store_units(o, keep + 3 * s.hidden, left);
        y = o * tanh(cell);
#elif CELL == GRU
        const real reset = sigmoid_of(sum[r][0] + load_units(in, left));
        const real z = sigmoid_of(sum[r][1] + load_units(in + s.hidden, left));
        const real n = tanh(load_units(in + 2 * s.hidden, left) + reset * sum[r][2]);
        store_units(reset, keep, left);
        store_units(z, keep + s.hidden, left);
        store_units(n, keep + 2 * s.hidden, left);
        store_units(sum[r][2], keep + 3 * s.hidden, left);
        y = n + z * (load_units(h + h_at + at, left) - n);
#else
        y = sum[r][0] + load_units(in, left);
#if CELL == TANH
        y = tanh(y);
#else
        y = y < 0 ? (real)0 : y;
#endif
#endif
        store_units(y, h_out + h_out_at + at, left);
    }
}

// dh = dy + start + (gradient of the next step's gates) W, then the gradients of this step's gates from it.
//   next      (next_rows, GATES hidden): gradients of the next step's products with h, of the samples that have one
//   dy        gradient of this step's result, a row `dy_row` elements after the other; used if has_dy
//   carry     (batch, hidden), in and out. LSTM: the gradient of c from the next step. GRU: the part of dh that went
//             past the gates.
//   start     (batch, hidden): gradient of the last state; used if has_start
//   gates_x   (batch, GATES hidden), out: gradients of the products with x; gates_h: with h, written for GRU only
// Global size (hidden / (COLUMNS WIDTH), batch / SAMPLES), rounded up.
VECTOR_KERNEL recur_backward(global const SCALAR *next, long next_at, long next_rows, global const SCALAR *w,
                             global const SCALAR *dy, long dy_at, long dy_row, int has_dy,
                             global const SCALAR *start, long start_at, int has_start, global SCALAR *carry,
                             global const SCALAR *h_before, long h_before_at, global const SCALAR *h, long h_at,
                             global const SCALAR *c_before, long c_before_at, global const SCALAR *c, long c_at,
                             global const SCALAR *kept, long kept_at, global SCALAR *gates_x, global SCALAR *gates_h,
                             long gates_at, sizes_t s)
{
    const long first = get_global_id(0) * COLUMNS * WIDTH, row = get_global_id(1) * SAMPLES;
    if (first >= s.hidden) return;
    real sum[SAMPLES][COLUMNS];
    for (int r = 0; r < SAMPLES; r++)
        for (int i = 0; i < COLUMNS; i++)
            sum[r][i] = 0;
    multiply(next + next_at + row * GATES * s.hidden, GATES * s.hidden, next_rows - row, GATES * s.hidden,
             w + get_global_id(0) * s.w_panel * WIDTH, s, sum);
    for (int column = 0; column < COLUMNS; column++) {
        const long unit = first + column * WIDTH, left = s.hidden - unit;
        if (left <= 0) return;
        for (int r = 0; r < SAMPLES; r++) {
            if (row + r >= s.batch) break;
            const long at = (row + r) * s.hidden + unit, gates = gates_at + (row + r) * GATES * s.hidden + unit;
            global const SCALAR *keep = kept + kept_at + (row + r) * KEPT * s.hidden + unit;
            real dh = row + r < next_rows ? sum[r][column] : (real)0;
            if (has_dy)
                dh += load_units(dy + dy_at + (row + r) * dy_row + unit, left);
            if (has_start)
                dh += load_units(start + start_at + at, left);
#if CELL == LSTM
            const real i = load_units(keep, left), f = load_units(keep + s.hidden, left);
            const real g = load_units(keep + 2 * s.hidden, left), o = load_units(keep + 3 * s.hidden, left);
            const real t = tanh(load_units(c + c_at + at, left));
            const real dc = load_units(carry + at, left) + dh * o * (1 - t * t);
            store_units(dc * g * i * (1 - i), gates_x + gates, left);
            store_units(dc * load_units(c_before + c_before_at + at, left) * f * (1 - f), gates_x + gates + s.hidden,
                        left);
            store_units(dc * i * (1 - g * g), gates_x + gates + 2 * s.hidden, left);
            store_units(dh * t * o * (1 - o), gates_x + gates + 3 * s.hidden, left);
            store_units(dc * f, carry + at, left);
#elif CELL == GRU
            dh += load_units(carry + at, left);
            const real reset = load_units(keep, left), z = load_units(keep + s.hidden, left);
            const real n = load_units(keep + 2 * s.hidden, left), product = load_units(keep + 3 * s.hidden, left);
            const real dz = dh * (load_units(h_before + h_before_at + at, left) - n) * z * (1 - z);
            const real dn = dh * (1 - z) * (1 - n * n), dr = dn * product * reset * (1 - reset);
            store_units(dr, gates_x + gates, left);
            store_units(dz, gates_x + gates + s.hidden, left);
            store_units(dn, gates_x + gates + 2 * s.hidden, left);
            store_units(dr, gates_h + gates, left);
            store_units(dz, gates_h + gates + s.hidden, left);
            store_units(dn * reset, gates_h + gates + 2 * s.hidden, left);
            store_units(dh * z, carry + at, left);
#else
            const real y = load_units(h + h_at + at, left);
#if CELL == TANH
            dh *= 1 - y * y;
#else
            dh = y > 0 ? dh : (real)0;
#endif
            store_units(dh, gates_x + gates, left);
#endif
        }
    }
}
