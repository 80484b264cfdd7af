// Images read at positions of a grid, and the gradients of that (genesis/ops/grid.py).
//
// x (N, C, depth, height, width) and grid (N, L, DIMS) -> y (N, C, L); images have a depth of 1. A position's last
// element is that along the depth, the first that along the width: -1 and 1 are the ends of the image. An element of y
// is a sum over TAPS elements of x along each dimension, each with a weight that the position decides.
//
// The gradient of x repeats bit for bit: `taps` writes out which elements a position reads, with their weights; then
//   spread    one work-item a plane (n, c) goes through its positions in order: no two work-items share an element
//   collect   one work-item an element adds what belongs there, from elements' places that cl/ops/sort.cl has sorted
//
// Defined by the host:
//   TYPE      storage type of x, y and the grid
//   DIMS      2 or 3
//   TAPS      1: the nearest element, 2: linear, 4: cubic (Keys 1981, with a = -0.75)
#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef DIMS
#define DIMS 2
#endif
#ifndef TAPS
#define TAPS 2
#endif

#define DEEP (DIMS == 3 ? TAPS : 1)          // elements along the depth
#define CORNERS (DEEP * TAPS * TAPS)         // elements that a position reads

typedef STORAGE(TYPE) element;

typedef struct {
    long channels, points;                   // C, L
    long block;                              // channels of a work-item
    int size[3];                             // width, height, depth
    int padding;                             // what lies outside: 0: zeros, 1: the outermost element, 2: the image, mirrored
    int align;                               // the ends are the centres of the outermost elements, not their outer edges
    int unused;
} sample_t;

// The elements along a dimension that a position reads (-1 for one that is outside), their weights, and the slopes of
// these by the grid's number.
typedef struct {
    int at[TAPS];
    SCALAR weight[TAPS], slope[TAPS];
} line_t;

// A position brought inside; `turn` is multiplied by the slope of that.
static SCALAR inside(SCALAR x, int n, const sample_t *s, SCALAR *turn)
{
    if (s->padding == 0)
        return x < -2 ? -2 : x > n + 1 ? n + 1 : x;      // as far outside as from further away; not a number stays so
    if (s->padding == 2) {
        const SCALAR low = s->align ? 0 : (SCALAR)-0.5f, span = s->align ? n - 1 : n;
        const SCALAR from = x - low, far = fabs(from), turns = span > 0 ? floor(far / span) : 0;
        const SCALAR rest = far - turns * span;
        const bool back = turns - 2 * floor(turns / 2) == 1;
        *turn = (from < 0) != back ? -*turn : *turn;
        x = span > 0 ? low + (back ? span - rest : rest) : 0;
    }
    *turn = x > 0 && x < n - 1 ? *turn : 0;
    return fmin(fmax(x, (SCALAR)0), (SCALAR)(n - 1));
}

// The element at a whole number; beside the last one there may be a weight of 0.
static int element_at(SCALAR x, int n)
{
    return x >= 0 && x < n ? (int)x : -1;
}

#define A ((SCALAR)-0.75f)

// Keys's kernel at a distance up to 1, and from 1 to 2; and their slopes.
static SCALAR inner(SCALAR t) { return ((A + 2) * t - (A + 3)) * t * t + 1; }
static SCALAR outer(SCALAR t) { return ((A * t - 5 * A) * t + 8 * A) * t - 4 * A; }
static SCALAR inner_slope(SCALAR t) { return (3 * (A + 2) * t - 2 * (A + 3)) * t; }
static SCALAR outer_slope(SCALAR t) { return (3 * A * t - 10 * A) * t + 8 * A; }

static void read_line(SCALAR g, int n, const sample_t *s, line_t *line)
{
    SCALAR turn = s->align ? (SCALAR)(n - 1) / 2 : (SCALAR)n / 2;
    SCALAR x = s->align ? (g + 1) * turn : ((g + 1) * n - 1) / 2;
#if TAPS == 4
    if (s->padding != 2)
        x = x < -3 ? -3 : x > n + 2 ? n + 2 : x;
    const SCALAR first = floor(x), t = x - first;
    line->weight[0] = outer(t + 1);
    line->weight[1] = inner(t);
    line->weight[2] = inner(1 - t);
    line->weight[3] = outer(2 - t);
    line->slope[0] = turn * outer_slope(t + 1);
    line->slope[1] = turn * inner_slope(t);
    line->slope[2] = -turn * inner_slope(1 - t);
    line->slope[3] = -turn * outer_slope(2 - t);
    UNROLL for (int i = 0; i < 4; i++)
        line->at[i] = element_at(inside(first + (i - 1), n, s, &turn), n);
#else
    x = inside(x, n, s, &turn);
#if TAPS == 2
    const SCALAR first = floor(x), t = x - first;
    line->weight[0] = 1 - t;
    line->weight[1] = t;
    line->slope[0] = -turn;
    line->slope[1] = turn;
    line->at[0] = element_at(first, n);
    line->at[1] = element_at(first + 1, n);
#else
    line->weight[0] = 1;
    line->slope[0] = 0;
    line->at[0] = element_at(rint(x), n);
#endif
#endif
}

