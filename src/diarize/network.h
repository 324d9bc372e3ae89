/* One ONNX file of a diarizer: its session, and what it says of itself (models/README.md), in its metadata or in a JSON
 * file beside it. Both are untrusted: whoever asks names the range that an answer may lie in. */
#ifndef MT_DIARIZE_NETWORK_H
#define MT_DIARIZE_NETWORK_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"
#include "motet/session.h"

typedef struct mt_network {
    motet_session *session;
    json_t *sidecar; /* the keys beside somebody else's file, NULL when there are none */
    char *path;      /* for messages */
} mt_network;

/* After an error it can be closed all the same. */
motet_status mt_network_open(const char *path, int threads, mt_network *out);
void mt_network_close(mt_network *network);

bool mt_network_says(const mt_network *n, const char *key);

/* The text of a key: the file's metadata first, then the sidecar. NULL when neither has it. */
const char *mt_network_text(const mt_network *n, const char *key);
const char *mt_network_text_or(const mt_network *n, const char *key, const char *otherwise);

/* Errors: UNSUPPORTED (the key is missing), FORMAT (no number, or out of range). */
motet_status mt_network_number(const mt_network *n, const char *key, double low, double high, double *out);
motet_status mt_network_int(const mt_network *n, const char *key, int low, int high, int *out);

/* The same for keys that may be missing: *out then stays as it is. */
motet_status mt_network_maybe_number(const mt_network *n, const char *key, double low, double high, double *out);
motet_status mt_network_maybe_int(const mt_network *n, const char *key, int low, int high, int *out);

/* *out becomes the place of the key's text among `choices`, which ends with NULL; a missing key is the first one when
 * `maybe`. Errors: UNSUPPORTED. */
motet_status mt_network_choice(const mt_network *n, const char *key, const char *const *choices, bool maybe, int *out);

/* The input or output of that name, NULL when there is none. */
const motet_value_info *mt_network_input(const mt_network *n, const char *name);
const motet_value_info *mt_network_output(const mt_network *n, const char *name);

/* The input or output that the key names, or the first one. Errors: SHAPE (there is none of that name). */
motet_status mt_network_find_input(const mt_network *n, const char *key, const motet_value_info **out);
motet_status mt_network_find_output(const mt_network *n, const char *key, const motet_value_info **out);

/* Fails unless float32 values of this shape can be what the file declares. what: "input" or "output". */
motet_status mt_network_check(const motet_value_info *info, const char *what, int rank, const int64_t *dims);

#endif
