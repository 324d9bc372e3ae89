/* Tensors: typed arrays with a shape, the currency of the engine.
 *
 * Elements lie densely in row-major order (the last axis runs fastest). A tensor of rank 0 holds one element.
 * A tensor either owns its elements or borrows them; which one is said where it is made.
 *
 * A few models also take or make lists of tensors: sequences, optionals and maps. They go by the same handle; see
 * motet_kind. */
#ifndef MOTET_TENSOR_H
#define MOTET_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "motet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers of ONNX TensorProto.DataType. */
typedef enum motet_type {
    MOTET_UNDEFINED = 0,
    MOTET_FLOAT = 1,
    MOTET_UINT8 = 2,
    MOTET_INT8 = 3,
    MOTET_UINT16 = 4,
    MOTET_INT16 = 5,
    MOTET_INT32 = 6,
    MOTET_INT64 = 7,
    MOTET_STRING = 8,
    MOTET_BOOL = 9, /* one byte, 0 or 1 */
    MOTET_FLOAT16 = 10,
    MOTET_DOUBLE = 11,
    MOTET_UINT32 = 12,
    MOTET_UINT64 = 13,
    MOTET_COMPLEX64 = 14,
    MOTET_COMPLEX128 = 15,
    MOTET_BFLOAT16 = 16,
    /* From here on one byte an element: a float's code in the low bits, int4 and int2 as int8, uint4 and uint2 as
       uint8. */
    MOTET_FLOAT8E4M3FN = 17,
    MOTET_FLOAT8E4M3FNUZ = 18,
    MOTET_FLOAT8E5M2 = 19,
    MOTET_FLOAT8E5M2FNUZ = 20,
    MOTET_UINT4 = 21,
    MOTET_INT4 = 22,
    MOTET_FLOAT4E2M1 = 23,
    MOTET_FLOAT8E8M0 = 24,
    MOTET_UINT2 = 25,
    MOTET_INT2 = 26,
    MOTET_FLOAT6E2M3 = 27,
    MOTET_FLOAT6E3M2 = 28
} motet_type;

/* The most axes a tensor may have. ONNX names no bound; nothing that people export comes near this one. */
#define MOTET_MAX_RANK 8

/* What a handle stands for. All but a tensor are lists of other values, their items (motet_tensor_item); their type is
 * MOTET_UNDEFINED, their rank 1, their count the number of items, and they have no elements. */
typedef enum motet_kind {
    MOTET_TENSOR = 0,
    MOTET_SEQUENCE, /* any number of tensors of one type, or of maps */
    MOTET_OPTIONAL, /* nothing, or one tensor, sequence or map */
    MOTET_MAP       /* two tensors with one axis of the same length: the keys (strings or integers), the values */
} motet_kind;

typedef struct motet_tensor motet_tensor;

/* "tensor", "sequence", "optional", "map". Static storage. */
MOTET_API const char *motet_kind_name(motet_kind kind);

/* "float32", "int64", ...; "undefined" for what is not a type. Static storage. */
MOTET_API const char *motet_type_name(motet_type type);

/* Bytes of one element; 0 for MOTET_STRING and MOTET_UNDEFINED, whose elements are not plain bytes. */
MOTET_API size_t motet_type_size(motet_type type);

/* A new tensor that owns zeroed elements (empty strings for MOTET_STRING). dims: rank values >= 0; NULL when rank is 0.
 * Errors: ARGUMENT (type, rank or a negative dimension), LIMIT (the size overflows), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_create(motet_type type, int rank, const int64_t *dims,
                                                         motet_tensor **out);

/* A tensor over the caller's memory, which must outlive it, hold `bytes` >= the size of the shape, and lie at a
 * multiple of the element's size (of 8 bytes for larger ones). Booleans must be 0 or 1. Not for MOTET_STRING. Errors:
 * as above, and ARGUMENT when `bytes` is too small or the address will not do. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_borrow(motet_type type, int rank, const int64_t *dims, void *data,
                                                         size_t bytes, motet_tensor **out);

/* A list of `count` items, which it shares: their handles may be destroyed while the list lives, but memory they borrow
 * must outlive it. items: NULL when count is 0. Errors: ARGUMENT (not a list, or items that the kind does not allow),
 * MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_list(motet_kind kind, const motet_tensor *const *items, size_t count,
                                                       motet_tensor **out);

/* Frees the tensor, and its elements when it owns them. NULL is allowed. */
MOTET_API void motet_tensor_destroy(motet_tensor *tensor);

MOTET_API motet_kind motet_tensor_kind(const motet_tensor *tensor);
MOTET_API motet_type motet_tensor_type(const motet_tensor *tensor);
MOTET_API int motet_tensor_rank(const motet_tensor *tensor);
MOTET_API const int64_t *motet_tensor_dims(const motet_tensor *tensor); /* rank values, owned by the tensor */
MOTET_API int64_t motet_tensor_count(const motet_tensor *tensor);       /* elements: the product of the dims */
MOTET_API void *motet_tensor_data(motet_tensor *tensor);                /* not for MOTET_STRING */
MOTET_API const void *motet_tensor_const_data(const motet_tensor *tensor);

/* Element `index`, counted in row-major order, as a number: the real part of a complex one, 0 or 1 of a bool; integers
 * beyond 2^53 are rounded. NaN for what is no number or not there. */
MOTET_API double motet_tensor_number(const motet_tensor *tensor, int64_t index);

/* Item `index` of a list, owned by it; NULL when there is none. */
MOTET_API const motet_tensor *motet_tensor_item(const motet_tensor *list, int64_t index);

/* Element `index` of a MOTET_STRING tensor, NUL-terminated (the string itself may hold NULs: *length tells, when not
 * NULL). Owned by the tensor. */
MOTET_API const char *motet_tensor_string(const motet_tensor *tensor, int64_t index, size_t *length);

/* Replaces element `index` of a MOTET_STRING tensor by a copy of `length` bytes. Errors: ARGUMENT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_set_string(motet_tensor *tensor, int64_t index, const char *bytes,
                                                             size_t length);

#ifdef __cplusplus
}
#endif
#endif
