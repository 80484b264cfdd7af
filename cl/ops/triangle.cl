// The lower or upper triangle of matrices, 0 elsewhere.
//
// x and out are (batch, rows, columns), contiguous. An element (i, j) is kept where sign * (j - i) <= limit: sign 1 and
// limit k keep what lies on and below diagonal k, sign -1 and limit -k what lies on and above it.
//
// Global size (columns, rounded up; rows of all matrices).
//
// Defined by the host (genesis/ops/triangle.py): ELEMENT, an unsigned type of the elements' size.
#ifndef ELEMENT
#define ELEMENT uint
#endif

kernel void triangle(global const ELEMENT *x, long x_at, global ELEMENT *out, long rows, long columns,
                     long sign, long limit)
{
    const long j = get_global_id(0), i = get_global_id(1) % rows, at = get_global_id(1) * columns + j;
    if (j >= columns) return;
    out[at] = sign * (j - i) <= limit ? x[x_at + at] : 0;
}
