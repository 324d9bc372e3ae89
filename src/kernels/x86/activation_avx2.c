/* Loops that the compiler vectorises for this level. */
#define LEVEL avx2
#include "kernels/activation_loops.h"
