// Stochastic gradient descent (Robbins & Monro 1951), with momentum (Polyak 1964; Sutskever et al. 2013).
// `dampening` is 0 in a parameter's first step, whose momentum buffer is 0: the buffer then becomes the gradient.
#define WEIGHT_DECAY L2

void sgd(real *param, real grad, float lr)
{
    *param -= lr * grad;
}

void sgd_momentum(real *param, real grad, real *momentum_buffer, float lr, float momentum, float dampening)
{
    *momentum_buffer = momentum * *momentum_buffer + (1 - dampening) * grad;       // b_t
    *param -= lr * *momentum_buffer;
}

void sgd_nesterov(real *param, real grad, real *momentum_buffer, float lr, float momentum, float dampening)
{
    *momentum_buffer = momentum * *momentum_buffer + (1 - dampening) * grad;       // b_t
    *param -= lr * (grad + momentum * *momentum_buffer);                           // look ahead along b_t
}
