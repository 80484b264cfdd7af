// Storage types and the type that arithmetic is done in.
//
// A tensor is stored as float32, float16, bfloat16, float64, int8, int16, int32, int64, uint8 or bool; arithmetic is done
// in `real`: WIDTH floats (or doubles, with -D REAL64). Complex numbers (pairs of these) are for the kernels that know
// them. float16 and bfloat16 are storage only, so neither needs an extension: vload_half and vstore_half are core
// OpenCL 1.2, a bfloat16 is the upper half of a float.
//
//   LOAD(type, p, i)       the i-th group of WIDTH elements of p, as real; floating types only
//   STORE(type, p, i, x)   the converse; float16 and bfloat16 round to nearest even
//   LOAD1(type, p, i)      element i alone, of any type
//   STORE1(type, p, i, x)  the converse; integers wrap around, bool is x != 0
//   MULTIPLY_ADD(a, b, c)  a * b + c, as one operation where the device has one
//   UNROLL for (...)       a loop over an array that is to stay in registers
//   PREFETCH(p)            the cache line at p, which may lie beyond the buffer, will be read soon (genesis/opencl/quirks.py)
//
// `type` is one of the names below, usually a macro that the host defines: LOAD(GRAD, grad, i), GRAD being bfloat16.
// Here and elsewhere functions are static: compilers leave out those that a kernel does not call.
#ifndef TYPES_H
#define TYPES_H

#ifndef WIDTH
#define WIDTH 1        // elements a work-item handles at once: 1, 2, 4, 8 or 16
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

// Elements of each storage type, as a buffer holds them.
typedef float  float32_t;
typedef half   float16_t;
typedef ushort bfloat16_t;
typedef char   int8_t;
typedef short  int16_t;
typedef int    int32_t;
typedef long   int64_t;
typedef uchar  uint8_t;
typedef uchar  bool_t;
#define STORAGE(type) PASTE(type, _t)

typedef float2 complex64_t;      // for the kernels that say so
#ifdef REAL64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double float64_t;
typedef double2 complex128_t;
#define SCALAR double
#define SCALAR_INT long
#else
#define SCALAR float
#define SCALAR_INT int
#endif

#if WIDTH == 1
#define real SCALAR
#define WIDE(type) type
#define VLOAD(i, p) ((p)[i])
#define VSTORE(x, i, p) ((p)[i] = (x))
#define LOAD_HALF(i, p) vload_half(i, p)
#define STORE_HALF(x, i, p) vstore_half_rte(x, i, p)
#else
#define real PASTE(SCALAR, WIDTH)
#define WIDE(type) PASTE(type, WIDTH)
#define VLOAD(i, p) PASTE(vload, WIDTH)(i, p)
#define VSTORE(x, i, p) PASTE(vstore, WIDTH)(x, i, p)
#define LOAD_HALF(i, p) PASTE(vload_half, WIDTH)(i, p)
#define STORE_HALF(x, i, p) PASTE(PASTE(vstore_half, WIDTH), _rte)(x, i, p)
#endif
#if defined(FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MULTIPLY_ADD fma               // PoCL's mad is two operations
#else
#define MULTIPLY_ADD mad
#endif
#define UNROLL _Pragma("unroll")      // else PoCL keeps the array in memory
#ifndef PREFETCH
#define PREFETCH(p)
#endif
// A kernel whose work-items work on vectors already. Intel's compiler, not told so, makes vectors of work-items, and
// attention takes six times as long.
#if WIDTH > 1
#define VECTOR_KERNEL kernel __attribute__((vec_type_hint(real))) void
#else
#define VECTOR_KERNEL kernel void
#endif
#define real_int WIDE(SCALAR_INT)                          // what comparing two reals gives
#define CONVERT(type, x) PASTE(convert_, WIDE(type))(x)
#define TO_REAL(x) PASTE(convert_, WIDE(SCALAR))(x)

static WIDE(float) from_bfloat16(WIDE(ushort) x)
{
    return PASTE(as_, WIDE(float))(CONVERT(uint, x) << 16);
}

static WIDE(ushort) to_bfloat16(WIDE(float) x)
{
    WIDE(uint) bits = PASTE(as_, WIDE(uint))(x);
    WIDE(uint) rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    WIDE(uint) quiet = (bits >> 16) | 0x40u;               // a NaN must stay one
    return CONVERT(ushort, select(rounded, quiet, (bits & 0x7fffffffu) > 0x7f800000u));
}

