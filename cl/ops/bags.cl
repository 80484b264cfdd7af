// Sums or means of the rows of a table that bags of indices name (genesis/ops/bags.py).
//
// table (rows, width) -> out (bags, width). The indices of a bag stand one after the other; `each` says how many a bag
// has, or is -1 where `offsets` say where bags begin, of which there are `ends`: one a bag, or one more, the last one's
// end. An index out of range (faults.h) counts as a row of zeros, the index `padding` for nothing.
//
// Defined by the host:
//   TYPE      storage type of the table and the result
//   WIDTH     columns of a work-item
//   MEAN      divide by the number of indices, which `counts` gets
#include "types.h"
#include "faults.h"

#ifndef TYPE
#define TYPE float32
#endif

// Global size (width / WIDTH, bags).
VECTOR_KERNEL sum_bags(global const STORAGE(TYPE) *table, long table_at, global const long *index, long index_at,
                       global const long *offsets, long offsets_at, global STORAGE(TYPE) *out, global SCALAR *counts,
                       long rows, long width, long each, long ends, long total, long padding, FAULTS)
{
    const long column = get_global_id(0) * WIDTH, b = get_global_id(1);
    long first = b * each, last = first + each;
    if (each < 0) {
        first = offsets[offsets_at + b];
        last = b + 1 < ends ? min(offsets[offsets_at + b + 1], total) : total;
        if (b == 0 && first != 0)
            report_fault(first, 1, faults, operation);
        first = max(first, 0L);
    }
    real sum = 0;
    long count = 0;
    for (long k = first; k < last; k++) {
        const long at = index[index_at + k];
        if (at == padding)
            continue;
        count++;
        if (FITS(at, rows))
            sum += LOAD(TYPE, table + table_at + at * width + column, 0);
    }
#ifdef MEAN
    const SCALAR share = max(count, 1L);
    sum /= share;
    if (column == 0)
        counts[b] = share;
#endif
    STORE(TYPE, out + b * width + column, 0, sum);
}
