// Muon (Jordan and others 2024, https://kellerjordan.github.io/posts/muon/) with PyTorch's averages and weight decay.
// Two passes: the first leaves the direction of the step, which Newton-Schulz iterations make orthogonal (newton_schulz.cl,
// genesis/ops/newton_schulz.py), and the second takes it. `ahead` is the momentum, with Nesterov's, or else 1.
#define WEIGHT_DECAY DECOUPLED

void muon_momentum(real *param, real grad, real *momentum_buffer, real *direction,
                   float momentum, float one_minus_momentum, float ahead, float one_minus_ahead)
{
    *momentum_buffer = momentum * *momentum_buffer + one_minus_momentum * grad;        // b_t
    *direction = ahead * *momentum_buffer + one_minus_ahead * grad;
}

void muon(real *param, real grad, real *direction, float lr)
{
    *param -= lr * *direction;
}
