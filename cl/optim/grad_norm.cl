// The p-norm of many gradients together, the coefficient that clips it, and whether it is finite.
//
// partial_norm    one sum (or maximum) for each chunk of CHUNK elements
// join_norms      joins the sums of CHUNK chunks each, when there are many
// finish_norm     joins what is left and decides, on the device
// scale           multiplies gradients by a number
//
// On CPUs a work-item handles STREAMS whole chunks with WIDTH running sums each; on GPUs (GROUP > 1) a work-group handles
// one. Defined by the host (genesis/ops/grad_norm.py): GRAD (storage type), WIDTH, CHUNK, GROUP, STREAMS, and KIND: 1, 2,
// 0 for the maximum norm, or any other number for a general power.
#include "types.h"
#include "reduce.h"

#ifndef GRAD
#define GRAD float32
#endif
#ifndef CHUNK
#define CHUNK 1024
#endif
#ifndef GROUP
#define GROUP 1
#endif
#ifndef STREAMS
#define STREAMS 2
#endif
#define AHEAD (2 * STREAMS * CHUNK)      // elements from one that is read to one that will be soon
#ifndef KIND
#define KIND 2
#endif

#if KIND == 0
#define POWER(x, p) fabs(x)
#define JOIN(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))            // a NaN stays
#define JOIN_WIDE(a, b) select(a, b, (b) > (a) || (b) != (b))
#else
#define JOIN(a, b) ((a) + (b))
#define JOIN_WIDE(a, b) ((a) + (b))
#if KIND == 1
#define POWER(x, p) fabs(x)
#elif KIND == 2
#define POWER(x, p) ((x) * (x))
#else
#define POWER(x, p) pow(fabs(x), p)
#endif
#endif
#if WIDTH == 1
#undef JOIN_WIDE
#define JOIN_WIDE JOIN
#endif

REDUCE_GROUP(reduce_group, SCALAR, JOIN)

// Sums of `count` whole chunks that lie one after another, written to out[0] and on. They are read side by side: a
// processor that is asked for several memory pages at once has more on the way, and no addition waits for another.
static void whole_chunks(global const STORAGE(GRAD) *g, int count, SCALAR p, global SCALAR *out)
{
    const real wide_p = p;
    real sum[STREAMS];
    UNROLL for (int s = 0; s < count; s++)
        sum[s] = 0;
    for (int i = 0; i < CHUNK / WIDTH; i++)
        UNROLL for (int s = 0; s < count; s++) {
            PREFETCH(g + s * CHUNK + i * WIDTH + AHEAD);
            const real x = LOAD(GRAD, g + s * CHUNK, i);
            sum[s] = JOIN_WIDE(sum[s], POWER(x, wide_p));
        }
    UNROLL for (int s = 0; s < count; s++) {
#if WIDTH == 1
        out[s] = sum[s];
#else
        SCALAR lane[WIDTH], joined = 0;
        VSTORE(sum[s], 0, lane);
        for (int j = 0; j < WIDTH; j++)
            joined = JOIN(joined, lane[j]);
        out[s] = joined;
#endif
    }
}

// `length` is the number of elements from `at` on; a chunk whose row is -1 counts as zeros. Without rows (a tensor on
// its own) row_of_chunk is any buffer and use_rows 0. With GROUP work-items a chunk: global size chunks * GROUP, local
// size GROUP. With STREAMS chunks a work-item: global size chunks / STREAMS, rounded up.
VECTOR_KERNEL partial_norm(global const STORAGE(GRAD) *grads, long at, long length,
                           global const int *row_of_chunk, int use_rows,
                           global SCALAR *partial, long partial_at, SCALAR p)
{
    grads += at;
    partial += partial_at;
#if GROUP > 1
    local SCALAR scratch[GROUP];
    const long chunk = get_group_id(0);
    SCALAR sum = 0;
    if (!use_rows || row_of_chunk[chunk] >= 0)
        for (long i = chunk * CHUNK + get_local_id(0); i < min((chunk + 1) * CHUNK, length); i += GROUP) {
            const SCALAR x = LOAD1(GRAD, grads, i);
            sum = JOIN(sum, POWER(x, p));
        }
    sum = reduce_group(sum, scratch);
    if (get_local_id(0) == 0)
        partial[chunk] = sum;
#else
    const long first = get_global_id(0) * STREAMS, end = min(first + STREAMS, (length + CHUNK - 1) / CHUNK);
    int whole = (first + STREAMS) * CHUNK <= length;
    for (long chunk = first; use_rows && chunk < end; chunk++)
        whole &= row_of_chunk[chunk] >= 0;
    if (whole) {
        whole_chunks(grads + first * CHUNK, STREAMS, p, partial + first);
        return;
    }
    for (long chunk = first; chunk < end; chunk++) {
        if (use_rows && row_of_chunk[chunk] < 0)
            partial[chunk] = 0;
        else if ((chunk + 1) * CHUNK <= length)
            whole_chunks(grads + chunk * CHUNK, 1, p, partial + chunk);
        else {
            SCALAR sum = 0;
            for (long i = chunk * CHUNK; i < length; i++) {
                const SCALAR x = LOAD1(GRAD, grads, i);
                sum = JOIN(sum, POWER(x, p));
            }
            partial[chunk] = sum;
        }
    }
#endif
}