#define LOAD(type, p, i) PASTE(LOAD_, type)(i, p)
#define LOAD_float32(i, p)  TO_REAL(VLOAD(i, p))
#define LOAD_float16(i, p)  TO_REAL(LOAD_HALF(i, p))
#define LOAD_bfloat16(i, p) TO_REAL(from_bfloat16(VLOAD(i, p)))
#define LOAD_float64(i, p)  TO_REAL(VLOAD(i, p))

#define STORE(type, p, i, x) PASTE(STORE_, type)(i, p, x)
#define STORE_float32(i, p, x)  VSTORE(CONVERT(float, x), i, p)
#define STORE_float16(i, p, x)  STORE_HALF(CONVERT(float, x), i, p)
#define STORE_bfloat16(i, p, x) VSTORE(to_bfloat16(CONVERT(float, x)), i, p)
#define STORE_float64(i, p, x)  VSTORE(CONVERT(double, x), i, p)

#define LOAD1(type, p, i) PASTE(LOAD1_, type)(p, i)
#define STORE1(type, p, i, x) PASTE(STORE1_, type)(p, i, x)
#define LOAD1_float32(p, i)  ((p)[i])
#define LOAD1_bfloat16(p, i) as_float((uint)(p)[i] << 16)
#define LOAD1_float64(p, i)  ((p)[i])
#define LOAD1_int8(p, i)     ((p)[i])
#define LOAD1_int16(p, i)    ((p)[i])
#define LOAD1_int32(p, i)    ((p)[i])
#define LOAD1_int64(p, i)    ((p)[i])
#define LOAD1_uint8(p, i)    ((p)[i])
#define LOAD1_bool(p, i)     ((p)[i])
#define STORE1_float32(p, i, x)  ((p)[i] = (x))
#define STORE1_bfloat16(p, i, x) ((p)[i] = round_to_bfloat16((float)(x)))
#define STORE1_float64(p, i, x)  ((p)[i] = (x))
#define STORE1_int8(p, i, x)     ((p)[i] = (char)(long)(x))
#define STORE1_int16(p, i, x)    ((p)[i] = (short)(long)(x))
#define STORE1_int32(p, i, x)    ((p)[i] = (int)(x))
#define STORE1_int64(p, i, x)    ((p)[i] = (long)(x))
#define STORE1_uint8(p, i, x)    ((p)[i] = (uchar)(long)(x))
#define STORE1_bool(p, i, x)     ((p)[i] = (x) != 0)

// How float16 is read and written one by one, as the host defines it for the device (genesis/opencl/program.py).
#define BY_FUNCTION 0
#define BY_TYPE 1                // cl_khr_fp16
#define BY_BITS 2                // compilers for CPUs make vectors of work-items of this, but not of the functions
#ifndef FLOAT16
#define FLOAT16 BY_FUNCTION
#endif
#if FLOAT16 == BY_TYPE
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define LOAD1_float16(p, i)      ((float)(p)[i])
#define STORE1_float16(p, i, x)  ((p)[i] = convert_half_rte((float)(x)))
#elif FLOAT16 == BY_BITS
#define LOAD1_float16(p, i)      from_float16(((global const ushort *)(p))[i])
#define STORE1_float16(p, i, x)  (((global ushort *)(p))[i] = round_to_float16((float)(x)))
#else
#define LOAD1_float16(p, i)      vload_half(i, p)
#define STORE1_float16(p, i, x)  vstore_half_rte((float)(x), i, p)
#endif

static float from_float16(ushort x)
{
    const uint bits = (uint)(x & 0x7fff) << 13;            // exponent and fraction, where a float has them
    const float size = bits < 0x0f800000u ? as_float(bits) * 0x1p112f : as_float(bits | 0x7f800000u);
    return as_float(as_uint(size) | (uint)(x & 0x8000) << 16);
}

static ushort round_to_float16(float x)                    // after M. Dukhan's FP16 library
{
    const uint bits = as_uint(x) & 0x7fffffffu, exponent = max(bits & 0x7f800000u, 0x38800000u);     // of 2^-14 at least
    // The sum has as many bits behind the point as a float16 of that exponent, rounded. The factors carry what is too
    // large for one over into infinity.
    const uint sum = as_uint(as_float(exponent + 0x07800000u) + as_float(bits) * 0x1p112f * 0x1p-110f);
    const uint size = bits > 0x7f800000u ? 0x7e00u : ((sum >> 13) & 0x7c00u) + (sum & 0x0fffu);
    return size | (as_uint(x) >> 16 & 0x8000u);
}

static ushort round_to_bfloat16(float x)
{
    const uint bits = as_uint(x);
    return isnan(x) ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

#endif
