// The scalars of this step for kernels of an optimizer's own, as update.h chooses them for a rule.
//
// Global size: ROW + 2. chosen: a row as update.h describes it; then the gradients' factor, and 1 to skip the step.
// Defined by the host (genesis/optim/launch.py): ROW, and with CONTROL CANDIDATES, as for update.h.
#include "types.h"

#ifndef ROW
#define ROW 4
#endif

kernel void choose(global const SCALAR *rows, global SCALAR *chosen
#ifdef CONTROL
                   , global const float *control, float skips_known
#endif
                   )
{
    const int i = get_global_id(0);
#ifdef CONTROL
    const int skipped = min((int)(control[2] - skips_known), CANDIDATES - 1);
    chosen[i] = i < ROW ? rows[skipped * ROW + i] : (SCALAR)control[i - ROW];
#else
    chosen[i] = i < ROW ? rows[i] : (SCALAR)(i == ROW);
#endif
}
