// Gathering and scattering rows of an array seen as (outer, n, inner), row by row without gaps, at int64 indices.
// Negative indices count from the end; the host has checked the range or asked for the check below.
#include "types.h"

#ifndef ELEMENT
#define ELEMENT float    // any C type of the element's size: rows are copied as they are
#endif
#ifndef TYPE
#define TYPE float32
#endif

// out[o, k, i] = x[o, index[k], i]. Global size (inner, k, outer).
kernel void select_rows(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                        global ELEMENT *out, long n, long inner)
{
    const long i = get_global_id(0), k = get_global_id(1), o = get_global_id(2), count = get_global_size(1);
    const long at = index[index_at + k];
    out[(o * count + k) * inner + i] = x[x_at + (o * n + (at < 0 ? at + n : at)) * inner + i];
}

// out[o, index[k], i] = x[o, k, i], later k winning: each work-item owns one (o, i) and goes through k in order.
// Does the k from first to last - 1. Global size (inner, outer).
kernel void put_rows(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                     global ELEMENT *out, long out_at, long n, long inner, long count, long first, long last)
{
    const long i = get_global_id(0), o = get_global_id(1);
    for (long k = first; k < last; k++) {
        const long at = index[index_at + k];
        out[out_at + (o * n + (at < 0 ? at + n : at)) * inner + i] = x[x_at + (o * count + k) * inner + i];
    }
}

// out[o, r, i] = sum of g[o, k, i] over the k whose index is r, in rising k: no atomics, so the same sum every time.
// Does the k from first to last - 1, on top of what is there when first > 0. Global size (inner, n, outer).
kernel void add_rows(global const STORAGE(TYPE) *g, long g_at, global const long *index, long index_at,
                     global STORAGE(TYPE) *out, long n, long inner, long count, long first, long last)
{
    const long i = get_global_id(0), r = get_global_id(1), o = get_global_id(2), to = (o * n + r) * inner + i;
    SCALAR sum = first > 0 ? (SCALAR)LOAD1(TYPE, out, to) : 0;
    for (long k = first; k < last; k++) {
        const long at = index[index_at + k];
        if (at == r || at + n == r)
            sum += (SCALAR)LOAD1(TYPE, g, g_at + (o * count + k) * inner + i);
    }
    STORE1(TYPE, out, to, sum);
}
