// Numbers at equal distances, which whole numbers say (genesis/ops/sequence.py).
//
// Defined by the host:
//   OUT       storage type; integers wrap around
#include "types.h"

#ifndef OUT
#define OUT int64
#endif

// Global size: n, rounded up to whole work-groups.
kernel void sequence(global STORAGE(OUT) *out, long start, long step, long n)
{
    const long i = get_global_id(0);
    if (i < n)
        STORE1(OUT, out, i, start + i * step);
}
