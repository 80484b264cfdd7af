// Gathering and scattering elements of an array seen as (outer, n, inner), row by row without gaps, at int64 indices.
// Negative indices count from the end where `low` lets them. At an index out of range (faults.h) nothing is written, or
// what is read is 0.
//
// Where several values meet in one place they are joined in rising order of their position, so results repeat bit for
// bit. Two ways lead there (genesis/ops/index.py chooses):
//   scatter_columns   one work-item a column goes through the indices: no two work-items share a place
//   segment_blocks, segment_join   work on indices that cl/ops/sort.cl has sorted
//
// Defined by the host:
//   ELEMENT   any C type of the element's size, where elements are copied as they are
//   IN, OUT   storage types of values and result;  ACC  the C type that they are joined in
//   JOIN      add, prod, amax, amin or put (the last value wins)
//   WIDTH     lanes of add_tiles
//   INDICES   how many index arrays join_indices and select_joined take
//   LAST      inner is 1, and the positions run along the first dimension of the global size
#include "types.h"
#include "faults.h"

#ifndef ELEMENT
#define ELEMENT float
#endif
#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif
#ifndef ACC
#define ACC float
#endif
#ifndef JOIN
#define JOIN add
#endif
#ifndef INDICES
#define INDICES 2
#endif

#define JOIN_add(a, x)  ((a) + (x))
#define JOIN_prod(a, x) ((a) * (x))
#define JOIN_amax(a, x) ((x) > (a) || (x) != (x) ? (x) : (a))
#define JOIN_amin(a, x) ((x) < (a) || (x) != (x) ? (x) : (a))
#define JOIN_put(a, x)  (x)
#define JOINED PASTE(JOIN_, JOIN)

// out[o, k, i] = x[o, index[k], i]. Global size (inner, k, outer), or (k, outer) with LAST.
kernel void select_rows(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                        global ELEMENT *out, long n, long inner, long count, FAULTS)
{
#ifdef LAST
    const long i = 0, k = get_global_id(0), o = get_global_id(1);
    if (k >= count) return;
#else
    const long i = get_global_id(0), k = get_global_id(1), o = get_global_id(2);
    if (i >= inner) return;
#endif
    const long at = index[index_at + k];
    out[(o * count + k) * inner + i] = FITS(at, n) ? x[x_at + (o * n + WRAPPED(at, n)) * inner + i] : 0;
}

// The same for CPUs, where a work-item copies `rows` whole rows. Global size (count / rows, rounded up, outer).
kernel void copy_rows(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                      global ELEMENT *out, long n, long inner, long count, long rows, FAULTS)
{
    const long first = get_global_id(0) * rows, last = min(first + rows, count), o = get_global_id(1);
    for (long k = first; k < last; k++) {
        const long at = index[index_at + k];
        global ELEMENT *to = out + (o * count + k) * inner;
        long i = 0;
        if (!FITS(at, n)) {
            for (; i < inner; i++)
                to[i] = 0;
            continue;
        }
        global const ELEMENT *from = x + x_at + (o * n + WRAPPED(at, n)) * inner;
        for (; i + 16 <= inner; i += 16)
            vstore16(vload16(0, from + i), 0, to + i);
        for (; i < inner; i++)
            to[i] = from[i];
    }
}

// out[o, k, i] = x[o, index[o, k, i], i]. Global size (inner, k, outer), or (k, outer) with LAST.
kernel void gather(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                   global ELEMENT *out, long n, long inner, long count, FAULTS)
{
#ifdef LAST
    const long i = 0, k = get_global_id(0), o = get_global_id(1);
    if (k >= count) return;
#else
    const long i = get_global_id(0), k = get_global_id(1), o = get_global_id(2);
    if (i >= inner) return;
#endif
    const long from = (o * count + k) * inner + i, at = index[index_at + from];
    out[from] = FITS(at, n) ? x[x_at + (o * n + WRAPPED(at, n)) * inner + i] : 0;
}

// The same for inner = 1 on CPUs, where a work-item takes `block` elements of `rows` rows.
// Global size (blocks, outer / rows, rounded up).
kernel void gather_blocks(global const ELEMENT *x, long x_at, global const long *index, long index_at,
                          global ELEMENT *out, long n, long count, long block, long outer, long rows, FAULTS)
{
    const long first = get_global_id(0) * block, size = min(block, count - first), from = get_global_id(1) * rows;
    for (long o = from; o < min(from + rows, outer); o++) {
        global const ELEMENT *row = x + x_at + o * n;
        global const long *at = index + index_at + o * count + first;
        global ELEMENT *to = out + o * count + first;
        // First all are checked, so that either loop is simple enough to be vectorized.
        ulong wrong = 0;
        for (long k = 0; k < size; k++)      // the highest bit is set where a difference is negative
            wrong |= ((ulong)at[k] - (ulong)low) | ((ulong)(n - 1) - (ulong)at[k]);
        if (wrong >> 63) {
            for (long k = 0; k < size; k++)
                to[k] = FITS(at[k], n) ? row[WRAPPED(at[k], n)] : 0;
            continue;
        }
        for (long k = 0; k < size; k++)
            to[k] = row[WRAPPED(at[k], n)];
    }
}

