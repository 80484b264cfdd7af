// Blocks of images as columns, and columns added up to images again (genesis/ops/fold.py).
//
// image (planes, height, width) and blocks (planes, kernel_h, kernel_w, rows, columns), contiguous: element (i, j) of block
// (r, c) is pixel (r STRIDE_H - pad_h + i dilation_h, c STRIDE_W - pad_w + j dilation_w), 0 outside of the image. A pixel of
// a sum looks at all blocks that it may be in, in a fixed order.
#include "types.h"

#ifndef TYPE
#define TYPE float32     // storage type of both
#endif
#ifndef ACC
#define ACC float        // type that elements are added up in
#endif
#ifdef FIXED_STRIDE      // 1, where no division is needed
#define STRIDE_H FIXED_STRIDE
#define STRIDE_W FIXED_STRIDE
#else
#define STRIDE_H s.stride_h
#define STRIDE_W s.stride_w
#endif

typedef STORAGE(TYPE) element;

typedef struct {
    long planes;
    int height, width, rows, columns;
    int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
} blocks_t;

// Global size (width, height, planes), rounded up.
kernel void col2im(global const element *blocks, long at, global element *image, blocks_t s)
{
    const int w = get_global_id(0), h = get_global_id(1);
    const long plane = get_global_id(2);
    if (w >= s.width || h >= s.height || plane >= s.planes)
        return;
    ACC sum = 0;
    for (int i = 0; i < s.kernel_h; i++) {
        const int top = h + s.pad_h - i * s.dilation_h, r = top / STRIDE_H;
        if (top < 0 || r >= s.rows || r * STRIDE_H != top)
            continue;
        for (int j = 0; j < s.kernel_w; j++) {
            const int left = w + s.pad_w - j * s.dilation_w, c = left / STRIDE_W;
            if (left >= 0 && c < s.columns && c * STRIDE_W == left)
                sum += LOAD1(TYPE, blocks, at + (((plane * s.kernel_h + i) * s.kernel_w + j) * s.rows + r) * s.columns + c);
        }
    }
    STORE1(TYPE, image, (plane * s.height + h) * s.width + w, sum);
}

// Global size (columns, rows, planes * kernel_h * kernel_w), rounded up.
kernel void im2col(global const element *image, long at, global element *blocks, blocks_t s)
{
    const int c = get_global_id(0), r = get_global_id(1);
    const long tap = get_global_id(2), plane = tap / (s.kernel_h * s.kernel_w);
    if (c >= s.columns || r >= s.rows || plane >= s.planes)
        return;
    const int i = tap / s.kernel_w % s.kernel_h, j = tap % s.kernel_w;
    const int h = r * STRIDE_H - s.pad_h + i * s.dilation_h, w = c * STRIDE_W - s.pad_w + j * s.dilation_w;
    const int inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
    const ACC value = inside ? LOAD1(TYPE, image, at + (plane * s.height + h) * s.width + w) : (ACC)0;
    STORE1(TYPE, blocks, (tap * s.rows + r) * s.columns + c, value);
}
