// Adam (Kingma & Ba 2015, Algorithm 1); arXiv:1412.6980. AMSGrad (Reddi et al. 2018, Algorithm 2); arXiv:1904.09237
// What depends on the step alone comes from the host, worked out in float64 and rounded once (1 - 0.999f differs from
// 0.001 by a hundred roundings), and costs no division for each element:
//     step_size = lr / (1 - beta1^t)     corrects the bias of m_t
//     v_scale   = 1 / sqrt(1 - beta2^t)  corrects that of v_t
#ifndef WEIGHT_DECAY
#define WEIGHT_DECAY L2
#endif

void adam(real *param, real grad, real *exp_avg, real *exp_avg_sq,
          float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps,
          float step_size, float v_scale)
{
    *exp_avg    = beta1 * *exp_avg    + one_minus_beta1 * grad;                    // m_t
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;             // v_t
    *param -= step_size * *exp_avg / (v_scale * sqrt(*exp_avg_sq) + eps);
}

void adam_amsgrad(real *param, real grad, real *exp_avg, real *exp_avg_sq, real *max_exp_avg_sq,
                  float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps,
                  float step_size, float v_scale)
{
    *exp_avg        = beta1 * *exp_avg    + one_minus_beta1 * grad;                // m_t
    *exp_avg_sq     = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;         // v_t
    *max_exp_avg_sq = fmax(*max_exp_avg_sq, *exp_avg_sq);                          // the largest v so far
    *param -= step_size * *exp_avg / (v_scale * sqrt(*max_exp_avg_sq) + eps);
}
