// Loss scaling: multiplying gradients by the inverse of the scale, and adapting the scale, both on the device.
//
// unscale        grads *= factor, before a user looks at them; a step that comes right after backward does it itself
// update_scale   backs off after gradients that were not finite, grows after many steps without (arXiv:1710.03740, 3.2)
//
// loss_scale: [0] the scale, [1] steps since it last changed, [2] 1 if gradients were not all finite since the last
// update. finish_norm in grad_norm.cl sets [2].
// Defined by the host (genesis/ops/loss_scale.py): GRAD (storage type), CHUNK.
#include "types.h"

#ifndef GRAD
#define GRAD float32
#endif
#ifndef CHUNK
#define CHUNK 1024
#endif

// Global size: elements, rounded up. Chunks whose row is -1 do not take part; without rows use_rows is 0.
kernel void unscale(global STORAGE(GRAD) *grads, long at, long length, global const int *row_of_chunk, int use_rows,
                    global const float *factor)
{
    const long i = get_global_id(0);
    if (i >= length || (use_rows && row_of_chunk[i / CHUNK] < 0)) return;
    STORE1(GRAD, grads, at + i, factor[0] * LOAD1(GRAD, grads, at + i));
}

// One work-item.
kernel void update_scale(global float *loss_scale, float growth_factor, float backoff_factor, float growth_interval)
{
    float scale = loss_scale[0], steps = loss_scale[1] + 1;
    if (loss_scale[2] != 0) {
        scale *= backoff_factor;
        steps = 0;
    } else if (steps >= growth_interval) {
        const float larger = scale * growth_factor;
        if (isfinite(larger))
            scale = larger;
        steps = 0;
    }
    loss_scale[0] = scale;
    loss_scale[1] = steps;
    loss_scale[2] = 0;
}
