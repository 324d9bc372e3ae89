/* Is this tensor the one that was expected? Type and shape exactly; integers, booleans and strings exactly; floating
 * point within a tolerance, NaN where NaN is expected and infinities in their place. */
#ifndef CONFORMANCE_COMPARE_H
#define CONFORMANCE_COMPARE_H

#include "motet/tensor.h"
#include "reason.h"

/* Bounds on floating-point outputs; a negative one is not asked for. */
typedef struct tolerance {
    double rtol, atol;       /* each element: |got - expected| <= atol + rtol |expected|, as numpy's allclose */
    double max_abs;          /* the largest |got - expected| */
    double max_abs_over_std; /* the same over the standard deviation of the expected elements */
    double cosine;           /* at least this, between the two as vectors */
} tolerance;

/* How far apart two floating-point tensors are, over their finite elements. Zeros for other types. */
typedef struct distance {
    double max_abs, max_abs_over_std, cosine;
} distance;

/* The default of the ONNX backend tests: rtol 1e-3, atol 1e-7. */
tolerance tolerance_default(void);

/* Reads lines "KEY VALUE" (keys as above, # begins a comment) from `path`; what it does not name is not asked for. */
bool tolerance_read(const char *path, tolerance *out, reason *why);

/* `apart`, when not NULL, is widened to the distance seen, so that one can run over several tensors: start at
 * distance_none(). */
bool compare_tensors(const motet_tensor *expected, const motet_tensor *got, const tolerance *within, distance *apart,
                     reason *why);

distance distance_none(void);

#endif
