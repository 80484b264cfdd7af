// RMSprop (Tieleman & Hinton 2012, Lecture 6.5 of "Neural Networks for Machine Learning"); centered: Graves 2013,
// arXiv:1308.0850, equations 38 to 41. As in PyTorch, eps stands outside the root.
#define WEIGHT_DECAY L2

void rmsprop(real *param, real grad, real *square_avg, float lr, float alpha, float one_minus_alpha, float eps)
{
    *square_avg = alpha * *square_avg + one_minus_alpha * grad * grad;                 // v_t
    *param -= lr * grad / (sqrt(*square_avg) + eps);
}

void rmsprop_momentum(real *param, real grad, real *square_avg, real *momentum_buffer,
                      float lr, float alpha, float one_minus_alpha, float eps, float momentum)
{
    *square_avg = alpha * *square_avg + one_minus_alpha * grad * grad;
    *momentum_buffer = momentum * *momentum_buffer + grad / (sqrt(*square_avg) + eps);
    *param -= lr * *momentum_buffer;
}

void rmsprop_centered(real *param, real grad, real *square_avg, real *grad_avg,
                      float lr, float alpha, float one_minus_alpha, float eps)
{
    *square_avg = alpha * *square_avg + one_minus_alpha * grad * grad;
    *grad_avg   = alpha * *grad_avg   + one_minus_alpha * grad;                     // the mean, for the variance
    *param -= lr * grad / (sqrt(fmax(*square_avg - *grad_avg * *grad_avg, (real)0)) + eps);
}

void rmsprop_centered_momentum(real *param, real grad, real *square_avg, real *grad_avg, real *momentum_buffer,
                               float lr, float alpha, float one_minus_alpha, float eps, float momentum)
{
    *square_avg = alpha * *square_avg + one_minus_alpha * grad * grad;
    *grad_avg   = alpha * *grad_avg   + one_minus_alpha * grad;                     // the mean, for the variance
    *momentum_buffer = momentum * *momentum_buffer + grad / (sqrt(fmax(*square_avg - *grad_avg * *grad_avg, (real)0)) + eps);
    *param -= lr * *momentum_buffer;
}