// Every GROUP-th value from `i` on, joined in runs of 32, so that few additions meet a sum much larger than themselves.
static SCALAR join_values(global const SCALAR *values, long i, long end)
{
    SCALAR sum = 0;
    while (i < end) {
        SCALAR run = 0;
        for (int j = 0; j < 32 && i < end; j++, i += GROUP)
            run = JOIN(run, values[i]);
        sum = JOIN(sum, run);
    }
    return sum;
}

// Global size: count / CHUNK, rounded up, times GROUP; local size GROUP.
kernel void join_norms(global const SCALAR *partial, long count, global SCALAR *joined)
{
    const long first = get_global_id(0) / GROUP * CHUNK;
    SCALAR sum = join_values(partial, first + get_local_id(0), min(count, first + CHUNK));
#if GROUP > 1
    local SCALAR scratch[GROUP];
    sum = reduce_group(sum, scratch);
#endif
    if (get_local_id(0) == 0)
        joined[get_global_id(0) / GROUP] = sum;
}

// One work-group. control: [0] factor of the gradients, [1] 1 to skip the step, [2] steps skipped so far.
// loss_scale: [0] the scale that the gradients carry, [2] set to 1 when they are not all finite (loss_scale.cl has the
// rest). `scaling` says where the gradients stand:
//   0  there is no loss scale; loss_scale and checked are any buffer
//   1  they are still scaled
//   2  they were divided by the scale before, and checked[1] says whether to skip
kernel void finish_norm(global const SCALAR *partial, long count, global float *control, global float *norm,
                        SCALAR p, float max_norm, global float *loss_scale, global const float *checked, int scaling)
{
    SCALAR sum = join_values(partial, get_local_id(0), count);
#if GROUP > 1
    local SCALAR scratch[GROUP];
    sum = reduce_group(sum, scratch);
#endif
    if (get_local_id(0) > 0) return;
    const float inverse_scale = scaling == 1 ? 1.0f / loss_scale[0] : 1.0f;
#if KIND == 2
    const float total = sqrt(sum) * inverse_scale;
#elif KIND > 2
    const float total = pow(sum, 1 / p) * inverse_scale;
#else
    const float total = sum * inverse_scale;
#endif
    const int skip = !isfinite(total) || (scaling == 2 && checked[1] != 0);
    norm[0] = total;
    control[0] = inverse_scale * fmin(1.0f, max_norm / (total + 1e-6f));
    control[1] = skip;
    control[2] += skip;
    if (scaling == 1 && skip)
        loss_scale[2] = 1;
}

// grads[at + i] *= factor, and limited to [-bound, bound]. Global size: elements, rounded up.
kernel void scale(global STORAGE(GRAD) *grads, long at, long length, global const int *row_of_chunk, int use_rows,
                  SCALAR factor, SCALAR bound)
{
    const long i = get_global_id(0);
    if (i >= length || (use_rows && row_of_chunk[i / CHUNK] < 0)) return;
    const SCALAR x = factor * LOAD1(GRAD, grads, at + i);
    STORE1(GRAD, grads, at + i, x > bound ? bound : x < -bound ? -bound : x);
}
