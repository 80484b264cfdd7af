// Adam (Kingma & Ba 2015, Algorithm 1); arXiv:1412.6980. AMSGrad (Reddi et al. 2018, Algorithm 2); arXiv:1904.09237
// 1 - beta comes from the host, rounded once: 1 - 0.999f differs from 0.001 by a hundred roundings.
#ifndef WEIGHT_DECAY
#define WEIGHT_DECAY L2
#endif

void adam(real *param, real grad, real *exp_avg, real *exp_avg_sq,
          float lr, float beta1, float beta2, float one_minus_beta1, float one_minus_beta2, float eps,
          float bias_correction1, float bias_correction2)
{
    *exp_avg    = beta1 * *exp_avg    + one_minus_beta1 * grad;                    // m_t
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;             // v_t
    *param -= lr * (*exp_avg / bias_correction1) / (sqrt(*exp_avg_sq / bias_correction2) + eps);
}

void adam_amsgrad(real *param, real grad, real *exp_avg, real *exp_avg_sq, real *max_exp_avg_sq,
                  float lr, float beta1, float beta2, float one_minus_beta1, float one_minus_beta2, float eps,
                  float bias_correction1, float bias_correction2)
{
    *exp_avg        = beta1 * *exp_avg    + one_minus_beta1 * grad;                // m_t
    *exp_avg_sq     = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;         // v_t
    *max_exp_avg_sq = fmax(*max_exp_avg_sq, *exp_avg_sq);                          // the largest v so far
    *param -= lr * (*exp_avg / bias_correction1) / (sqrt(*max_exp_avg_sq / bias_correction2) + eps);
}
