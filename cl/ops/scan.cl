// Running sums, products, logarithms of sums of exponentials, and extrema along one dimension of an array seen as
// (outer, n, inner), row by row without gaps.
//
// A work-item goes through a block of `block` elements of one column. Long columns take three steps: `fold` joins each
// block to one element of (outer, blocks, inner), these are scanned in turn, and `scan` joins the running
// results inside each block to that of the blocks before. The order is fixed by the shapes alone, so results repeat bit
// for bit.
//
// Defined by the host (genesis/ops/scan.py):
//   OP        sum, prod or logaddexp
//   WINS      ge or le: the place of the largest or of the smallest
//   IN, OUT   storage types;  ACC  the C type of the running result
//   REVERSE   from the last element to the first
//   ALONE     there is one block, so nothing is before it
//   WIDTH     elements of a floating type that are taken at a time: with LAST, on CPUs
//   LOGARITHMS  WIDTH is that of fold_exponentials and scan_exponentials
#include "types.h"

#ifndef OP
#define OP sum
#endif
#ifndef WINS
#define WINS ge
#endif
#ifndef IN
#define IN float32
#endif
#ifndef OUT
#define OUT float32
#endif
#ifndef ACC
#define ACC float
#endif

#define START_sum 0
#define START_prod 1
#define STEP_sum(a, x)  ((a) + (x))
#define STEP_prod(a, x) ((a) * (x))
#define START_logaddexp -INFINITY
#define STEP_logaddexp(a, x) \
    ((a) == (x) ? (a) + LOG_2 : fmax((ACC)(a), (ACC)(x)) + log1p(exp(-fabs((ACC)(a) - (ACC)(x)))))
#ifdef REAL64
#define LOG_2 0.6931471805599453
#else
#define LOG_2 0.6931472f
#endif
#define START PASTE(START_, OP)
#define STEP  PASTE(STEP_, OP)
#ifdef REVERSE
#define AT(i) (n - 1 - (i))
#else
#define AT(i) (i)
#endif

// Global size (inner, blocks, outer), or (blocks, outer) with LAST, for inner = 1. With SHORT, for short rows, of which
// compilers make vectors: (outer, rounded up), and `block` is outer.
#if defined(SHORT)
#define COLUMN const long column = 0, b = 0, blocks = 1, o = get_global_id(0); \
               if (o >= block) return; \
               block = n
#elif defined(LAST)
#define COLUMN const long column = 0, b = get_global_id(0), blocks = get_global_size(0), o = get_global_id(1)
#else
#define COLUMN const long column = get_global_id(0), b = get_global_id(1), blocks = get_global_size(1), \
                          o = get_global_id(2)
#endif

kernel void fold(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long n, long inner, long block)
{
    COLUMN;
    if (column >= inner) return;
    const long first = b * block, last = min(first + block, n);
    x += x_at + o * n * inner + column;
    ACC a = START;
    for (long i = first; i < last; i++) {
        const ACC e = (ACC)LOAD1(IN, x, AT(i) * inner);
        a = STEP(a, e);
    }
    STORE1(OUT, out, (o * blocks + b) * inner + column, a);
}

// `before` is the scan of the blocks' results, (outer, blocks, inner), in the type ACC.
kernel void scan(global const STORAGE(IN) *x, long x_at, global const ACC *before, global STORAGE(OUT) *out,
                 long n, long inner, long block)
{
    COLUMN;
    if (column >= inner) return;
    const long first = b * block, last = min(first + block, n);
    x += x_at + o * n * inner + column;
    out += o * n * inner + column;
    ACC start = START, a = START;        // joined at the store, so that a block's own result is rounded by its size
    if (b > 0) start = before[(o * blocks + b - 1) * inner + column];
    for (long i = first; i < last; i++) {
        const ACC e = (ACC)LOAD1(IN, x, AT(i) * inner);
        a = STEP(a, e);
#ifdef ALONE
        STORE1(OUT, out, AT(i) * inner, a);
#else
        STORE1(OUT, out, AT(i) * inner, STEP(start, a));
#endif
    }
}

