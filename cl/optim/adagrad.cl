// Adagrad (Duchi, Hazan & Singer 2011, Figure 1, with diagonal matrices); Journal of Machine Learning Research 12. As in
// PyTorch, eps stands outside the root, and the learning rate can fall: clr = lr / (1 + (t - 1) * lr_decay).
#define WEIGHT_DECAY L2

void adagrad(real *param, real grad, real *sum, float clr, float eps)
{
    *sum += grad * grad;                                       // of all squared gradients so far
    *param -= clr * grad / (sqrt(*sum) + eps);
}
