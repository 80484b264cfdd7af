// Losses of corresponding elements: x is the prediction, t the target, p a parameter. LOSS_name(x, t, p) serves both
// elementwise.cl, one element at a time, and pair_loss.cl, vectors of them: no branches, constants are scalars.
// OP_name_backward(g, x, t, p, scale) is the gradient of x, OP_name_target that of t.

#define LOSS_mse(x, t, p)          (((x) - (t)) * ((x) - (t)))
#define OP_mse_backward(g, x, t, p, scale)       (2 * (scale) * (g) * ((x) - (t)))
#define OP_mse_target(g, x, t, p, scale)         (2 * (scale) * (g) * ((t) - (x)))

#define LOSS_l1(x, t, p)           fabs((x) - (t))
#define OP_l1_backward(g, x, t, p, scale)        ((scale) * (g) * (((x) > (t)) - ((x) < (t))))
#define OP_l1_target(g, x, t, p, scale)          ((scale) * (g) * (((x) < (t)) - ((x) > (t))))

// Quadratic up to p and linear beyond (Huber 1964); smooth_l1 is that over p (Girshick 2015; arXiv:1504.08083).
#define LOSS_huber(x, t, p)        (fabs((x) - (t)) <= (p) ? 0.5f * ((x) - (t)) * ((x) - (t)) \
                                                           : (p) * (fabs((x) - (t)) - 0.5f * (p)))
#define LOSS_smooth_l1(x, t, p)    (fabs((x) - (t)) < (p) ? 0.5f * ((x) - (t)) * ((x) - (t)) / (p) \
                                                          : fabs((x) - (t)) - 0.5f * (p))
#define LIMITED(d, p)              ((d) > (p) ? (p) : (d) < -(p) ? -(p) : (d))
#define OP_huber_backward(g, x, t, p, scale)     ((scale) * (g) * LIMITED((x) - (t), p))
#define OP_huber_target(g, x, t, p, scale)       ((scale) * (g) * LIMITED((t) - (x), p))
#define OP_smooth_l1_backward(g, x, t, p, scale) ((scale) * (g) * LIMITED(((x) - (t)) / (p), 1))
#define OP_smooth_l1_target(g, x, t, p, scale)   ((scale) * (g) * LIMITED(((t) - (x)) / (p), 1))

// Cross-entropy of a probability x and a target t in [0, 1]; logarithms end at -100, so that no infinity appears.
#define AT_LEAST_M100(l)           ((l) < -100 ? -100 : (l))
#define LOSS_bce(x, t, p)          (((t) - 1) * AT_LEAST_M100(log1p(-(x))) - (t) * AT_LEAST_M100(log(x)))
#define OP_bce_backward(g, x, t, p, scale)       ((scale) * (g) * ((x) - (t)) / fmax((1 - (x)) * (x), K(1e-12)))
#define OP_bce_target(g, x, t, p, scale) \
    ((scale) * (g) * (log1p(-(x)) - log(x)))

// The same where x is the logit of the probability; p is the weight of t.
#define SOFT(x)                    log1p(exp(-fabs(x)))
#define LOSS_bce_logits(x, t, p)   (((x) < 0 ? 0 : (x)) - (x) * (t) + SOFT(x))
#define OP_bce_logits_backward(g, x, t, p, scale)  ((scale) * (g) * (1 / (1 + exp(-(x))) - (t)))
#define OP_bce_logits_target(g, x, t, p, scale)    (-(scale) * (g) * (x))
#define OP_bce_logits_weighted(x, t, p) \
    ((1 - (t)) * (x) + (1 + ((p) - 1) * (t)) * (SOFT(x) + ((x) > 0 ? 0 : -(x))))
#define OP_bce_logits_weighted_backward(g, x, t, p) \
    ((g) * (1 - (t) - (1 + ((p) - 1) * (t)) / (1 + exp(x))))
#define OP_bce_logits_weighted_target(g, x, t, p) \
    ((g) * (((p) - 1) * (SOFT(x) + ((x) > 0 ? 0 : -(x))) - (x)))

// t (log t - x), x being the logarithm of a probability; in kl_log t is one, too.
#define LOSS_kl(x, t, p)           ((t) * (log((t) == 0 ? 1 : (t)) - (x)))
#define OP_kl_backward(g, x, t, p, scale)        (-(scale) * (g) * (t))
#define OP_kl_target(g, x, t, p, scale)          ((scale) * (g) * (log(t) + 1 - (x)))
#define LOSS_kl_log(x, t, p)       (exp(t) * ((t) - (x)))
#define OP_kl_log_backward(g, x, t, p, scale)    (-(scale) * (g) * exp(t))
#define OP_kl_log_target(g, x, t, p, scale)      ((scale) * (g) * exp(t) * ((t) - (x) + 1))

#define OP_mse(x, t, p)            LOSS_mse(x, t, p)
#define OP_l1(x, t, p)             LOSS_l1(x, t, p)
#define OP_huber(x, t, p)          LOSS_huber(x, t, p)
#define OP_smooth_l1(x, t, p)      LOSS_smooth_l1(x, t, p)
#define OP_bce(x, t, p)            LOSS_bce(x, t, p)
#define OP_bce_logits(x, t, p)     LOSS_bce_logits(x, t, p)
#define OP_kl(x, t, p)             LOSS_kl(x, t, p)
#define OP_kl_log(x, t, p)         LOSS_kl_log(x, t, p)
