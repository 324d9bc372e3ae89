/* Between the caller's named tensors and a run. */
#ifndef MT_ENGINE_TRANSFER_H
#define MT_ENGINE_TRANSFER_H

#include "engine/run.h"

/* The arguments of motet_session_run. */
typedef struct mt_transfer {
    const mt_model *model;
    bool any_shape; /* hold no input to the shape that the model declares */
    const char *const *input_names;
    const motet_tensor *const *inputs;
    size_t input_count;
    const char *const *output_names;
    motet_tensor **outputs;
    size_t output_count;
} mt_transfer;

/* Checks names, types and shapes against what the model declares, and feeds the run. */
motet_status mt_feed_inputs(mt_run *run, const mt_transfer *transfer);

/* After the run: fills in the outputs, all of them or on failure none. */
motet_status mt_take_outputs(mt_run *run, const mt_transfer *transfer);

#endif
