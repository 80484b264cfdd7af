// Interpolation: images of another size, and the gradient of that.
//
// x (planes, height, width) -> y (planes, rows, columns), contiguous; planes are images and channels. An element of y is
// a sum over some rows of x, each with a weight, of the same over some columns. The host (genesis/ops/resize.py) says
// which, whatever the mode; the gradient is such a sum too, of the rows and columns that an element had a part in.
//
//   index    where the entries of each row of y start, and after the last; the same of each column; then the rows of x
//            in the order of these entries; then the columns
//   weight   the weights of the rows' entries; then those of the columns'
#include "types.h"

#ifndef TYPE
#define TYPE float32     // storage type of x and y
#endif
// -D TAPS_H, -D TAPS_W: each row has so many entries, each column so many. Undefined: any number.

typedef STORAGE(TYPE) element;

typedef struct {
    int height, width, rows, columns;
    int row_entries, column_entries;         // of all rows, of all columns
} resize_t;

// Global size (columns, rows, planes).
kernel void resize(global const element *x, long x_at, global const int *index, global const SCALAR *weight,
                   global element *y, resize_t s)
{
    const int c = get_global_id(0), r = get_global_id(1);
    const long plane = get_global_id(2);
    x += x_at + plane * s.height * s.width;
    global const int *starts_w = index + s.rows + 1;
    global const int *row = starts_w + s.columns + 1, *column = row + s.row_entries;
#ifdef TAPS_H
    const int first_h = r * TAPS_H, first_w = c * TAPS_W, taps_h = TAPS_H, taps_w = TAPS_W;
#else
    const int first_h = index[r], first_w = starts_w[c];
    const int taps_h = index[r + 1] - first_h, taps_w = starts_w[c + 1] - first_w;
#endif
    SCALAR sum = 0;
    for (int i = 0; i < taps_h; i++) {
        global const element *line = x + (long)row[first_h + i] * s.width;
        SCALAR across = 0;
        for (int j = 0; j < taps_w; j++)
            across += weight[s.row_entries + first_w + j] * LOAD1(TYPE, line, column[first_w + j]);
        sum += weight[first_h + i] * across;
    }
    STORE1(TYPE, y, plane * s.rows * s.columns + (long)r * s.columns + c, sum);
}
