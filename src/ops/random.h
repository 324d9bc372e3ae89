/* Random numbers: the Mersenne Twister (Matsumoto and Nishimura, 1998), drawn from as NumPy's RandomState does, so that
 * a seed gives here what it gives in NumPy and in ONNX's reference implementation. The standard leaves the generator
 * open. */
#ifndef MT_OPS_RANDOM_H
#define MT_OPS_RANDOM_H

#include "ops/op.h"

enum { MT_RANDOM_STATE = 624 };

typedef struct mt_random {
    uint32_t state[MT_RANDOM_STATE];
    int at;
    bool has_normal; /* they come in pairs */
    double normal;
} mt_random;

/* Seeded by the attribute "seed", an integer or a float, or where it is missing by the system. */
motet_status mt_random_start(mt_op_context *c, mt_random *random);

double mt_random_uniform(mt_random *random); /* [0, 1) */
double mt_random_normal(mt_random *random);  /* mean 0, deviation 1 */

#endif
