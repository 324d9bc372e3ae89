/* Loops that the compiler vectorises for this level. */
#define LEVEL avx512
#include "kernels/activation_loops.h"
