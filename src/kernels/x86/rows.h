/* Repeats a macro for every row of a tile, so that each accumulator is a variable of its own: gcc keeps those in
 * registers, where it spills the elements of an array at every step. */
#ifndef MT_KERNELS_X86_ROWS_H
#define MT_KERNELS_X86_ROWS_H

#define MT_ROWS_1(X)  X(0)
#define MT_ROWS_2(X)  MT_ROWS_1(X) X(1)
#define MT_ROWS_3(X)  MT_ROWS_2(X) X(2)
#define MT_ROWS_4(X)  MT_ROWS_3(X) X(3)
#define MT_ROWS_5(X)  MT_ROWS_4(X) X(4)
#define MT_ROWS_6(X)  MT_ROWS_5(X) X(5)
#define MT_ROWS_7(X)  MT_ROWS_6(X) X(6)
#define MT_ROWS_8(X)  MT_ROWS_7(X) X(7)
#define MT_ROWS_9(X)  MT_ROWS_8(X) X(8)
#define MT_ROWS_10(X) MT_ROWS_9(X) X(9)
#define MT_ROWS_11(X) MT_ROWS_10(X) X(10)
#define MT_ROWS_12(X) MT_ROWS_11(X) X(11)

/* Row i of A at the present step, from one of four pointers three rows apart: addresses of the form base + 2^n * index
 * need no registers of their own. */
#define MT_A_0(type)  (*(const type *)(p0))
#define MT_A_1(type)  (*(const type *)(p0 + row))
#define MT_A_2(type)  (*(const type *)(p0 + 2 * row))
#define MT_A_3(type)  (*(const type *)(p3))
#define MT_A_4(type)  (*(const type *)(p3 + row))
#define MT_A_5(type)  (*(const type *)(p3 + 2 * row))
#define MT_A_6(type)  (*(const type *)(p6))
#define MT_A_7(type)  (*(const type *)(p6 + row))
#define MT_A_8(type)  (*(const type *)(p6 + 2 * row))
#define MT_A_9(type)  (*(const type *)(p9))
#define MT_A_10(type) (*(const type *)(p9 + row))
#define MT_A_11(type) (*(const type *)(p9 + 2 * row))

#endif
