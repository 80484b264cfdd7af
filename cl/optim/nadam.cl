// NAdam (Dozat 2016, Algorithm 2, and its schedule of momenta), "Incorporating Nesterov Momentum into Adam".
// What depends on the step alone comes from the host, where mu_t is the momentum of step t and M_t = mu_1 mu_2 ... mu_t:
//     grad_size = lr (1 - mu_t) / (1 - M_t)            the gradient's share of the step
//     avg_size  = lr mu_(t+1) / (1 - M_(t+1))          that of m_t, taken with the momentum of the next step
//     v_scale   = 1 / sqrt(1 - beta2^t)                corrects the bias of v_t
#define WEIGHT_DECAY L2

void nadam(real *param, real grad, real *exp_avg, real *exp_avg_sq,
           float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps,
           float grad_size, float avg_size, float v_scale)
{
    *exp_avg    = beta1 * *exp_avg    + one_minus_beta1 * grad;                    // m_t
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;             // v_t
    *param -= (grad_size * grad + avg_size * *exp_avg) / (v_scale * sqrt(*exp_avg_sq) + eps);
}
