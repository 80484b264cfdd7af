// Images with some of their own elements around them, or with a number, and the gradient of that (genesis/ops/pad.py).
//
// x (outer, n2, n1, n0, inner) -> y (outer, m2, m1, m0, inner). Of each of the three dimensions the host says its sizes
// n and m, and where the first element of x lies in y, which is negative where y begins later. For CPUs, whose work-items
// copy whole rows, inner is 1.
//
// Defined by the host:
//   MODE      0: the elements in reverse order without the outermost (reflect), 1: the outermost element (replicate),
//             2: the elements of the other end (circular), 3: `fill` (constant)
//   ELEMENT   any C type of the element's size, where elements are copied as they are
//   TYPE      storage type of a gradient
//   LAST      inner is 1
//   WIDTH     elements that gather_rows adds at once
#include "types.h"

#ifndef MODE
#define MODE 0
#endif
#ifndef ELEMENT
#define ELEMENT float
#endif
#ifndef TYPE
#define TYPE float32
#endif

typedef struct {
    long n[3], m[3], before[3];
    long inner, rows, each;              // rows in all, and of a CPU's work-item
} pad_t;

#ifdef LAST
#define INNER 1L
#else
#define INNER s.inner
#endif

// The element of x that stands at a place of y; -1 where none does.
static long source(long at, int d, const pad_t *s)
{
    const long n = s->n[d], i = at - s->before[d];
#if MODE == 0
    return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i;
#elif MODE == 1
    return clamp(i, 0L, n - 1);
#elif MODE == 3
    return i < n ? max(i, -1L) : -1;
#else
    return i < 0 ? i + n : i < n ? i : i - n;
#endif
}

// Where element i of x stands in y: in turn its own place, those before it and those after it, from `first` up to `last`.
static void places(long i, int turn, int d, const pad_t *s, long *first, long *last)
{
    const long n = s->n[d], m = s->m[d], before = s->before[d];
    long at = i + before;
    *last = at + 1;
#if MODE == 0
    if (turn) {
        at = turn == 1 ? before - i : before + 2 * (n - 1) - i;
        *last = (turn == 1 ? i > 0 : i < n - 1) ? at + 1 : at;
    }
#elif MODE == 1
    if (turn == 1) {
        at = 0;
        *last = i == 0 ? before : 0;
    } else if (turn == 2) {
        at = before + n;
        *last = i == n - 1 ? m : at;
    }
#else
    if (turn) {
        at = turn == 1 ? at - n : at + n;
        *last = at + 1;
    }
#endif
    *first = max(at, 0L);
    *last = min(*last, m);
}

// Global size (m0 * inner, m1, m2 * outer), the first rounded up to whole work-groups.
kernel void pad_elements(global const ELEMENT *x, long x_at, global ELEMENT *y, pad_t s, ELEMENT fill)
{
    const long across = get_global_id(0), b = get_global_id(1), c = get_global_id(2) % s.m[2];
    if (across >= s.m[0] * INNER) return;
    const long i0 = source(across / INNER, 0, &s), i1 = source(b, 1, &s), i2 = source(c, 2, &s);
    const long from = (get_global_id(2) / s.m[2] * s.n[2] + i2) * s.n[1] + i1;
    y[(get_global_id(2) * s.m[1] + b) * s.m[0] * INNER + across] =
        (i0 | i1 | i2) < 0 ? fill : x[x_at + (from * s.n[0] + i0) * INNER + across % INNER];
}

// Global size (rows / each, rounded up).
kernel void pad_rows(global const ELEMENT *x, long x_at, global ELEMENT *y, pad_t s, ELEMENT fill)
{
    const long begin = get_global_id(0) * s.each, end = min(begin + s.each, s.rows);
    const long own = clamp(s.before[0], 0L, s.m[0]), rest = clamp(s.before[0] + s.n[0], own, s.m[0]);
    for (long r = begin; r < end; r++) {
        const long b = r % s.m[1], c = r / s.m[1] % s.m[2], o = r / s.m[1] / s.m[2];
        const long i1 = source(b, 1, &s), i2 = source(c, 2, &s);
        global const ELEMENT *from = x + x_at + ((o * s.n[2] + i2) * s.n[1] + i1) * s.n[0];
        global ELEMENT *to = y + r * s.m[0];
#if MODE == 3
        const int none = (i1 | i2) < 0;
        for (long a = 0; a < (none ? s.m[0] : own); a++)
            to[a] = fill;
        if (none)
            continue;
        for (long a = rest; a < s.m[0]; a++)
            to[a] = fill;
#else
        for (long a = 0; a < own; a++)
            to[a] = from[source(a, 0, &s)];
        for (long a = rest; a < s.m[0]; a++)
            to[a] = from[source(a, 0, &s)];
#endif
        long middle = own;
        for (; middle + 16 <= rest; middle += 16)
            vstore16(vload16(0, from + middle - s.before[0]), 0, to + middle);
        for (; middle < rest; middle++)
            to[middle] = from[middle - s.before[0]];
    }
}

