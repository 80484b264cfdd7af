// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random words for each
// counter and key, the same on every device.
#ifndef PHILOX_H
#define PHILOX_H

static uint4 philox(ulong counter, ulong stream, ulong key)
{
    uint4 c = (uint4)((uint)counter, (uint)(counter >> 32), (uint)stream, (uint)(stream >> 32));
    uint2 k = (uint2)((uint)key, (uint)(key >> 32));
    for (int round = 0; round < 10; round++) {
        const uint hi0 = mul_hi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        const uint hi1 = mul_hi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = (uint4)(hi1 ^ c.y ^ k.x, lo1, hi0 ^ c.w ^ k.y, lo0);
        k += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// A word as a float in [0, 1): its upper 24 bits.
static float unit_interval(uint word) { return (word >> 8) * 0x1p-24f; }

#endif
