// Rows read WIDTH elements at a time by a team of work-items: one work-item on CPUs, a work-group on GPUs.
//
// A team of TEAM work-items along dimension 0 shares each row: lane i takes the groups of WIDTH elements i, i + TEAM, ...
// A last group that the row does not fill is padded, so that the same vector arithmetic serves rows of any length. With
// TEAM 1 neither local memory nor barriers remain. All sums have a fixed order.
//
//   ROW_ACCESS(x, type)               defines load_x(row, i, n, pad), the i-th group of a row of n elements stored as
//                                     `type`, and store_x(row, i, n, value)
//   GROUPS(n)                         groups of a row
//   FOR_GROUPS(i, n)                  loop over the groups that are this work-item's
//   SCRATCH(scratch)                  declared in the kernel, handed to the functions below
//   team_sum(x, scratch)              sum over all elements of `x` of all lanes; every lane gets it
//   team_max(x, scratch)              the greatest one
//   share_sum(x, scratch)             the same of one number a lane
#ifndef ROW_H
#define ROW_H
#include "types.h"

#ifndef TEAM
#define TEAM 1         // work-items to a row; a power of two
#endif

#ifndef EXACT
#define EXACT 0        // 1: there is no last group to be padded
#endif

#ifndef COLUMNS
#define COLUMNS 1      // work-items of a group in kernels that take columns, neighbouring work-items neighbouring ones
#endif

#ifndef SPAN
#define SPAN 1         // groups of WIDTH columns that a work-item takes at once
#endif

#define COLUMN_KERNEL kernel __attribute__((reqd_work_group_size(COLUMNS, 1, 1))) void
#define TEAM_KERNEL kernel __attribute__((reqd_work_group_size(TEAM, 1, 1))) void
#define GROUPS(n) (((n) + WIDTH - 1) / WIDTH)

#if TEAM > 1
#define LANE ((long)get_local_id(0))
#define SCRATCH(name) local SCALAR name[TEAM]
#define SCRATCH_SPACE local
#else
#define LANE 0L
#define SCRATCH(name) SCALAR name[1]
#define SCRATCH_SPACE private
#endif
#define SPANS(n) (((n) + WIDTH * SPAN - 1) / (WIDTH * SPAN))
#define FOR_SPAN(j) _Pragma("unroll") for (int j = 0; j < SPAN; j++)
#define FOR_GROUPS(i, n) for (long i = LANE; i < GROUPS(n); i += TEAM)

#define ROW_ACCESS(role, type)                                                                                        \
    static real load_##role(global const STORAGE(type) *row, long i, long n, SCALAR pad)                              \
    {                                                                                                                 \
        if (EXACT || (i + 1) * WIDTH <= n)                                                                            \
            return LOAD(type, row, i);                                                                                \
        SCALAR part[WIDTH];                                                                                           \
        _Pragma("unroll") for (int j = 0; j < WIDTH; j++)                                                             \
            part[j] = i * WIDTH + j < n ? (SCALAR)LOAD1(type, row, i * WIDTH + j) : pad;                              \
        return VLOAD(0, part);                                                                                        \
    }                                                                                                                 \
    static void store_##role(global STORAGE(type) *row, long i, long n, real value)                                   \
    {                                                                                                                 \
        if (EXACT || (i + 1) * WIDTH <= n) {                                                                          \
            STORE(type, row, i, value);                                                                               \
            return;                                                                                                   \
        }                                                                                                             \
        SCALAR part[WIDTH];                                                                                           \
        VSTORE(value, 0, part);                                                                                       \
        _Pragma("unroll") for (int j = 0; j < WIDTH; j++)                                                             \
            if (i * WIDTH + j < n)                                                                                    \
                STORE1(type, row, i * WIDTH + j, part[j]);                                                            \
    }

#define GREATER(a, b) ((a) > (b) ? (a) : (b))
#define PLUS(a, b) ((a) + (b))

// Halves of a vector joined until one element is left.
#define HALVES(n) PASTE(SCALAR, n)
#define FOLD_1(JOIN, x) return x;
#define FOLD_2(JOIN, x) return JOIN(x.lo, x.hi);
#define FOLD_4(JOIN, x) const HALVES(2) half2_ = JOIN(x.lo, x.hi); FOLD_2(JOIN, half2_)
#define FOLD_8(JOIN, x) const HALVES(4) half4_ = JOIN(x.lo, x.hi); FOLD_4(JOIN, half4_)
#define FOLD_16(JOIN, x) const HALVES(8) half8_ = JOIN(x.lo, x.hi); FOLD_8(JOIN, half8_)

#define TEAM_REDUCE(name, JOIN)                                                                                       \
    static SCALAR lanes_##name(real x) { PASTE(FOLD_, WIDTH)(JOIN, x) }                                               \
    static SCALAR share_##name(SCALAR value, SCRATCH_SPACE SCALAR *scratch)                                           \
    {                                                                                                                 \
        SHARE(JOIN)                                                                                                   \
        return value;                                                                                                 \
    }                                                                                                                 \
    static SCALAR team_##name(real x, SCRATCH_SPACE SCALAR *scratch) { return share_##name(lanes_##name(x), scratch); }

#if TEAM > 1
#define SHARE(JOIN)                                                                                                   \
    barrier(CLK_LOCAL_MEM_FENCE);                  /* the result of an earlier call has been read */                  \
    scratch[LANE] = value;                                                                                            \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                                     \
    for (int count = TEAM / 2; count > 0; count /= 2) {                                                               \
        if (LANE < count)                                                                                             \
            scratch[LANE] = JOIN(scratch[LANE], scratch[LANE + count]);                                               \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                 \
    }                                                                                                                 \
    value = scratch[0];
#else
#define SHARE(JOIN)
#endif

TEAM_REDUCE(sum, PLUS)
TEAM_REDUCE(max, GREATER)

// The greatest element seen so far and the sum of the exponentials of the differences from it, of each element of a
// vector apart (Milakov & Gimelshein 2018, arXiv:1805.02867; here with a single exponential a step). Starting from the
// lowest finite number keeps elements of -infinity from making NaN; log_sum_end() finds it out when all are.
#ifdef REAL64
#define LOWEST_FINITE (-DBL_MAX)
#else
#define LOWEST_FINITE (-FLT_MAX)
#endif
#define ONLINE(x, top, sum)                                                                                           \
    do {                                                                                                              \
        const real other = exp(-fabs((x) - (top)));                                                                   \
        (sum) = (x) > (top) ? (sum) * other + 1 : (sum) + other;                                                      \
        (top) = GREATER(x, top);                                                                                      \
    } while (0)

// An infinite greatest element has no softmax.
#define ONLINE_END(top, sum) ((sum) = (top) == (real)INFINITY ? (real)NAN : (sum))

#endif
