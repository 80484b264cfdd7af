// Pooling over windows of two dimensions: the largest element or the mean, and their gradients.
//
// x (planes, height, width) -> y (planes, rows, columns), contiguous; planes are images and channels. The window of output
// (r, c) has KERNEL_H x KERNEL_W elements, DILATION apart, and starts at r * STRIDE_H - pad_h, c * STRIDE_W - pad_w; what
// lies outside of x is left out. With ADAPTIVE it is everything from floor(r * height / rows) to before
// ceil((r + 1) * height / rows), and so across.
// The gradients are gathered: a work-item looks at all windows that an element of x is in, in a fixed order. On CPUs, where
// there are many planes, it has a plane instead, and scatters: that divides less.
// Positions within a plane are 32-bit, which keeps the loops fit for vectorizing.
#include "types.h"

#ifndef TYPE
#define TYPE float32     // storage type of x and y
#endif
#ifndef INDEX
#define INDEX int32      // of positions of the largest elements, counted from the start of the plane: int32 or int64
#endif
#ifndef ACC
#define ACC float        // type that elements are compared and added up in
#endif
#ifndef LOWEST
#define LOWEST (-INFINITY)
#endif
// The layer's sizes are in the struct, and those of common layers known beforehand: -D FIXED_KERNEL, -D FIXED_STRIDE.
#ifdef FIXED_KERNEL
#define KERNEL_H FIXED_KERNEL
#define KERNEL_W FIXED_KERNEL
#define STRIDE_H FIXED_STRIDE
#define STRIDE_W FIXED_STRIDE
#define DILATION_H 1
#define DILATION_W 1
#else
#define KERNEL_H s.kernel_h
#define KERNEL_W s.kernel_w
#define STRIDE_H s.stride_h
#define STRIDE_W s.stride_w
#define DILATION_H s.dilation_h
#define DILATION_W s.dilation_w
#endif

typedef STORAGE(TYPE) element;
typedef STORAGE(INDEX) position_t;

typedef struct {
    long planes;
    int height, width, rows, columns;
    int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int include_pad, divisor;                // average: count padding; a divisor of all windows when not 0
} pool_t;

// Bounds of a window along one dimension of n elements: [first, last) in steps.
#ifdef ADAPTIVE
#define STEP_H 1
#define STEP_W 1
#define FIRST_H(r, s) (int)((long)(r) * (s).height / (s).rows)
#define FIRST_W(c, s) (int)((long)(c) * (s).width / (s).columns)
#define LAST_H(r, s) (int)((((long)(r) + 1) * (s).height + (s).rows - 1) / (s).rows)
#define LAST_W(c, s) (int)((((long)(c) + 1) * (s).width + (s).columns - 1) / (s).columns)
#else
#define STEP_H DILATION_H
#define STEP_W DILATION_W
#define FIRST_H(r, s) ((r) * STRIDE_H - (s).pad_h)
#define FIRST_W(c, s) ((c) * STRIDE_W - (s).pad_w)
#define LAST_H(r, s) (FIRST_H(r, s) + (KERNEL_H - 1) * DILATION_H + 1)
#define LAST_W(c, s) (FIRST_W(c, s) + (KERNEL_W - 1) * DILATION_W + 1)
#endif

static int inside(int first, int step)              // the first position of a window that is not before the start
{
    return first < 0 ? first + (-first + step - 1) / step * step : first;
}

// What a mean is divided by, before the window is cut to what lies inside of x and after.
static ACC divisor_of(int first_h, int last_h, int first_w, int last_w, const pool_t s)
{
    if (s.divisor)
        return s.divisor;
    if (s.include_pad)
        return (ACC)(min(last_h, s.height + s.pad_h) - first_h) * (ACC)(min(last_w, s.width + s.pad_w) - first_w);
    return (ACC)(min(last_h, s.height) - max(first_h, 0)) * (ACC)(min(last_w, s.width) - max(first_w, 0));
}

// Global size of the forward kernels (columns, rows, planes), of the others (width, height, planes), rounded up.

// The first of equal elements counts; a NaN is larger than all numbers.
kernel void largest(global const element *x, long x_at, global element *y, global position_t *index, pool_t s)
{
    const int c = get_global_id(0), r = get_global_id(1);
    const long plane = get_global_id(2);
    if (c >= s.columns || r >= s.rows || plane >= s.planes)
        return;
    x += x_at + plane * s.height * s.width;
    const int first_h = inside(FIRST_H(r, s), STEP_H), last_h = min(LAST_H(r, s), s.height);
    const int first_w = inside(FIRST_W(c, s), STEP_W), last_w = min(LAST_W(c, s), s.width);
    int best = first_h * s.width + first_w;
    ACC most = LOWEST;
    for (int h = first_h; h < last_h; h += STEP_H)
        for (int w = first_w; w < last_w; w += STEP_W) {
            const ACC value = LOAD1(TYPE, x, h * s.width + w);
            if (value > most || value != value) {
                most = value;
                best = h * s.width + w;
            }
        }
    const long at = plane * s.rows * s.columns + r * s.columns + c;
    STORE1(TYPE, y, at, most);
#ifdef POSITIONS
    index[at] = best;
#endif
}

