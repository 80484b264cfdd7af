// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pairs of elements of a row turned by angles that grow
// with the row's position. The transposed rotation, by the negative angles, is the gradient's.
//
//   x, out (batch, heads, rows, size), any strides but that out's last dimension lies without gaps
//   angles (positions, 2, pairs): cosines, then sines
//
// Pair i is elements i and i + pairs, or 2 i and 2 i + 1 if INTERLEAVED; elements from 2 pairs on are copied.
// Global size (size - pairs, rows, batch heads): an item a pair, then one an element that is copied.
#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef INTERLEAVED
#define INTERLEAVED 0
#endif

typedef struct {
    long heads, pairs, first;                                 // first: position of row 0
    long x_batch, x_head, x_row, x_element, out_batch, out_head, out_row;
} layout_t;

kernel void rotate_pairs(global const STORAGE(TYPE) *x, long x_at, global STORAGE(TYPE) *out, long out_at,
                         global const SCALAR *angles, global const long *positions, long positions_at, int listed,
                         SCALAR sign, layout_t l)
{
    const long i = get_global_id(0), row = get_global_id(1), batch = get_global_id(2) / l.heads;
    const long head = get_global_id(2) % l.heads;
    x_at += batch * l.x_batch + head * l.x_head + row * l.x_row;
    out_at += batch * l.out_batch + head * l.out_head + row * l.out_row;
    if (i >= l.pairs) {
        STORE1(TYPE, out, out_at + l.pairs + i, LOAD1(TYPE, x, x_at + (l.pairs + i) * l.x_element));
        return;
    }
    const long position = listed ? positions[positions_at + row] : l.first + row;
    const SCALAR c = angles[position * 2 * l.pairs + i], s = sign * angles[(position * 2 + 1) * l.pairs + i];
    const long p = INTERLEAVED ? 2 * i : i, q = INTERLEAVED ? 2 * i + 1 : i + l.pairs;
    const SCALAR a = LOAD1(TYPE, x, x_at + p * l.x_element), b = LOAD1(TYPE, x, x_at + q * l.x_element);
    STORE1(TYPE, out, out_at + p, a * c - b * s);
    STORE1(TYPE, out, out_at + q, b * c + a * s);
}
