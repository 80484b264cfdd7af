// AdamW (Loshchilov & Hutter 2019, Algorithm 2); arXiv:1711.05101
// The weight decay is DECOUPLED: beside the step, param -= lr * weight_decay * param, not inside the gradient.
#define WEIGHT_DECAY DECOUPLED
#include "adam.cl"               // the moments and the step are Adam's