kernel void mean(global const element *x, long x_at, global element *y, pool_t s)
{
    const int c = get_global_id(0), r = get_global_id(1);
    const long plane = get_global_id(2);
    if (c >= s.columns || r >= s.rows || plane >= s.planes)
        return;
    x += x_at + plane * s.height * s.width;
    const int first_h = FIRST_H(r, s), last_h = LAST_H(r, s), first_w = FIRST_W(c, s), last_w = LAST_W(c, s);
    ACC sum = 0;
    for (int h = max(first_h, 0); h < min(last_h, s.height); h++)
        for (int w = max(first_w, 0); w < min(last_w, s.width); w++)
            sum += LOAD1(TYPE, x, h * s.width + w);
    STORE1(TYPE, y, plane * s.rows * s.columns + r * s.columns + c,
           sum / divisor_of(first_h, last_h, first_w, last_w, s));
}

// The outputs whose windows an element at position i is in, along one dimension: [least, most].
#ifdef ADAPTIVE
#define LEAST(i, pad, kernel, stride, step, n, outputs) (int)((long)(i) * (outputs) / (n))
#define MOST(i, pad, stride, n, outputs) (int)((((long)(i) + 1) * (outputs) + (n) - 1) / (n) - 1)
#else
#define LEAST(i, pad, kernel, stride, step, n, outputs) \
    max(0, ((i) + (pad) - ((kernel) - 1) * (step) + (stride) - 1) / (stride))
#define MOST(i, pad, stride, n, outputs) min((outputs) - 1, ((i) + (pad)) / (stride))
#endif
#define LEAST_H(h, s) LEAST(h, (s).pad_h, KERNEL_H, STRIDE_H, STEP_H, (s).height, (s).rows)
#define LEAST_W(w, s) LEAST(w, (s).pad_w, KERNEL_W, STRIDE_W, STEP_W, (s).width, (s).columns)
#define MOST_H(h, s) MOST(h, (s).pad_h, STRIDE_H, (s).height, (s).rows)
#define MOST_W(w, s) MOST(w, (s).pad_w, STRIDE_W, (s).width, (s).columns)

kernel void largest_backward(global const element *g, long g_at, global const position_t *index, global element *out,
                             pool_t s)
{
    const int w = get_global_id(0), h = get_global_id(1);
    const long plane = get_global_id(2);
    if (w >= s.width || h >= s.height || plane >= s.planes)
        return;
    const long start = plane * s.rows * s.columns;
    g += g_at + start;
    index += start;
    const int own = h * s.width + w, last_r = MOST_H(h, s), last_c = MOST_W(w, s);
    ACC sum = 0;
    for (int r = LEAST_H(h, s); r <= last_r; r++)
        for (int c = LEAST_W(w, s); c <= last_c; c++)
            if (index[r * s.columns + c] == own)
                sum += LOAD1(TYPE, g, r * s.columns + c);
    STORE1(TYPE, out, plane * s.height * s.width + own, sum);
}

kernel void mean_backward(global const element *g, long g_at, global element *out, pool_t s)
{
    const int w = get_global_id(0), h = get_global_id(1);
    const long plane = get_global_id(2);
    if (w >= s.width || h >= s.height || plane >= s.planes)
        return;
    g += g_at + plane * s.rows * s.columns;
    const int last_r = MOST_H(h, s), last_c = MOST_W(w, s);
    ACC sum = 0;
    for (int r = LEAST_H(h, s); r <= last_r; r++)
        for (int c = LEAST_W(w, s); c <= last_c; c++)
            sum += LOAD1(TYPE, g, r * s.columns + c)
                   / divisor_of(FIRST_H(r, s), LAST_H(r, s), FIRST_W(c, s), LAST_W(c, s), s);
    STORE1(TYPE, out, plane * s.height * s.width + h * s.width + w, sum);
}

// A work-item a plane, of float32 or float64; global size (planes).
#define PLANE_KERNEL kernel __attribute__((reqd_work_group_size(1, 1, 1))) void

PLANE_KERNEL largest_scatter(global const element *g, long g_at, global const position_t *index, global element *out,
                             pool_t s)
{
    const int outputs = s.rows * s.columns, inputs = s.height * s.width;
    const long plane = get_global_id(0);
    g += g_at + plane * outputs;
    index += plane * outputs;
    out += plane * inputs;
    for (int i = 0; i < inputs; i++)
        out[i] = 0;
    for (int i = 0; i < outputs; i++)
        if (index[i] >= 0 && index[i] < inputs)             // not so where a window has nothing of x
            out[index[i]] += g[i];
}

PLANE_KERNEL mean_scatter(global const element *g, long g_at, global element *out, pool_t s)
{
    const int inputs = s.height * s.width;
    const long plane = get_global_id(0);
    g += g_at + plane * s.rows * s.columns;
    out += plane * inputs;
    for (int i = 0; i < inputs; i++)
        out[i] = 0;
    for (int r = 0; r < s.rows; r++) {
        const int first_h = FIRST_H(r, s), last_h = LAST_H(r, s);
        for (int c = 0; c < s.columns; c++) {
            const int first_w = FIRST_W(c, s), last_w = LAST_W(c, s);
            const ACC share = g[r * s.columns + c] / divisor_of(first_h, last_h, first_w, last_w, s);
            for (int h = max(first_h, 0); h < min(last_h, s.height); h++)
                for (int w = max(first_w, 0); w < min(last_w, s.width); w++)
                    out[h * s.width + w] += share;
        }
    }
}
