// What L-BFGS (Liu & Nocedal 1989) does with vectors as long as all parameters together; genesis/optim/quasi_newton.py
// is the host's half, genesis/optim/lbfgs.py the algorithm. A vector has n elements without gaps, in SCALAR; parameters
// and gradients lie in an arena, whose chunk c holds the vector's elements from spans[2 c] on, spans[2 c + 1] in number.
//
//   gather      the gradient as a vector               move        parameters = start + t * direction
//   pair        s = t * direction, y = change of the gradient: a row pair of the history
//   dots        each row of the history times three vectors, in parts     measure  max |a|, sum |a| and a * b, in parts
//   join        the parts to sums (or maxima)          direction   minus the gradient and the history's rows, weighted
//
// Dot products and measures are taken by parts of CHUNK elements, each by GROUP work-items. Defined by the host: PARAM
// (storage type of parameters and gradients), WIDTH, GROUP, CHUNK.
#include "types.h"
#include "reduce.h"

#ifndef PARAM
#define PARAM float32
#endif
#ifndef CHUNK
#define CHUNK 1024
#endif
#ifndef GROUP
#define GROUP 1
#endif

#define ADD(a, b) ((a) + (b))
#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))          // a NaN stays
REDUCE_GROUP(add_group, SCALAR, ADD)
REDUCE_GROUP(largest_of_group, SCALAR, LARGER)

// Global size: the arena's elements. A chunk whose row is -1 has no gradient, which counts as zeros.
kernel void gather(global const STORAGE(PARAM) *grads, global const int *row_of_chunk, int use_rows,
                   global const int *spans, global SCALAR *vector)
{
    const long i = get_global_id(0), chunk = i / CHUNK, within = i % CHUNK;
    if (within >= spans[2 * chunk + 1]) return;
    vector[spans[2 * chunk] + within] = use_rows && row_of_chunk[chunk] < 0 ? 0 : LOAD1(PARAM, grads, i);
}

// Global size: the arena's elements. `start` may be the parameters themselves.
kernel void move(global STORAGE(PARAM) *params, global const STORAGE(PARAM) *start, global const int *spans,
                 global const SCALAR *direction, SCALAR t)
{
    const long i = get_global_id(0), chunk = i / CHUNK, within = i % CHUNK;
    if (within >= spans[2 * chunk + 1]) return;
    STORE1(PARAM, params, i, LOAD1(PARAM, start, i) + t * direction[spans[2 * chunk] + within]);
}

// Global size: n. The row pair begins at rows[at].
kernel void pair(global const SCALAR *grad, global const SCALAR *former_grad, global const SCALAR *direction, SCALAR t,
                 global SCALAR *rows, long at, long n)
{
    const long i = get_global_id(0);
    rows[at + i] = t * direction[i];                                // s
    rows[at + n + i] = grad[i] - former_grad[i];                    // y
}

// This work-item's share of a * b over `count` elements.
static SCALAR dot_share(global const SCALAR *a, global const SCALAR *b, long count)
{
    const long whole = count / WIDTH * WIDTH;
    real wide = 0;
    for (long i = get_local_id(0) * WIDTH; i < whole; i += GROUP * WIDTH)
        wide = MULTIPLY_ADD(VLOAD(0, a + i), VLOAD(0, b + i), wide);
    SCALAR sum = 0, lane[WIDTH];
    VSTORE(wide, 0, lane);
    for (int j = 0; j < WIDTH; j++)
        sum += lane[j];
    for (long i = whole + get_local_id(0); i < count; i += GROUP)
        sum += a[i] * b[i];
    return sum;
}

// Global size: parts * GROUP, rows; local size GROUP, 1. Second and third vector begin at rows[at] and rows[at + n].
VECTOR_KERNEL dots(global const SCALAR *rows, global const SCALAR *grad, long at, long n, global SCALAR *parts)
{
    local SCALAR scratch[GROUP];
    const long part = get_group_id(0), first = part * CHUNK, count = min((long)CHUNK, n - first);
    const long row = get_global_id(1);
    global const SCALAR *own = rows + row * n + first;
    global const SCALAR *const others[3] = {grad + first, rows + at + first, rows + at + n + first};
    for (int k = 0; k < 3; k++) {
        const SCALAR sum = add_group(dot_share(own, others[k], count), scratch);
        if (get_local_id(0) == 0)
            parts[(3 * row + k) * get_num_groups(0) + part] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);                               // scratch is used again
    }
}

// Global size: parts * GROUP; local size GROUP.
VECTOR_KERNEL measure(global const SCALAR *a, global const SCALAR *b, long n, global SCALAR *parts)
{
    local SCALAR scratch[GROUP];
    const long part = get_group_id(0), count = get_num_groups(0), end = min((part + 1) * CHUNK, n);
    SCALAR largest = 0, sum = 0;
    for (long i = part * CHUNK + get_local_id(0); i < end; i += GROUP) {
        const SCALAR size = fabs(a[i]);
        largest = LARGER(largest, size);
        sum += size;
    }
    largest = largest_of_group(largest, scratch);
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = add_group(sum, scratch);
    barrier(CLK_LOCAL_MEM_FENCE);
    const SCALAR product = add_group(dot_share(a + part * CHUNK, b + part * CHUNK, end - part * CHUNK), scratch);
    if (get_local_id(0) == 0) {
        parts[part] = largest;
        parts[count + part] = sum;
        parts[2 * count + part] = product;
    }
}

// Joins `count` parts each. Global size: results * GROUP; local size GROUP. Of the first `maxima` results the maximum.
kernel void join(global const SCALAR *parts, long count, int maxima, global SCALAR *results)
{
    local SCALAR scratch[GROUP];
    const long result = get_group_id(0);
    parts += result * count;
    SCALAR joined = 0;
    if (result < maxima) {
        for (long i = get_local_id(0); i < count; i += GROUP)
            joined = LARGER(joined, parts[i]);
        joined = largest_of_group(joined, scratch);
    } else {
        for (long i = get_local_id(0); i < count;) {
            SCALAR run = 0;                                         // few additions meet a much larger sum
            for (int j = 0; j < 32 && i < count; j++, i += GROUP)
                run += parts[i];
            joined += run;
        }
        joined = add_group(joined, scratch);
    }
    if (get_local_id(0) == 0)
        results[result] = joined;
}

// Global size: n. `count` row pairs in the order of `slots`, with a weight for s and one for y each.
kernel void direction(global const SCALAR *grad, SCALAR scale, global const SCALAR *rows, global const int *slots,
                      global const SCALAR *weights, int count, long n, global SCALAR *result)
{
    const long i = get_global_id(0);
    SCALAR sum = -scale * grad[i];
    for (int k = 0; k < count; k++) {
        global const SCALAR *s = rows + 2 * slots[k] * n;
        sum += weights[2 * k] * s[i] + weights[2 * k + 1] * s[n + i];
    }
    result[i] = sum;
}
