// SparseAdam: Adam (Kingma & Ba 2015, Algorithm 1; arXiv:1412.6980) for gradients that have some rows of a table alone.
// The host calls it for those rows (BY_ROWS in update.h): the averages of the others stand still, as in PyTorch, and
// eps is added before the bias of v_t is corrected:
//     step_size = lr * sqrt(1 - beta2^t) / (1 - beta1^t)
void sparseadam(real *param, real grad, real *exp_avg, real *exp_avg_sq,
                float beta1, float one_minus_beta1, float beta2, float one_minus_beta2, float eps, float step_size)
{
    *exp_avg    = beta1 * *exp_avg    + one_minus_beta1 * grad;                    // m_t
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * grad * grad;             // v_t
    *param -= step_size * *exp_avg / (sqrt(*exp_avg_sq) + eps);
}
