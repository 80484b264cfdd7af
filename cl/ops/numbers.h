// Elements of matrices, real or complex by -D TYPE, for kernels that are the same for both: `element` is the type of one,
// `part` that of its real part. Products are taken by MULTIPLY; sums and quotients by real numbers are C's.
#ifndef NUMBERS_H
#define NUMBERS_H

#include "types.h"

#ifndef TYPE
#define TYPE float32
#endif

#define PART_float32    float
#define PART_float64    double
#define PART_complex64  float
#define PART_complex128 double

typedef STORAGE(TYPE) element;
typedef PASTE(PART_, TYPE) part;

#ifdef COMPLEX
#define NUMBER  PASTE(PART_, TYPE)
#define COMPUTE PASTE(PASTE(PART_, TYPE), 2)
#include "complex.h"
#define MULTIPLY(a, b)  times(a, b)
#define DIVIDE(a, b)    over(a, b)
#define CONJUGATE(a)    conj(a)
#define FROM_PART(x)    ((element)(x, 0))
#define REAL_PART(a)    ((a).x)
#define IMAGINARY(a)    ((a).y)
#define LARGER_PART(a)  largest(a)
#define SUM_OF_PARTS(a) (fabs((a).x) + fabs((a).y))
#define SIZE(a)         size(a)
#define SQUARE_SIZE(a)  ((a).x * (a).x + (a).y * (a).y)
#define LOG_SIZE(a)     log_size(a)
#define SIGN(a)         direction(a)
#else
#define MULTIPLY(a, b)  ((a) * (b))
#define DIVIDE(a, b)    ((a) / (b))
#define CONJUGATE(a)    (a)
#define FROM_PART(x)    ((element)(x))
#define REAL_PART(a)    (a)
#define IMAGINARY(a)    0
#define LARGER_PART(a)  fabs(a)
#define SUM_OF_PARTS(a) fabs(a)
#define SIZE(a)         (a)                                          // with its sign
#define SQUARE_SIZE(a)  ((a) * (a))
#define LOG_SIZE(a)     log(fabs(a))
#define SIGN(a)         ((a) > 0 ? 1 : (a) < 0 ? -1 : (a))           // 0 and NaN remain
#endif

#endif
