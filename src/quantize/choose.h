/* Which layers bear integers. */
#ifndef MT_QUANTIZE_CHOOSE_H
#define MT_QUANTIZE_CHOOSE_H

#include "quantize/observe.h"

/* The runs that mt_choose makes at most. */
size_t mt_choose_runs(const motet_quantize_options *options, size_t count);

/* Leaves layers of the model at `path` float, of those that are to be quantised, until its outputs are as near to the
 * float model's as is asked, and notes what was found out about each. */
motet_status mt_choose(const char *path, mt_tally *tally, const mt_byte_scale *scales, motet_quantized_layer *layers,
                       size_t count);

#endif
