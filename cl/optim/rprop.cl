// Rprop (Riedmiller & Braun 1993), in the form "without weight-backtracking" (iRprop-, Igel & Huesken 2000) that
// PyTorch has too. Only the gradient's sign counts. `first` is 1 in a parameter's first step, whose size is lr.

void rprop(real *param, real grad, real *prev, real *step_size,
           float first, float lr, float eta_minus, float eta_plus, float size_min, float size_max)
{
    const real trend = sign(grad) * sign(*prev);               // 1: as before, -1: the sign has changed, 0: one is 0
    const real factor = fmax(trend, 0) * eta_plus + fmax(-trend, 0) * eta_minus + (1 - fabs(trend));
    *step_size = fmin(fmax((first != 0 ? (real)lr : *step_size) * factor, (real)size_min), (real)size_max);
    *prev = trend < 0 ? (real)0 : grad;                        // a step beyond a minimum is not held against the next
    *param -= *step_size * sign(*prev);
}