// What a position reads: along the width, the height and the depth, of which an image has one.
typedef struct {
    line_t x, y;
    int z[DEEP];
    SCALAR weight[DEEP], slope[DEEP];
} place_t;

static void read_place(global const element *grid, long l, const sample_t *s, place_t *p)
{
    read_line(LOAD1(TYPE, grid, l * DIMS), s->size[0], s, &p->x);
    read_line(LOAD1(TYPE, grid, l * DIMS + 1), s->size[1], s, &p->y);
#if DIMS == 3
    line_t z;
    read_line(LOAD1(TYPE, grid, l * DIMS + 2), s->size[2], s, &z);
    UNROLL for (int i = 0; i < DEEP; i++) {
        p->z[i] = z.at[i];
        p->weight[i] = z.weight[i];
        p->slope[i] = z.slope[i];
    }
#else
    p->z[0] = 0;
    p->weight[0] = 1;
    p->slope[0] = 0;
#endif
}

// An element's place in its plane, or -1.
static int place_of(const place_t *p, const sample_t *s, int i, int j, int k)
{
    const int at = (p->z[i] * s->size[1] + p->y.at[j]) * s->size[0] + p->x.at[k];
    return (p->z[i] | p->y.at[j] | p->x.at[k]) < 0 ? -1 : at;      // each at least -1
}

static SCALAR value_at(global const element *x, int at)
{
    const SCALAR value = LOAD1(TYPE, x, max(at, 0));               // always read, so that work-items are vectorized
    return at < 0 ? 0 : value;
}

// Global size (points, channels / block rounded up, N), the first rounded up to whole work-groups.
kernel void sample(global const element *x, long x_at, global const element *grid, long grid_at, global element *y,
                   sample_t s)
{
    const long l = get_global_id(0), n = get_global_id(2), first = get_global_id(1) * s.block;
    if (l >= s.points) return;
    const long plane = (long)s.size[0] * s.size[1] * s.size[2];
    place_t p;
    read_place(grid + grid_at + n * s.points * DIMS, l, &s, &p);
    int at[CORNERS];
    UNROLL for (int i = 0; i < DEEP; i++)
        UNROLL for (int j = 0; j < TAPS; j++)
            UNROLL for (int k = 0; k < TAPS; k++)
                at[(i * TAPS + j) * TAPS + k] = place_of(&p, &s, i, j, k);
    x += x_at + (n * s.channels + first) * plane;
    y += (n * s.channels + first) * s.points + l;
    const long last = min(s.block, s.channels - first);
    for (long c = 0; c < last; c++) {
        SCALAR sum = 0;
        UNROLL for (int i = 0; i < DEEP; i++) {
            SCALAR image = 0;
            UNROLL for (int j = 0; j < TAPS; j++) {
                SCALAR row = 0;
                UNROLL for (int k = 0; k < TAPS; k++)
                    row += p.x.weight[k] * value_at(x, at[(i * TAPS + j) * TAPS + k]);
                image += p.y.weight[j] * row;
            }
            sum += p.weight[i] * image;
        }
        STORE1(TYPE, y, 0, sum);
        x += plane;
        y += s.points;
    }
}