// The gradient g of y -> that of x. Global size (n0 * inner, n1, n2 * outer), the first rounded up to whole work-groups.
kernel void gather_elements(global const STORAGE(TYPE) *g, long g_at, global STORAGE(TYPE) *out, pad_t s)
{
    const long across = get_global_id(0), a = across / INNER, b = get_global_id(1), c = get_global_id(2) % s.n[2];
    if (across >= s.n[0] * INNER) return;
    g += g_at + get_global_id(2) / s.n[2] * s.m[2] * s.m[1] * s.m[0] * INNER + across % INNER;
    SCALAR sum = 0;
    for (int turn = 0; turn < 9; turn++) {
        long first1, last1, first2, last2;
        places(b, turn % 3, 1, &s, &first1, &last1);
        places(c, turn / 3, 2, &s, &first2, &last2);
        for (long k = first2; k < last2; k++)
            for (long j = first1; j < last1; j++)
                for (int side = 0; side < 3; side++) {
                    long first, last;
                    places(a, side, 0, &s, &first, &last);
                    for (long i = first; i < last; i++)
                        sum += LOAD1(TYPE, g, ((k * s.m[1] + j) * s.m[0] + i) * INNER);
                }
    }
    STORE1(TYPE, out, (get_global_id(2) * s.n[1] + b) * s.n[0] * INNER + across, sum);
}

// The same for types that are not rounded where they are stored. Global size (rows / each, rounded up).
kernel void gather_rows(global const STORAGE(TYPE) *g, long g_at, global STORAGE(TYPE) *out, pad_t s)
{
    const long begin = get_global_id(0) * s.each, end = min(begin + s.each, s.rows);
    const long own = clamp(s.before[0], 0L, s.m[0]), rest = clamp(s.before[0] + s.n[0], own, s.m[0]);
    for (long r = begin; r < end; r++) {
        const long b = r % s.n[1], c = r / s.n[1] % s.n[2], o = r / s.n[1] / s.n[2];
        global STORAGE(TYPE) *to = out + r * s.n[0];
        long i = 0;
        for (; i + WIDTH <= s.n[0]; i += WIDTH)
            STORE(TYPE, to + i, 0, (real)0);
        for (; i < s.n[0]; i++)
            STORE1(TYPE, to, i, 0);
        for (int turn = 0; turn < 9; turn++) {
            long first1, last1, first2, last2;
            places(b, turn % 3, 1, &s, &first1, &last1);
            places(c, turn / 3, 2, &s, &first2, &last2);
            for (long k = first2; k < last2; k++)
                for (long j = first1; j < last1; j++) {
                    global const STORAGE(TYPE) *from = g + g_at + ((o * s.m[2] + k) * s.m[1] + j) * s.m[0];
                    global STORAGE(TYPE) *middle = to - s.before[0];
                    long a = own;
                    for (; a + WIDTH <= rest; a += WIDTH)
                        STORE(TYPE, middle + a, 0, LOAD(TYPE, middle + a, 0) + LOAD(TYPE, from + a, 0));
                    for (; a < rest; a++)
                        STORE1(TYPE, middle, a, LOAD1(TYPE, middle, a) + LOAD1(TYPE, from, a));
                    for (a = 0; a < own; a++)
                        STORE1(TYPE, to, source(a, 0, &s), LOAD1(TYPE, to, source(a, 0, &s)) + LOAD1(TYPE, from, a));
                    for (a = rest; a < s.m[0]; a++)
                        STORE1(TYPE, to, source(a, 0, &s), LOAD1(TYPE, to, source(a, 0, &s)) + LOAD1(TYPE, from, a));
                }
        }
    }
}
