/* What makes the encoding of a window: one network that tells activity and voices, or one for each. With two, windows
 * are of samples, and whatever a network wants of them it makes of each window. */
#ifndef MT_DIARIZE_LISTENER_H
#define MT_DIARIZE_LISTENER_H

#include "diarize/model.h"

typedef struct mt_listener mt_listener;

/* embedding: the file that voices come from; NULL: they come from the model. Errors: those of the networks, and
 * UNSUPPORTED when the two do not go together. */
motet_status mt_listener_open(const char *model, const char *embedding, int threads, mt_listener **out);
void mt_listener_close(mt_listener *listener); /* NULL is allowed */

/* The pair as if it were one: its voices, threshold and similarity are those of where voices come from. */
const mt_model_description *mt_listener_describe(const mt_listener *listener);

/* name, version and licence of the network for voices; NULL when there is none. */
const char *const *mt_listener_embedding(const mt_listener *listener);

/* As mt_model_encode. */
motet_status mt_listener_encode(mt_listener *listener, const float *input, int64_t start, const mt_encoding **out);

/* What the model was last run on; NULL when it is a detector, which runs many times a window. */
const motet_tensor *mt_listener_input(const mt_listener *listener);

#endif
