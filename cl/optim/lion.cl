// Lion (Chen et al. 2023, Algorithm 2); arXiv:2302.06675
#define WEIGHT_DECAY DECOUPLED

void lion(real *param, real grad, real *exp_avg,
          float lr, float beta1, float beta2, float one_minus_beta1, float one_minus_beta2)
{
    *param -= lr * sign(beta1 * *exp_avg + one_minus_beta1 * grad);                // every element moves by lr
    *exp_avg = beta2 * *exp_avg + one_minus_beta2 * grad;                          // m_t
}
