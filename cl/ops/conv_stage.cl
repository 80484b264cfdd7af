// What goes around the convolutions of conv.cl and conv_weight.cl: copies of input and weight in the layouts that those
// work on, and the sum of the weight gradient's parts.
//
// `stage` makes a padded copy of an input in which every tap of a filter is a plain shift. For each image and channel it
// has one plane a residue of the stride (stride 1: one; stride 2: up to four), each of `rows` rows of `pitch` elements:
//
//     plane (a, b), row h, column w   =   x[h * stride_h + a - pad_h][w * stride_w + b - pad_w], or 0 outside of x
//
// For conv_channels.cl, which steps over pixels itself, the strides here are 1.
//
// `pack` orders a weight as `taps` reads it: for each block of `rows` output channels and each phase, for each input
// channel and tap, those weights side by side. (For phases and the table see conv.cl.)
#ifndef IN
#define IN float32       // storage type of the source
#endif
#ifndef OUT
#define OUT float32      // storage type of a sum
#endif
#define WIDTH 8
#include "types.h"

typedef STORAGE(IN) in_t;
typedef STORAGE(OUT) out_t;

typedef struct {
    long image, plane, row, column;          // strides of x
    long height, width;                      // sizes of x
    long pad_h, pad_w, stride_h, stride_w;
    long rows, pitch, planes_h, planes_w;
    long to_image, to_channel;               // strides of the copy
    long slack;                              // elements past the end of the copy to set to 0: vectors reach there
} stage_t;

// Global size (channels, images): a work-item copies the planes of one channel.
kernel void stage(global const in_t *x, long x_at, global SCALAR *out, stage_t s)
{
    const long channel = get_global_id(0), image = get_global_id(1), channels = get_global_size(0);
    x += x_at + image * s.image + channel * s.plane;
    out += image * s.to_image + channel * s.to_channel;
    for (long a = 0; a < s.planes_h; a++)
        for (long b = 0; b < s.planes_w; b++) {
            const long shift = b - s.pad_w;                  // columns before `left` and from `right` on are outside
            const long left = clamp((s.stride_w - 1 - shift) / s.stride_w, 0L, s.pitch);
            const long right = clamp((s.stride_w - 1 - shift + s.width) / s.stride_w, left, s.pitch);
            for (long h = 0; h < s.rows; h++, out += s.pitch) {
                const long from = h * s.stride_h + a - s.pad_h;
                const int inside = from >= 0 && from < s.height;
                const long first = inside ? left : s.pitch;
                long w = 0;
                for (; w < first; w++)
                    out[w] = 0;
                if (!inside)
                    continue;
                global const in_t *line = x + from * s.row + shift * s.column;
                const long step = s.stride_w * s.column;
                if (step == 1)
                    for (; w + WIDTH <= right; w += WIDTH)
                        VSTORE(LOAD(IN, line + w, 0), 0, out + w);
                else if (step == 2)                          // the last element read is before one that is wanted
                    for (; w + WIDTH < right; w += WIDTH) {
                        vstore4(LOAD(IN, line + 2 * w, 0).even, 0, out + w);
                        vstore4(LOAD(IN, line + 2 * w, 1).even, 1, out + w);
                    }
                for (; w < right; w++)
                    out[w] = LOAD1(IN, line, w * step);
                for (; w < s.pitch; w++)
                    out[w] = 0;
            }
        }
    if (channel == channels - 1 && image == get_global_size(1) - 1)      // the last in either order
        for (long i = 0; i < s.slack; i++)
            out[i] = 0;
}

typedef struct {
    long outward, inward, group;             // strides of the weight: output channel, input channel, group
    long outputs, inputs;                    // channels of a group
    long rows, blocks, taps, phases;         // output channels of a block, blocks of a group; all taps
} pack_t;

// Global size (input channels of a group, blocks of all groups, phases).
kernel void pack(global const in_t *w, long w_at, global const int *table, global SCALAR *out, pack_t s)
{
    const long c = get_global_id(0), block = get_global_id(1), phase = get_global_id(2);
    const long first = block % s.blocks * s.rows;
    const int taps = table[4 * phase], start = table[4 * phase + 1];
    global const int *position = table + 4 * s.phases + s.taps + start;
    w += w_at + block / s.blocks * s.group + first * s.outward + c * s.inward;
    out += ((block * s.taps + start) * s.inputs + c * taps) * s.rows;
    const long inside = min(s.rows, s.outputs - first);
    for (long r = 0; r < s.rows; r++)
        for (int t = 0; t < taps; t++)
            out[t * s.rows + r] = r < inside ? LOAD1(IN, w, r * s.outward + position[t]) : 0;
}

// Adds `count` arrays of n elements, one after the other, in their order. Global size (n / WIDTH), rounded up.
kernel void sum_parts(global const SCALAR *x, global out_t *out, long out_at, long n, long count)
{
    const long first = get_global_id(0) * WIDTH;
    out += out_at;
    if (first + WIDTH <= n) {
        real sum = VLOAD(0, x + first);
        for (long i = 1; i < count; i++)
            sum += VLOAD(0, x + i * n + first);
        STORE(OUT, out + first, 0, sum);
    } else {
        for (long j = first; j < n; j++) {
            SCALAR sum = x[j];
            for (long i = 1; i < count; i++)
                sum += x[i * n + j];
            STORE1(OUT, out, j, sum);
        }
    }
}
