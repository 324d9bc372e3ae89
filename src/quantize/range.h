/* The range of floats that bytes are to stand for, found from samples of them. */
#ifndef MT_QUANTIZE_RANGE_H
#define MT_QUANTIZE_RANGE_H

#include <stdint.h>

#include "motet/quantize.h"

enum { MT_RANGE_BINS = 2048 };

/* A byte b stands for (b - zero) * scale. */
typedef struct mt_byte_scale {
    float scale;
    uint8_t zero;
} mt_byte_scale;

/* What has been seen of a tensor: its range in a first pass over the samples, then, where the method wants it, how its
 * values are spread over it. All zero: nothing. */
typedef struct mt_range {
    float least, most; /* 0 is always within */
    int64_t *bins;     /* MT_RANGE_BINS equal parts of that range, or NULL */
} mt_range;

/* Values that are not finite are passed over. */
void mt_range_widen(mt_range *range, const float *values, int64_t count);
void mt_range_count(mt_range *range, const float *values, int64_t count); /* bins must be there */

/* The part of the range that the bytes stand for: all of it, or what `method` leaves. */
mt_byte_scale mt_range_scale(const mt_range *range, motet_quantize_method method, double percentile);

#endif
