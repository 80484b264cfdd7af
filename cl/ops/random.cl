// Arrays of random numbers. A work-item makes four elements from one Philox counter; element i of a call depends on
// seed, stream and i alone, so every device draws the same stream.
#include "types.h"
#include "philox.h"

#ifndef TYPE
#define TYPE float32
#endif
#ifndef BITS
#define BITS 32          // leading bits of a word that make a uniform number: more than TYPE holds would round up to 1
#endif

typedef STORAGE(TYPE) element;

// Uniform in [low, high). Global size: n / 4, rounded up.
kernel void uniform(global element *out, long at, long n, ulong stream, ulong seed, float low, float high)
{
    const long i = get_global_id(0);
    const uint4 words = philox(i, stream, seed);
    const uint word[4] = {words.x, words.y, words.z, words.w};
    for (int j = 0; j < 4 && 4 * i + j < n; j++) {
        const float x = low + (high - low) * unit_interval(word[j] & (~0u << (32 - BITS)));
        STORE1(TYPE, out, at + 4 * i + j, x < high || high <= low ? x : low);
    }
}

// Normal, by the Box-Muller transform of two uniform numbers.
kernel void normal(global element *out, long at, long n, ulong stream, ulong seed, float mean, float deviation)
{
    const long i = get_global_id(0);
    const uint4 words = philox(i, stream, seed);
    const float r0 = sqrt(-2 * log(1 - unit_interval(words.x))), r1 = sqrt(-2 * log(1 - unit_interval(words.z)));
    const float a0 = 2 * M_PI_F * unit_interval(words.y), a1 = 2 * M_PI_F * unit_interval(words.w);
    const float x[4] = {r0 * cos(a0), r0 * sin(a0), r1 * cos(a1), r1 * sin(a1)};
    for (int j = 0; j < 4 && 4 * i + j < n; j++)
        STORE1(TYPE, out, at + 4 * i + j, mean + deviation * x[j]);
}

// Normal between two bounds, by rejection (Robert 1995, "Simulation of truncated normal variables"). An element is
// origin + scale t, with t proposed from the normal distribution, uniformly from [0, span], or from an exponential
// distribution cut at the span; `mass` is what is left of it there. The last two are accepted with probability
// exp(-((t - centre)^2 - least) / 2). The host chooses a proposal that is accepted in half the cases or more, so that the
// 128 proposals of an element do not run out. A work-item makes one element.
#define NORMAL  0
#define UNIFORM 1
kernel void truncated(global element *out, long at, long n, ulong stream, ulong seed, int proposal, float origin,
                      float scale, float span, float centre, float least, float rate, float mass, float low,
                      float high)
{
    const long i = get_global_id(0);
    float x = origin;
    bool found = false;
    for (ulong attempt = 0; attempt < 64 && !found; attempt++) {
        const uint4 words = philox(attempt << 48 | i, stream, seed);
        const float u[2] = {unit_interval(words.x), unit_interval(words.z)};
        const float v[2] = {unit_interval(words.y), unit_interval(words.w)};
        const float radius = sqrt(-2 * log(1 - u[0])), angle = 2 * M_PI_F * v[0];
        for (int j = 0; j < 2 && !found; j++) {
            if (proposal == NORMAL) {
                x = origin + scale * radius * (j ? sin(angle) : cos(angle));
                found = x >= low && x <= high;
            } else {
                const float t = proposal == UNIFORM ? span * u[j] : -log1p(-u[j] * mass) / rate;
                x = origin + scale * t;
                found = log(1 - v[j]) <= (least - (t - centre) * (t - centre)) / 2;
            }
        }
    }
    STORE1(TYPE, out, at + i, clamp(x, low, high));
}

// Integers in [low, low + range).
kernel void integers(global element *out, long at, long n, ulong stream, ulong seed, long low, ulong range)
{
    const long i = get_global_id(0);
    if (range > 0xffffffffUL) {                 // wide ranges take two words an element
        for (int j = 0; j < 4 && 4 * i + j < n; j++) {
            const uint4 words = philox(4 * i + j, stream, seed);
            STORE1(TYPE, out, at + 4 * i + j, low + (long)((((ulong)words.x << 32) | words.y) % range));
        }
        return;
    }
    const uint4 words = philox(i, stream, seed);
    const uint word[4] = {words.x, words.y, words.z, words.w};
    for (int j = 0; j < 4 && 4 * i + j < n; j++)
        STORE1(TYPE, out, at + 4 * i + j, low + (long)(((ulong)word[j] * range) >> 32));
}

// Inverted dropout: out = x / (1 - p) with probability 1 - p, else 0. The mask is drawn again in backward.
kernel void dropout(global const element *x, long x_at, global element *out, long n, ulong stream, ulong seed, float p)
{
    const long i = get_global_id(0);
    const uint4 words = philox(i, stream, seed);
    const uint word[4] = {words.x, words.y, words.z, words.w};
    const float scale = p < 1 ? 1 / (1 - p) : 0;
    for (int j = 0; j < 4 && 4 * i + j < n; j++) {
        const float value = LOAD1(TYPE, x, x_at + 4 * i + j);
        STORE1(TYPE, out, 4 * i + j, unit_interval(word[j]) >= p ? value * scale : 0);
    }
}

// What attention with dropout multiplies its weights by, out (rows, n): 0 or 1 / (1 - p), as attention.h draws it.
// Global size (n / 4, rounded up; rows).
kernel void dropout_rows(global element *out, long n, ulong stream, ulong seed, float p)
{
    const long i = get_global_id(0), row = get_global_id(1);
    const uint4 words = philox((ulong)row << 32 | i, stream, seed);
    const uint word[4] = {words.x, words.y, words.z, words.w};
    for (int j = 0; j < 4 && 4 * i + j < n; j++)
        STORE1(TYPE, out, row * n + 4 * i + j, unit_interval(word[j]) >= p ? 1 / (1 - (SCALAR)p) : 0);
}
