// Sums and maxima over a work-group in a fixed order, so that results repeat bit for bit.
#ifndef REDUCE_H
#define REDUCE_H

// The result is in scratch[0] for every work-item. `scratch` holds one value a work-item; the local size is a power
// of two and every work-item of the group calls. For a group of one it costs nothing.
#define REDUCE_GROUP(name, type, JOIN)                                                                                \
    static type name(type value, local type *scratch)                                                                 \
    {                                                                                                                 \
        const size_t item = get_local_id(0);                                                                          \
        scratch[item] = value;                                                                                        \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                 \
        for (size_t half_way = get_local_size(0) / 2; half_way > 0; half_way /= 2) {                                  \
            if (item < half_way)                                                                                      \
                scratch[item] = JOIN(scratch[item], scratch[item + half_way]);                                        \
            barrier(CLK_LOCAL_MEM_FENCE);                                                                             \
        }                                                                                                             \
        return scratch[0];                                                                                            \
    }

#endif
