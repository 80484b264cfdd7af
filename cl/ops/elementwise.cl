// Operations on corresponding elements: one kernel, compiled for an operation, its types and its layout.
//
// Work-item (x, y): x counts along the innermost dimension, y along all others together. Sizes and strides come in
// `layout`, dimension 0 the innermost; strides count elements. The innermost steps are macros, because a compiler that
// knows them to be 0 or 1 loads whole vectors.
//
// Defined by the host (genesis/ops/elementwise.py):
//   OP              OP_add or another macro of functions.h, activations.h, losses.h or special.h
//   SPECIAL         OP is one of special.h
//   COMPLEX         OP is one of complex.h
//   INPUTS          1 to 5; the inputs are called a to e
//   OUT, A ... E    storage types
//   A_KIND ...      array, or scalar for a number handed in by value
//   COMPUTE         the C type in which OP works, float2 or double2 for complex numbers; INTEGER says whether it is an
//                   integer type
//   DIMS            dimensions in `layout`
//   OUT_STEP, A_STEP ...     0, 1 or layout.out[0], layout.a[0], ...
#include "types.h"

#ifndef OP
#define OP OP_add
#define INPUTS 2
#define OUT float32
#define A float32
#define B float32
#define A_KIND array
#define B_KIND array
#define COMPUTE float
#define INTEGER 0
#define DIMS 1
#define OUT_STEP 1
#define A_STEP 1
#define B_STEP 1
#endif

#ifdef COMPLEX
#include "complex.h"
#else
#include "functions.h"
#endif
#if !INTEGER && !defined(COMPLEX)
#include "activations.h"
#include "losses.h"
#ifdef SPECIAL
#include "special.h"
#endif
#endif

typedef struct {
    long shape[DIMS], out[DIMS], a[DIMS];
#if INPUTS > 1
    long b[DIMS];
#endif
#if INPUTS > 2
    long c[DIMS];
#endif
#if INPUTS > 3
    long d[DIMS];
#endif
#if INPUTS > 4
    long e[DIMS];
#endif
} layout_t;

// What an input of either kind adds to the kernel's parameters, how it moves on by some elements, and its value.
#define PARAMETER_array(type, x)  global const STORAGE(type) *x, long x##_at
#define PARAMETER_scalar(type, x) NUMBER x##_value
#define MOVE_array(x, elements)   x##_at += elements
#define MOVE_scalar(x, elements)
#ifdef COMPLEX
#define VALUE_array(type, x)      LOAD_NUMBER(type, x, x##_at)
#define VALUE_scalar(type, x)     ((COMPUTE)(x##_value, 0))
#else
#define NUMBER COMPUTE
#define VALUE_array(type, x)      ((COMPUTE)LOAD1(type, x, x##_at))
#define VALUE_scalar(type, x)     x##_value
#endif
#define PARAMETER(kind, type, x)  PASTE(PARAMETER_, kind)(type, x)
#define MOVE(kind, x, elements)   PASTE(MOVE_, kind)(x, elements)
#define VALUE(kind, type, x)      PASTE(VALUE_, kind)(type, x)

kernel void elementwise(
    global STORAGE(OUT) *out, long out_at, PARAMETER(A_KIND, A, a)
#if INPUTS > 1
    , PARAMETER(B_KIND, B, b)
#endif
#if INPUTS > 2
    , PARAMETER(C_KIND, C, c)
#endif
#if INPUTS > 3
    , PARAMETER(D_KIND, D, d)
#endif
#if INPUTS > 4
    , PARAMETER(E_KIND, E, e)
#endif
    , long outer, layout_t layout)
{
    const long x = get_global_id(0), y = get_global_id(1);
    if (x >= layout.shape[0] || y >= outer) return;

    long rest = y;
    for (int i = 1; i < DIMS; i++) {
        const long position = rest % layout.shape[i];
        rest /= layout.shape[i];
        out_at += position * layout.out[i];
        MOVE(A_KIND, a, position * layout.a[i]);
#if INPUTS > 1
        MOVE(B_KIND, b, position * layout.b[i]);
#endif
#if INPUTS > 2
        MOVE(C_KIND, c, position * layout.c[i]);
#endif
#if INPUTS > 3
        MOVE(D_KIND, d, position * layout.d[i]);
#endif
#if INPUTS > 4
        MOVE(E_KIND, e, position * layout.e[i]);
#endif
    }
    out_at += x * OUT_STEP;
    MOVE(A_KIND, a, x * A_STEP);
    const COMPUTE p = VALUE(A_KIND, A, a);
#if INPUTS > 1
    MOVE(B_KIND, b, x * B_STEP);
    const COMPUTE q = VALUE(B_KIND, B, b);
#endif
#if INPUTS > 2
    MOVE(C_KIND, c, x * C_STEP);
    const COMPUTE r = VALUE(C_KIND, C, c);
#endif
#if INPUTS > 3
    MOVE(D_KIND, d, x * D_STEP);
    const COMPUTE s = VALUE(D_KIND, D, d);
#endif
#if INPUTS > 4
    MOVE(E_KIND, e, x * E_STEP);
    const COMPUTE t = VALUE(E_KIND, E, e);
#endif

#if INPUTS == 1
    STORE1(OUT, out, out_at, OP(p));
#elif INPUTS == 2
    STORE1(OUT, out, out_at, OP(p, q));
#elif INPUTS == 3
    STORE1(OUT, out, out_at, OP(p, q, r));
#elif INPUTS == 4
    STORE1(OUT, out, out_at, OP(p, q, r, s));
#else
    STORE1(OUT, out, out_at, OP(p, q, r, s, t));
#endif
}
