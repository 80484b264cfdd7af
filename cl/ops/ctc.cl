// Connectionist temporal classification (Graves et al. 2006, equations 5 to 15, in logarithms).
//
// x (steps, samples, classes) are logarithms of probabilities. Each sample has `width` states, of which 2 count + 1 are
// in use: blanks and labels by turns, states[n, s] being their classes. From a step of time to the next a path stays in
// its state, goes on to the next one, or passes over a blank between two different labels. What the paths' logarithms
// add up to is kept for each step and state, so alpha and the rest are (steps, samples, width).
//
// A team of work-items has a sample, a work-item the states LANE, LANE + TEAM, ... of each step. Lengths and classes out
// of range are faults (faults.h).
//
// Defined by the host (genesis/ops/ctc.py): TEAM; REAL64 for float64.
#include "faults.h"
#include "row.h"

#if TEAM > 1
#define MEET barrier(CLK_GLOBAL_MEM_FENCE)      // what the others have written can be read
#else
#define MEET
#endif

#define FOR_STATES(s, count) for (long s = LANE; s < (count); s += TEAM)
#define AT(t, s) (((t) * samples + n) * width + (s))
#define EMITTED(t, s) (label[s] >= 0 && label[s] < classes ? x[((t) * samples + n) * classes + label[s]] : -INFINITY)
#define SKIPS(from, to) (label[to] != blank && label[to] != label[from])

static SCALAR log_sum(SCALAR a, SCALAR b, SCALAR c)
{
    const SCALAR most = fmax(a, fmax(b, c));
    return most == -INFINITY ? a + b + c : most + log(exp(a - most) + exp(b - most) + exp(c - most));
}

// losses[n] = -log of the probability of the labels. Global size (TEAM samples).
TEAM_KERNEL ctc(global const SCALAR *x, long x_at, global const long *states, long states_at,
                global const long *lengths, long lengths_at, global const long *counts, long counts_at,
                global SCALAR *alpha, global SCALAR *losses, long steps, long samples, long classes, long width,
                long blank, FAULTS)
{
    const long n = get_group_id(0);
    global const long *label = states + states_at + n * width;
    x += x_at;
    FOR_STATES(s, width)
        FITS(label[s], classes);
    const long given = lengths[lengths_at + n], count = counts[counts_at + n];
    const long length = FITS(given, steps + 1) ? given : 0, used = FITS(count, width / 2 + 1) ? 2 * count + 1 : 1;

    for (long t = 0; t < length; t++) {
        FOR_STATES(s, used) {
            SCALAR before = s < 2 ? 0 : -INFINITY;
            if (t > 0) {
                const SCALAR same = alpha[AT(t - 1, s)], last = s > 0 ? alpha[AT(t - 1, s - 1)] : -INFINITY;
                before = log_sum(same, last, s > 1 && SKIPS(s - 2, s) ? alpha[AT(t - 1, s - 2)] : -INFINITY);
            }
            alpha[AT(t, s)] = before + EMITTED(t, s);
        }
        MEET;
    }
    if (LANE == 0) {
        if (length == 0)                       // only the empty sequence is certain
            losses[n] = used == 1 ? 0 : INFINITY;
        else
            losses[n] = -log_sum(alpha[AT(length - 1, used - 1)],
                                 used > 1 ? alpha[AT(length - 1, used - 2)] : -INFINITY, -INFINITY);
    }
}

// slope[t, n, s] = the derivative with respect to what state s emits: -g times the probability that a path of the labels
// is there; 0 where there is no path. beta (2, samples, width) holds two steps, what a state emits included.
TEAM_KERNEL ctc_backward(global const SCALAR *x, long x_at, global const long *states, long states_at,
                         global const long *lengths, long lengths_at, global const long *counts, long counts_at,
                         global const SCALAR *alpha, global const SCALAR *losses, global const SCALAR *g, long g_at,
                         long g_step, global SCALAR *beta, global SCALAR *slope, long steps, long samples, long classes,
                         long width, long blank)
{
    const long n = get_group_id(0);
    global const long *label = states + states_at + n * width;
    x += x_at;
    const SCALAR loss = losses[n], scale = -g[g_at + n * g_step];
    const long length = isinf(loss) ? 0 : clamp(lengths[lengths_at + n], 0L, steps);
    const long used = clamp(2 * counts[counts_at + n] + 1, 1L, width);

    for (long t = length; t < steps; t++)
        FOR_STATES(s, width)
            slope[AT(t, s)] = 0;
    for (long t = length - 1; t >= 0; t--) {
        FOR_STATES(s, width) {
            SCALAR after = -INFINITY;
            if (s < used) {
                if (t == length - 1)
                    after = s + 2 < used ? -INFINITY : 0;
                else {
                    const long next = (t + 1) % 2;
                    after = log_sum(beta[AT(next, s)], s + 1 < used ? beta[AT(next, s + 1)] : -INFINITY,
                                    s + 2 < used && SKIPS(s, s + 2) ? beta[AT(next, s + 2)] : -INFINITY);
                }
                beta[AT(t % 2, s)] = after + EMITTED(t, s);
            }
            slope[AT(t, s)] = after == -INFINITY ? 0 : scale * exp(alpha[AT(t, s)] + after + loss);
        }
        MEET;
    }
}
