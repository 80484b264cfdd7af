// Averaged SGD (Polyak & Juditsky 1992), with the learning rate of Bottou's SGD programs, as in PyTorch. What follows
// from the steps before comes from the host:
//     lr     eta_t, that of this step
//     decay  lambd eta_t
//     share  mu_t, the share of the new parameter in the average: 1, and from step t0 + 3 on 1/2, 1/3, ...
#define WEIGHT_DECAY L2

void asgd(real *param, real grad, real *ax, float lr, float decay, float share)
{
    *param -= decay * *param + lr * grad;
    *ax = share == 1 ? *param : *ax + share * (*param - *ax);
}