// out[o, index[o, k, i], i] = value[o, k, i], for indices of which no two in a column are equal, in [0, n).
// Global size (inner, k, outer), or (k, outer) with LAST.
kernel void put_elements(global const ELEMENT *value, long value_at, global const long *index, long index_at,
                         global ELEMENT *out, long n, long inner, long count)
{
#ifdef LAST
    const long i = 0, k = get_global_id(0), o = get_global_id(1);
    if (k >= count) return;
#else
    const long i = get_global_id(0), k = get_global_id(1), o = get_global_id(2);
    if (i >= inner) return;
#endif
    const long from = (o * count + k) * inner + i;
    out[(o * n + index[index_at + from]) * inner + i] = value[value_at + from];
}

// out[o, index[..k..], i] = join of itself and value[o, k, i], for k from first to last - 1 in order. The index and the
// value have a stride for each of (outer, k, inner), which may be 0. One work-item a column (o, i).
// Global size (inner, outer), or (outer) with LAST.
kernel void scatter_columns(global const STORAGE(IN) *value, long value_at, long value_outer, long value_step,
                            long value_inner, global const long *index, long index_at, long index_outer,
                            long index_step, long index_inner, global STORAGE(OUT) *out, long out_at, long n,
                            long inner, long outer, long first, long last, FAULTS)
{
#ifdef LAST
    const long i = 0, o = get_global_id(0);
    if (o >= outer) return;
#else
    const long i = get_global_id(0), o = get_global_id(1);
    if (i >= inner) return;
#endif
    value += value_at + o * value_outer + i * value_inner;
    index += index_at + o * index_outer + i * index_inner;
    out += out_at + o * n * inner + i;
    for (long k = first; k < last; k++) {
        const long at = index[k * index_step], to = WRAPPED(at, n) * inner;
        if (!FITS(at, n))
            continue;
        const ACC x = (ACC)LOAD1(IN, value, k * value_step);
        const ACC a = (ACC)LOAD1(OUT, out, to);
        STORE1(OUT, out, to, JOINED(a, x));
    }
}

// out[o, index[k], i] += value[o, k, i] for whole rows of floats, for CPUs: a work-item takes `tile` columns of each row,
// so that it reads and writes long pieces. `value` is row by row without gaps. Global size (inner / tile, rounded up,
// outer).
#if WIDTH > 1
kernel void add_tiles(global const STORAGE(IN) *value, long value_at, global const long *index, long index_at,
                      global STORAGE(OUT) *out, long out_at, long n, long inner, long count, long tile, FAULTS)
{
    const long column = get_global_id(0) * tile, columns = min(tile, inner - column), o = get_global_id(1);
    for (long k = 0; k < count; k++) {
        const long at = index[index_at + k];
        if (!FITS(at, n))
            continue;
        global const STORAGE(IN) *from = value + value_at + (o * count + k) * inner + column;
        global STORAGE(OUT) *to = out + out_at + (o * n + WRAPPED(at, n)) * inner + column;
        long i = 0;
        for (; i + WIDTH <= columns; i += WIDTH)
            STORE(OUT, to + i, 0, LOAD(OUT, to + i, 0) + LOAD(IN, from + i, 0));
        for (; i < columns; i++)
            STORE1(OUT, to, i, (ACC)LOAD1(OUT, to, i) + (ACC)LOAD1(IN, from, i));
    }
}
#endif

// Places in the array seen as flat: (o * n + index[o, k, i]) * inner + i; `size`, that of the whole array, where the
// index is out of range or `left_out`. Global size: outer * count * inner.
kernel void places(global const long *index, long index_at, global long *out, long n, long inner, long count,
                   long total, long size, long left_out, FAULTS)
{
    const long at = get_global_id(0);
    if (at >= total) return;
    const long x = index[index_at + at];
    out[at] = FITS(x, n) && x != left_out ? (at / (count * inner) * n + WRAPPED(x, n)) * inner + at % inner : size;
}

// Up to four index arrays of neighbouring dimensions, of sizes n, of which INDICES count. An index LONG_MIN is what an
// earlier joining found out of range, and has reported.
typedef struct {
    long at[4], n[4];
    long count;
} joined_t;

#define INDEX_ARRAYS global const long *i0, global const long *i1, global const long *i2, global const long *i3, joined_t s