// The gradient of the grid, from that of y. Global size (points, N), the first rounded up to whole work-groups.
kernel void sample_slope(global const element *x, long x_at, global const element *grid, long grid_at,
                         global const element *g, long g_at, global element *out, sample_t s)
{
    const long l = get_global_id(0), n = get_global_id(1);
    if (l >= s.points) return;
    const long plane = (long)s.size[0] * s.size[1] * s.size[2];
    place_t p;
    read_place(grid + grid_at + n * s.points * DIMS, l, &s, &p);
    x += x_at + n * s.channels * plane;
    g += g_at + n * s.channels * s.points + l;
    SCALAR along_x = 0, along_y = 0, along_z = 0;
    for (long c = 0; c < s.channels; c++) {
        SCALAR by_x = 0, by_y = 0, by_z = 0;
        UNROLL for (int i = 0; i < DEEP; i++)
            UNROLL for (int j = 0; j < TAPS; j++) {
                SCALAR row = 0, slope = 0;
                UNROLL for (int k = 0; k < TAPS; k++) {
                    const SCALAR value = value_at(x, place_of(&p, &s, i, j, k));
                    row += p.x.weight[k] * value;
                    slope += p.x.slope[k] * value;
                }
                by_x += p.weight[i] * p.y.weight[j] * slope;
                by_y += p.weight[i] * p.y.slope[j] * row;
                by_z += p.slope[i] * p.y.weight[j] * row;
            }
        const SCALAR gradient = LOAD1(TYPE, g, 0);
        along_x += gradient * by_x;
        along_y += gradient * by_y;
        along_z += gradient * by_z;
        x += plane;
        g += s.points;
    }
    out += (n * s.points + l) * DIMS;
    STORE1(TYPE, out, 0, along_x);
    STORE1(TYPE, out, 1, along_y);
#if DIMS == 3
    STORE1(TYPE, out, 2, along_z);
#endif
}

// Of each position the elements that it reads, as places in x (N, plane), and their weights; N * plane is no place.
// Global size (points, N), the first rounded up to whole work-groups.
kernel void taps(global const element *grid, long grid_at, global long *place, global SCALAR *weight, sample_t s)
{
    const long l = get_global_id(0), n = get_global_id(1);
    if (l >= s.points) return;
    const long plane = (long)s.size[0] * s.size[1] * s.size[2], none = get_global_size(1) * plane;
    place_t p;
    read_place(grid + grid_at + n * s.points * DIMS, l, &s, &p);
    place += (n * s.points + l) * CORNERS;
    weight += (n * s.points + l) * CORNERS;
    UNROLL for (int i = 0; i < DEEP; i++)
        UNROLL for (int j = 0; j < TAPS; j++)
            UNROLL for (int k = 0; k < TAPS; k++) {
                const int at = place_of(&p, &s, i, j, k), corner = (i * TAPS + j) * TAPS + k;
                place[corner] = at < 0 ? none : n * plane + at;
                weight[corner] = p.weight[i] * p.y.weight[j] * p.x.weight[k];
            }
}

// Adds what positions from `first` up to `last` give to the gradient of x, which is `out`. Global size (C, N).
kernel void spread(global const element *g, long g_at, global const long *place, global const SCALAR *weight,
                   global SCALAR *out, long first, long last, sample_t s)
{
    const long c = get_global_id(0), n = get_global_id(1), plane = (long)s.size[0] * s.size[1] * s.size[2];
    const long none = get_global_size(1) * plane, before = n * plane;
    g += g_at + (n * s.channels + c) * s.points;
    out += (n * s.channels + c) * plane;
    place += n * s.points * CORNERS;
    weight += n * s.points * CORNERS;
    for (long l = first; l < last; l++) {
        const SCALAR gradient = LOAD1(TYPE, g, l);
        UNROLL for (int k = 0; k < CORNERS; k++) {
            const long at = place[l * CORNERS + k];
            if (at < none)
                out[at - before] += weight[l * CORNERS + k] * gradient;
        }
    }
}

// The gradient of x from sorted places `key`, each with the position in `order` of its weight. Global size
// (plane, C / block rounded up, N), the first rounded up to whole work-groups.
kernel void collect(global const element *g, long g_at, global const long *key, global const long *order,
                    global const SCALAR *weight, global SCALAR *out, long count, sample_t s)
{
    const long at = get_global_id(0), n = get_global_id(2), plane = (long)s.size[0] * s.size[1] * s.size[2];
    if (at >= plane) return;
    const long now = n * plane + at, channel = get_global_id(1) * s.block, end = min(channel + s.block, s.channels);
    long low = 0, high = count;                  // the first that is not below `now` lies within these
    while (low < high) {
        const long middle = (low + high) / 2;
        if (key[middle] < now) low = middle + 1;
        else high = middle;
    }
    for (long c = channel; c < end; c++) {
        SCALAR sum = 0;
        for (long k = low; k < count && key[k] == now; k++)
            sum += weight[order[k]] * LOAD1(TYPE, g + g_at + (n * s.channels + c) * s.points,
                                            order[k] / CORNERS - n * s.points);
        out[(n * s.channels + c) * plane + at] = sum;
    }
}
