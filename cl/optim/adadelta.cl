// Adadelta (Zeiler 2012, Algorithm 1); arXiv:1212.5701. lr is PyTorch's; the paper's step has none, which is lr = 1.
#define WEIGHT_DECAY L2

void adadelta(real *param, real grad, real *square_avg, real *acc_delta,
              float lr, float rho, float one_minus_rho, float eps)
{
    *square_avg = rho * *square_avg + one_minus_rho * grad * grad;                     // E[g^2]_t
    const real delta = sqrt(*acc_delta + eps) / sqrt(*square_avg + eps) * grad;        // RMS[dx]_(t-1) / RMS[g]_t g_t
    *acc_delta = rho * *acc_delta + one_minus_rho * delta * delta;                     // E[dx^2]_t
    *param -= lr * delta;
}
