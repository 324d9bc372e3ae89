/* Typed loops from one text. A list such as MT_FLOATS(X, ...) expands X once for every element type of its kind:
 *
 *     X(TYPE, tag, stored, computed, LOAD, STORE, SIMD, ...)
 *
 * TYPE is the name after MOTET_, tag a suffix for function names. An element lies in memory as `stored`; LOAD turns it
 * into `computed`, the C type to calculate in, and STORE turns a result back. They differ for the 16-bit floats alone,
 * so an operator written with LOAD and STORE gets those for nothing. SIMD is MT_SIMD for float32 and empty elsewhere.
 *
 * A table indexed by type is made the same way: static const loop loops[MT_TYPES] = {MT_FLOATS(ENTRY, name)}; */
#ifndef MT_OPS_TYPES_H
#define MT_OPS_TYPES_H

#include "kernels/half.h"
#include "kernels/simd.h"
#include "motet/tensor.h"

enum { MT_TYPES = MOTET_FLOAT6E3M2 + 1 };

#define MT_AS_IS(x) (x)

#define MT_F32(X, ...)  X(FLOAT, f32, float, float, MT_AS_IS, MT_AS_IS, MT_SIMD, __VA_ARGS__)
#define MT_F64(X, ...)  X(DOUBLE, f64, double, double, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_F16(X, ...)  X(FLOAT16, f16, uint16_t, float, mt_half_to_float, mt_float_to_half, , __VA_ARGS__)
#define MT_BF16(X, ...) X(BFLOAT16, bf16, uint16_t, float, mt_bfloat_to_float, mt_float_to_bfloat, , __VA_ARGS__)
#define MT_I8(X, ...)   X(INT8, i8, int8_t, int8_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_I16(X, ...)  X(INT16, i16, int16_t, int16_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_I32(X, ...)  X(INT32, i32, int32_t, int32_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_I64(X, ...)  X(INT64, i64, int64_t, int64_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_U8(X, ...)   X(UINT8, u8, uint8_t, uint8_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_U16(X, ...)  X(UINT16, u16, uint16_t, uint16_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_U32(X, ...)  X(UINT32, u32, uint32_t, uint32_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_U64(X, ...)  X(UINT64, u64, uint64_t, uint64_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)
#define MT_BOOL(X, ...) X(BOOL, bool, uint8_t, uint8_t, MT_AS_IS, MT_AS_IS, , __VA_ARGS__)

#define MT_WIDE_FLOATS(X, ...) MT_F32(X, __VA_ARGS__) MT_F64(X, __VA_ARGS__)
#define MT_FLOATS(X, ...)      MT_WIDE_FLOATS(X, __VA_ARGS__) MT_F16(X, __VA_ARGS__) MT_BF16(X, __VA_ARGS__)
#define MT_SIGNED(X, ...)      MT_I8(X, __VA_ARGS__) MT_I16(X, __VA_ARGS__) MT_I32(X, __VA_ARGS__) MT_I64(X, __VA_ARGS__)
#define MT_UNSIGNED(X, ...)    MT_U8(X, __VA_ARGS__) MT_U16(X, __VA_ARGS__) MT_U32(X, __VA_ARGS__) MT_U64(X, __VA_ARGS__)
#define MT_INTS(X, ...)        MT_SIGNED(X, __VA_ARGS__) MT_UNSIGNED(X, __VA_ARGS__)
#define MT_NUMBERS(X, ...)     MT_FLOATS(X, __VA_ARGS__) MT_INTS(X, __VA_ARGS__)

/* A double as an integer of type T: beyond its range the nearest value it has, and NaN as 0, where C leaves a plain
 * cast undefined. `value` is evaluated more than once. */
#define MT_LEAST(T)    ((T)-1 < (T)1 ? -(double)(UINT64_C(1) << (8 * sizeof(T) - 1)) : 0.0)
#define MT_BEYOND(T)   (((T)-1 < (T)1 ? 1.0 : 2.0) * (double)(UINT64_C(1) << (8 * sizeof(T) - 1)))
#define MT_GREATEST(T) ((T)-1 < (T)1 ? (T)(((UINT64_C(1) << (8 * sizeof(T) - 1)) - 1)) : (T)-1)
#define MT_SATURATE(T, value)                                                                                          \
    ((value) >= MT_BEYOND(T)  ? MT_GREATEST(T)                                                                         \
     : (value) > MT_LEAST(T)  ? (T)(value)                                                                             \
     : (value) <= MT_LEAST(T) ? (T)MT_LEAST(T)                                                                         \
                              : (T)0)

/* The entry for a type, or NULL. */
#define MT_PICK(table, type) ((unsigned)(type) < MT_TYPES ? (table)[type] : NULL)

#define MT_ENTRY(TYPE, tag, S, T, LOAD, STORE, SIMD, name) [MOTET_##TYPE] = name##_##tag,

#endif
