// RAdam (Liu et al. 2020, Algorithm 2); arXiv:1908.03265
// What depends on the step alone comes from the host: `rectified` is 1 when the step counts enough squares for their
// average to be trusted, and 0 before, where the step is that of momentum; r_t is the rectification.
//     step_size = lr / (1 - beta1^t), and when rectified, times r_t sqrt(1 - beta2^t)
#define WEIGHT_DECAY L2

void radam(real *param, real grad, real *exp_avg, real *exp_avg_sq,
           float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps,
           float step_size, float rectified)
{
    *exp_avg    = beta1 * *exp_avg    + one_minus_beta1 * grad;                    // m_t
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;             // v_t
    *param -= step_size * *exp_avg / (rectified != 0 ? sqrt(*exp_avg_sq) + eps : (real)1);
}