// The same for logarithms of sums of exponentials, a vector of a row at a time: relative to the largest element so far,
// `top`, these are only added, and the result is top + log(sum). Where elements lie so far apart that exponentials
// would vanish, and at infinity and NaN, elements are taken one by one.
#ifdef LOGARITHMS
#ifdef REAL64
#define APART 600
#else
#define APART 60
#endif
#ifdef REVERSE
#define GROUP(i) (n - WIDTH - (i))
#define LANE(j) (WIDTH - 1 - (j))
#else
#define GROUP(i) (i)
#define LANE(j) (j)
#endif
#define LOGARITHM (sum > 0 ? top + log(sum) : top)

VECTOR_KERNEL fold_exponentials(global const STORAGE(IN) *x, long x_at, global STORAGE(OUT) *out, long n, long inner,
                                long block)
{
    COLUMN;
    const long first = b * block, last = min(first + block, n), whole = first + (last - first) / WIDTH * WIDTH;
    x += x_at + o * n;
    real most = -INFINITY, sums = 0;
    for (long i = first; i < whole; i += WIDTH)
        most = fmax(most, LOAD(IN, x + GROUP(i), 0));
    SCALAR lane[WIDTH], top = -INFINITY, sum = 0;
    VSTORE(most, 0, lane);
    for (int j = 0; j < WIDTH; j++)
        top = fmax(top, lane[j]);
    for (long i = whole; i < last; i++)
        top = fmax(top, (SCALAR)LOAD1(IN, x, AT(i)));
    top = isfinite(top) ? top : 0;
    for (long i = first; i < whole; i += WIDTH)
        sums += exp(LOAD(IN, x + GROUP(i), 0) - top);
    VSTORE(sums, 0, lane);
    for (int j = 0; j < WIDTH; j++)
        sum += lane[j];
    for (long i = whole; i < last; i++)
        sum += exp((SCALAR)LOAD1(IN, x, AT(i)) - top);
    STORE1(OUT, out, o * blocks + b, top + log(sum));
}

VECTOR_KERNEL scan_exponentials(global const STORAGE(IN) *x, long x_at, global const ACC *before,
                                global STORAGE(OUT) *out, long n, long inner, long block)
{
    COLUMN;
    const long first = b * block, last = min(first + block, n);
    x += x_at + o * n;
    out += o * n;
    SCALAR top = b > 0 ? before[o * blocks + b - 1] : -INFINITY, sum = isfinite(top) ? 1 : 0, lane[WIDTH];
    long i = first;
    for (; i + WIDTH <= last; i += WIDTH) {
        const real e = LOAD(IN, x + GROUP(i), 0);
        VSTORE(e, 0, lane);
        SCALAR most = top, least = sum > 0 ? top : INFINITY;
        for (int j = 0; j < WIDTH; j++) {
            most = fmax(most, lane[j]);
            least = fmin(least, lane[j] > -INFINITY ? lane[j] : INFINITY);      // what is 0 anyway may vanish
        }
        if (top == top && most < INFINITY && most - least < APART && !any(isnan(e))) {
            const SCALAR origin = most > -INFINITY ? most : 0;
            if (sum > 0 && top < most) sum *= exp(top - most);
            VSTORE(exp(e - origin), 0, lane);
            for (int j = 0; j < WIDTH; j++)
                lane[LANE(j)] = sum += lane[LANE(j)];
            STORE(OUT, out + GROUP(i), 0, origin + log(VLOAD(0, lane)));
            top = most;
        } else {
            ACC a = LOGARITHM;
            for (int j = 0; j < WIDTH; j++) {
                a = STEP_logaddexp(a, lane[LANE(j)]);
                STORE1(OUT, out, AT(i + j), a);
            }
            top = a;
            sum = isfinite(a) ? 1 : 0;
        }
    }
    ACC a = LOGARITHM;
    for (; i < last; i++) {
        const ACC e = (ACC)LOAD1(IN, x, AT(i));
        a = STEP_logaddexp(a, e);
        STORE1(OUT, out, AT(i), a);
    }
}
#endif

