/* Are these the tensors that were expected? Types and shapes exactly; integers, booleans and strings exactly; floating
 * point within a tolerance, NaN where NaN is expected and infinities in their place; lists item by item. */
#ifndef MOTET_COMPARE_H
#define MOTET_COMPARE_H

#include "motet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bounds on floating-point tensors; a negative one is not asked for. */
typedef struct motet_tolerance {
    double rtol, atol;       /* each element: |got - expected| <= atol + rtol |expected|, as numpy's allclose */
    double max_abs;          /* the largest |got - expected| */
    double max_abs_over_std; /* the same over the standard deviation of the expected elements */
    double cosine;           /* at least this, between the two as vectors */
} motet_tolerance;

/* Fills in the tolerance of the ONNX backend tests: rtol 1e-3, atol 1e-7, nothing else asked. */
MOTET_API void motet_tolerance_init(motet_tolerance *tolerance);

/* How far apart two floating-point tensors are, over the elements that are finite in both. A complex element counts as
 * two. Integers, booleans and strings are as far apart as they differ: not at all when they pass. */
typedef struct motet_distance {
    double max_abs;          /* the largest |got - expected| */
    double max_abs_over_std; /* over the standard deviation of the expected; infinite for a constant that differs */
    double mse;              /* the mean of (got - expected)^2 */
    double cosine;           /* 1 when nothing differs */
} motet_distance;

/* The distance of equal tensors: zeros, cosine 1. */
MOTET_API void motet_distance_init(motet_distance *distance);

/* Compares. `distance` may be NULL; else it is widened to what is seen here, so that one can go through several
 * comparisons: the largest differences and the smallest cosine stay. MOTET_OK when `got` is within `tolerance`; SHAPE
 * when types or shapes differ, DIFFERENT when elements do, with the place, what was expected and what came. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_compare(const motet_tensor *expected, const motet_tensor *got,
                                                          const motet_tolerance *tolerance, motet_distance *distance);

#ifdef __cplusplus
}
#endif
#endif
