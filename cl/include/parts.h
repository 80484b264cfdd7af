// Numbers as sums of bfloat16 numbers of 8 bits each, their parts.
//
// A float32 number has three: x = x1 + x2 + x3, with x2 at most 2^-8 of x and x3 2^-16 (Henry, Tang & Heinecke 2019,
// arXiv:1904.06376). So a product of matrices is
//
//     A B = A1 B1 + (A1 B2 + A2 B1) + (A1 B3 + A2 B2 + A3 B1) + ...
//
// and what is left out is of the size of float32's own rounding. A float16 number has two parts, a bfloat16 number is one.
// Parts under 2^-126 count as 0, so that numbers under about 1e-32 lose some of their 24 bits, and those under 1e-38 all.
//
// What is infinite or no number has no such parts: infinity times a part that is 0 would be no number, and so would be
// the sum of parts of products that are too large. Who multiplies numbers of LARGE bits and more looks at the sums: where
// one is not finite, the first parts alone say what it is.
//
//   WHOLE(type)            how many parts make up a number of a storage type
//   PLAIN(a, n, b, m)      whether numbers of the types a and b are one part each, of which n and m count
//   PART_PAIR(type, part, large, x, y)   the next part, number `part` from 0, of two vectors of numbers: x's in the lower
//                          halves of lanes, y's in the upper ones; x and y are what is left. `large`: some number is
//   PART_PAIRS(type, part, large, x, y, to)   to = those of 16 vectors x and y
//   greatest(x)            the largest lane
//
// Include types.h first, with WIDTH 16.
#ifndef PARTS_H
#define PARTS_H

#define WHOLE(type) PASTE(WHOLE_, type)
#define WHOLE_float32 3
#define WHOLE_float16 2
#define WHOLE_bfloat16 1
#define PLAIN(a, n, b, m) ((n) == 1 && WHOLE(a) == 1 && (m) == 1 && WHOLE(b) == 1)
#define LARGE 0x57800000u        // the bits of 2^48: products of smaller numbers may be added up
#define SIZES(x) (as_uint16(x) & 0x7fffffffu)

static uint greatest(uint16 x)
{
    const uint8 y = max(x.lo, x.hi);
    const uint4 z = max(y.lo, y.hi);
    const uint2 w = max(z.lo, z.hi);
    return max(w.x, w.y);
}

// The first 8 bits of each number, rounded, as a float's upper half; x is what they leave.
static uint16 next_part(float16 *x)
{
    const uint16 part = (as_uint16(*x) + 0x8000u) & 0xffff0000u;
    *x -= as_float16(part);
    return part;
}

// The same for numbers of any size: none is rounded up to infinity, and the first part of one that is not finite is not
// finite either. Its other parts mean nothing.
static uint16 next_part_of_large(float16 *x)
{
    const uint16 bits = as_uint16(*x), size = bits & 0x7fffffffu;
    const uint16 kept = bits | select((uint16)0, (uint16)0x400000u, size > 0x7f800000u);
    const uint16 part = select(bits + 0x8000u, kept, size >= 0x7f7f8000u) & 0xffff0000u;
    *x -= as_float16(part);
    return part;
}

// What the parts before have left, where that is no more than 8 bits. A number under 2^-126 may have more; it counts as 0.
static uint16 last_part(const float16 *x)
{
    return as_uint16(*x) & 0xffff0000u;
}

#define PAIR(next, x, y) (next(&x) >> 16 | next(&y))
#define PART_PAIR(type, part, large, x, y)                                                                            \
    ((large) ? PAIR(next_part_of_large, x, y) : (part) < WHOLE(type) - 1 ? PAIR(next_part, x, y) : PAIR(last_part, x, y))

#define PART_PAIRS(type, part, large, x, y, to)                                                                       \
    if (large) {                                                                                                      \
        for (int j_ = 0; j_ < 16; j_++)                                                                               \
            to[j_] = as_float16(PART_PAIR(type, part, true, x[j_], y[j_]));                                           \
    } else {                                                                                                          \
        UNROLL for (int j_ = 0; j_ < 16; j_++)                                                                        \
            to[j_] = as_float16(PART_PAIR(type, part, false, x[j_], y[j_]));                                          \
    }

#endif