// Places of extrema: the last of equal ones, and NaN before any number. `fold_extremes` gives that of each block,
// `scan_extremes` those so far and their values, `before` being the places of those of all blocks up to each. Few
// elements are more extreme than all before them, unless they are in order: groups in which none is are passed over.
#define BEATS_ge(x, a) ((x) >= (a))
#define BEATS_le(x, a) ((x) <= (a))
#define BEATS(x, a) ((x) != (x) || ((a) == (a) && PASTE(BEATS_, WINS)(x, a)))
#define EXTREME(i) \
    const ACC e = (ACC)LOAD1(IN, x, (i) * inner); \
    if (BEATS(e, best)) { \
        best = e; \
        place = i; \
    }
#define LOSES_ge isless
#define LOSES_le isgreater
#define NONE_WINS(i) all(PASTE(LOSES_, WINS)(LOAD(IN, x + (i), 0), (real)best))

VECTOR_KERNEL fold_extremes(global const STORAGE(IN) *x, long x_at, global long *out, long n, long inner, long block)
{
    COLUMN;
    if (column >= inner) return;
    const long last = min(b * block + block, n);
    x += x_at + o * n * inner + column;
    long place = b * block;
    ACC best = (ACC)LOAD1(IN, x, place * inner);
    long i = place + 1;
#if WIDTH > 1
    for (; i + WIDTH <= last; i += WIDTH)
        if (!NONE_WINS(i))
            for (long k = i; k < i + WIDTH; k++) {
                EXTREME(k)
            }
#endif
    for (; i < last; i++) {
        EXTREME(i)
    }
    out[(o * blocks + b) * inner + column] = place;
}

VECTOR_KERNEL scan_extremes(global const STORAGE(IN) *x, long x_at, global const long *before,
                            global STORAGE(IN) *values, global long *out, long n, long inner, long block)
{
    COLUMN;
    if (column >= inner) return;
    const long first = b * block, last = min(first + block, n);
    x += x_at + o * n * inner + column;
    out += o * n * inner + column;
    values += o * n * inner + column;
    long place = first;
    if (b > 0) place = before[(o * blocks + b - 1) * inner + column];
    ACC best = (ACC)LOAD1(IN, x, place * inner);
    long i = first;
#if WIDTH > 1
    for (; i + WIDTH <= last; i += WIDTH)
        if (NONE_WINS(i)) {
            STORE(IN, values + i, 0, (real)best);
            PASTE(vstore, WIDTH)((WIDE(long))place, 0, out + i);
        } else
            for (long k = i; k < i + WIDTH; k++) {
                EXTREME(k)
                STORE1(IN, values, k, best);
                out[k] = place;
            }
#endif
    for (; i < last; i++) {
        EXTREME(i)
        STORE1(IN, values, i * inner, best);
        out[i * inner] = place;
    }
}

// The gradient of a running product y of x, with g the gradient of y. Up to the first 0 it is the sum of g * y over
// what follows, divided by x; at the first 0 the products go on with it left out; after it nothing changes anything.
// One work-item a column. Global size (inner, 1, outer), or (1, outer) with LAST.
kernel void prod_backward(global const STORAGE(IN) *g, long g_at, global const STORAGE(IN) *x, long x_at,
                          global const STORAGE(IN) *y, global STORAGE(IN) *out, long n, long inner)
{
    COLUMN;
    if (column >= inner) return;
    const long from = o * n * inner + column;
    long zero = 0;
    while (zero < n && LOAD1(IN, x, x_at + from + zero * inner) != 0)
        zero++;
    for (long i = zero + 1; i < n; i++)
        STORE1(IN, out, from + i * inner, (ACC)0);
    ACC a = 0;
    if (zero < n) {
        ACC y_before = 1;
        if (zero > 0) y_before = (ACC)LOAD1(IN, y, from + (zero - 1) * inner);
        for (long i = zero; i < n; i++) {
            if (i > zero) y_before *= (ACC)LOAD1(IN, x, x_at + from + i * inner);
            a += y_before * (ACC)LOAD1(IN, g, g_at + from + i * inner);
        }
        STORE1(IN, out, from + zero * inner, a);
    }
    a = 0;
    for (long i = zero - 1; i >= 0; i--) {
        a += (ACC)LOAD1(IN, g, g_at + from + i * inner) * (ACC)LOAD1(IN, y, from + i * inner);
        STORE1(IN, out, from + i * inner, a / (ACC)LOAD1(IN, x, x_at + from + i * inner));
    }
}
