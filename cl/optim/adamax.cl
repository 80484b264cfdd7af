// Adamax (Kingma & Ba 2015, Algorithm 2); arXiv:1412.6980
// step_size = lr / (1 - beta1^t) comes from the host. The maximum has no bias to correct: its start at 0 never wins.
#define WEIGHT_DECAY L2

void adamax(real *param, real grad, real *exp_avg, real *exp_inf,
            float beta1, float one_minus_beta1, float beta2, float eps, float step_size)
{
    *exp_avg = beta1 * *exp_avg + one_minus_beta1 * grad;                          // m_t
    *exp_inf = fmax(beta2 * *exp_inf, fabs(grad) + eps);                           // u_t
    *param -= step_size * *exp_avg / *exp_inf;
}
