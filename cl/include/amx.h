// The matrix unit of Intel's processors, AMX (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
// chapter 18): eight registers, tiles, of 16 rows of 64 bytes, and instructions that add the product of two to a third.
//
// OpenCL has no functions for them. With -D AMX they are written out as instructions, which compilers for CPUs pass on;
// genesis/opencl/amx.py asks processor and system for them. Without, the same is said in OpenCL, slowly, so that a
// kernel can be tested everywhere.
//
//   TILES                  declares the tiles; from here all of them are of full size
//   TILES_END              before the kernel ends
//   tiles_t tiles          how a function takes them
//   TILE_LOAD(t, p, n)     tile t, a number written out, = 16 rows of 64 bytes at p, n bytes apart; 0: the same row
//   TILE_STORE(t, p, n)    the converse
//   SUMS(each, p, n)       TILE_LOAD or TILE_STORE of tiles 0 to 3: two by two, as 32 rows of 32 floats, n bytes apart
//   TILE_PRODUCT(c, a, b)  c, of 16 x 16 floats, += a b. Each row of a is 16 pairs of bfloat16, steps 2i and 2i + 1 of
//                          k; row i of b is the pairs of 16 columns of those steps. Numbers under 2^-126 count as 0.
//   PRODUCTS(n, m, last, LOAD_A, LOAD_B)   tiles 0 to 3 += the products Ai Bj of parts of numbers (parts.h) for which
//                          i <= n, j <= m and i + j <= last. LOAD_A(i) loads Ai, of 32 rows, into tiles 4 and 5;
//                          LOAD_B(j) loads Bj, of 32 columns, into 6 and 7
//
// p points to uints: pairs, or the bits of floats. With -D AMX it may point to any elements of 4 bytes.
#ifndef AMX_H
#define AMX_H

#ifdef AMX
typedef int tiles_t;
#define TILES                                                                                                         \
    const tiles_t tiles = 0;                                                                                          \
    {                                                                                                                 \
        uchar shapes[64] __attribute__((aligned(64)));                                                                \
        for (int i = 0; i < 64; i++)       /* palette 1; bytes of a row, as 16 bits each; rows */                     \
            shapes[i] = i == 0 ? 1 : i >= 16 && i < 32 && i % 2 == 0 ? 64 : i >= 48 && i < 56 ? 16 : 0;               \
        __asm__ volatile("ldtilecfg (%0)" :: "r"(shapes) : "memory");                                                 \
    }
#define TILES_END __asm__ volatile("tilerelease" ::: "memory");
#define TILE_LOAD(t, p, n) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t :: "r"(p), "r"((long)(n)) : "memory");
#define TILE_STORE(t, p, n) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" :: "r"(p), "r"((long)(n)) : "memory");
#define TILE_PRODUCT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory");
#else
typedef uint *tiles_t;
#define TILES uint tiles[8 * 256];
#define TILES_END
#define TILE_LOAD(t, p, n)                                                                                            \
    for (int i_ = 0; i_ < 256; i_++)                                                                                  \
        tiles[t * 256 + i_] = (p)[i_ / 16 * ((n) / 4) + i_ % 16];
#define TILE_STORE(t, p, n)                                                                                           \
    for (int i_ = 0; i_ < 256; i_++)                                                                                  \
        (p)[i_ / 16 * ((n) / 4) + i_ % 16] = tiles[t * 256 + i_];
#define TILE_PRODUCT(c, a, b) tile_product(tiles + c * 256, tiles + a * 256, tiles + b * 256);

static float tile_number(uint x, bool odd)
{
    const float number = as_float(odd ? x & 0xffff0000u : x << 16);
    return fabs(number) < 0x1p-126f ? 0 : number;
}

static __attribute__((noinline)) void tile_product(uint *c, const uint *a, const uint *b)
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float sum = as_float(c[i * 16 + j]);
            for (int k = 0; k < 32; k++)
                sum += tile_number(a[i * 16 + k / 2], k % 2) * tile_number(b[k / 2 * 16 + j], k % 2);
            c[i * 16 + j] = as_uint(sum);
        }
}
#endif

#define SUMS(each, p, n)                                                                                              \
    each(0, p, n)                                                                                                     \
    each(1, (p) + 16, n)                                                                                              \
    each(2, (p) + 4 * (n), n)                                                                                         \
    each(3, (p) + 4 * (n) + 16, n)

// The last of A's parts, the smallest, comes first. For each the parts of B take turns, from the one that is loaded on.
#define PRODUCTS(n, m, last, LOAD_A, LOAD_B)                                                                          \
    {                                                                                                                 \
        int loaded_ = 0;                                                                                              \
        UNROLL for (int a_ = n; a_ >= 1; a_--) {                                                                      \
            const int count_ = min(m, last - a_);                                                                     \
            if (count_ < 1)                                                                                           \
                continue;                                                                                             \
            LOAD_A(a_)                                                                                                \
            UNROLL for (int turn_ = 0; turn_ < count_; turn_++) {                                                     \
                const int b_ = turn_ > 0 ? loaded_ % count_ + 1 : max(loaded_, 1);                                    \
                if (b_ != loaded_) {                                                                                  \
                    LOAD_B(b_)                                                                                        \
                    loaded_ = b_;                                                                                     \
                }                                                                                                     \
                TILE_PRODUCT(0, 4, 6)                                                                                 \
                TILE_PRODUCT(1, 4, 7)                                                                                 \
                TILE_PRODUCT(2, 5, 6)                                                                                 \
                TILE_PRODUCT(3, 5, 7)                                                                                 \
            }                                                                                                         \
        }                                                                                                             \
    }

#endif