static long joined_index(INDEX_ARRAYS, long k, FAULTS)
{
    const long at[4] = {i0[s.at[0] + k], INDICES > 1 ? i1[s.at[1] + k] : 0, INDICES > 2 ? i2[s.at[2] + k] : 0,
                        INDICES > 3 ? i3[s.at[3] + k] : 0};
    long place = 0;
    int fit = 1;
    UNROLL for (int d = 0; d < INDICES; d++) {
        const long n = s.n[d];
        fit &= at[d] != LONG_MIN && fits(at[d], low ? -n : 0, n, faults, operation);
        place = place * n + WRAPPED(at[d], n);
    }
    return fit ? place : LONG_MIN;
}

// Indices of neighbouring dimensions joined to one of their product, in [0, n0 n1 ...). What is out of range in any
// dimension becomes LONG_MIN, which is so too. Global size: count.
kernel void join_indices(INDEX_ARRAYS, global long *out, FAULTS)
{
    const long k = get_global_id(0);
    if (k < s.count)
        out[k] = joined_index(i0, i1, i2, i3, s, k, faults, operation, low);
}

// The elements that they point to, and, with `keep`, where these are, as join_indices has it. Global size: count.
kernel void select_joined(INDEX_ARRAYS, global const ELEMENT *x, long x_at, global ELEMENT *out, global long *places,
                          int keep, FAULTS)
{
    const long k = get_global_id(0);
    if (k >= s.count) return;
    const long place = joined_index(i0, i1, i2, i3, s, k, faults, operation, low);
    if (keep)
        places[k] = place;
    out[k] = place >= 0 ? x[x_at + place] : 0;
}

// Of sorted places `key`, where n is no place: the position at which each one's first stands, and the place itself
// where it is the first. For what is no place, `count` and n; for what is not the first, n. Global size: count.
kernel void first_of_each(global const long *key, global long *first, global long *place, long n, long count)
{
    const long k = get_global_id(0);
    if (k >= count) return;
    const long now = key[k];
    long low = 0, high = k;                       // the first place that is not below `now` lies within these
    while (low < high) {
        const long middle = (low + high) / 2;
        if (key[middle] < now) low = middle + 1;
        else high = middle;
    }
    first[k] = now < n ? low : count;
    place[k] = now < n && low == k ? now : n;
}

// Sorted places `key` in blocks of `block`, each with the position in `order` of its value; n is no place. Places that
// lie wholly in a block are finished here; what a block has of a place that reaches over its start or its end goes to
// `partial`, seen as (outer, blocks, 2, inner). Global size (inner, blocks, outer).
kernel void segment_blocks(global const STORAGE(IN) *value, long value_at, long value_outer, long value_step,
                           long value_inner, global const long *key, global const long *order,
                           global STORAGE(OUT) *out, long out_at, global ACC *partial,
                           long n, long inner, long count, long block)
{
    const long i = get_global_id(0), b = get_global_id(1), o = get_global_id(2);
    if (i >= inner) return;
    const long first = b * block, last = min(first + block, count);
    value += value_at + o * value_outer + i * value_inner;
    out += out_at + o * n * inner + i;
    partial += (o * get_global_size(1) + b) * 2 * inner + i;
    long now = key[first];
    int reaches_back = first > 0 && key[first - 1] == now;
    ACC a = (ACC)LOAD1(IN, value, order[first] * value_step);
    for (long k = first + 1; k < last; k++) {
        const ACC x = (ACC)LOAD1(IN, value, order[k] * value_step);
        if (key[k] == now) {
            a = JOINED(a, x);
            continue;
        }
        if (reaches_back) {
            partial[0] = a;
        } else {
            const ACC held = (ACC)LOAD1(OUT, out, now * inner);
            STORE1(OUT, out, now * inner, JOINED(held, a));
        }
        reaches_back = 0;
        now = key[k];
        a = x;
    }
    if (reaches_back) {
        partial[0] = a;
    } else if (last < count && key[last] == now) {
        partial[inner] = a;
    } else if (now < n) {
        const ACC held = (ACC)LOAD1(OUT, out, now * inner);
        STORE1(OUT, out, now * inner, JOINED(held, a));
    }
}

// Finishes the places that begin in one block and end in a later one. Global size (inner, blocks, outer).
kernel void segment_join(global const long *key, global STORAGE(OUT) *out, long out_at, global const ACC *partial,
                         long n, long inner, long count, long block)
{
    const long i = get_global_id(0), o = get_global_id(2), blocks = get_global_size(1);
    if (i >= inner) return;
    long b = get_global_id(1);
    const long first = b * block;
    long last = min(first + block, count);
    const long now = key[last - 1];
    if (now >= n || last == count || key[last] != now || (first > 0 && key[first - 1] == now)) return;
    partial += o * blocks * 2 * inner + i;
    ACC a = partial[(2 * b + 1) * inner];
    while (last < count && key[last] == now) {
        b++;
        last = min(last + block, count);
        const ACC x = partial[2 * b * inner];
        a = JOINED(a, x);
    }
    const long to = out_at + (o * n + now) * inner + i;
    const ACC held = (ACC)LOAD1(OUT, out, to);
    STORE1(OUT, out, to, JOINED(held, a));
}
