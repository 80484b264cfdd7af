// TRANSPOSE(x): rows of x, WIDTH vectors of WIDTH elements, become its columns, in registers.
//
// By log2(WIDTH) perfect shuffles. Include types.h first; WIDTH is 2, 4, 8 or 16.
#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#if WIDTH == 16
#define ZIP_LOW(a, b)  (real)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define ZIP_HIGH(a, b) (real)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)
#elif WIDTH == 8
#define ZIP_LOW(a, b)  (real)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3)
#define ZIP_HIGH(a, b) (real)(a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#elif WIDTH == 4
#define ZIP_LOW(a, b)  (real)(a.s0, b.s0, a.s1, b.s1)
#define ZIP_HIGH(a, b) (real)(a.s2, b.s2, a.s3, b.s3)
#elif WIDTH == 2
#define ZIP_LOW(a, b)  (real)(a.s0, b.s0)
#define ZIP_HIGH(a, b) (real)(a.s1, b.s1)
#endif

#define TRANSPOSE(x)                                                                                                  \
    for (int stage = 1; stage < WIDTH; stage *= 2) {                                                                  \
        real y[WIDTH];                                                                                                \
        for (int i = 0; i < WIDTH / 2; i++) {                                                                         \
            y[2 * i] = ZIP_LOW(x[i], x[i + WIDTH / 2]);                                                               \
            y[2 * i + 1] = ZIP_HIGH(x[i], x[i + WIDTH / 2]);                                                          \
        }                                                                                                             \
        for (int i = 0; i < WIDTH; i++)                                                                               \
            x[i] = y[i];                                                                                              \
    }

#endif
