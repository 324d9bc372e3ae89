/* Voices by a network of their own, for what another network found: an embedding (features of what one speaker says in,
 * a vector out), an encoder of frames (wav2vec 2.0, HuBERT), whose frames are pooled, or a diarizer, whose own idea of
 * who speaks is matched with the other's. */
#ifndef MT_DIARIZE_EMBEDDER_H
#define MT_DIARIZE_EMBEDDER_H

#include "core/status.h"
#include "diarize/model.h"

typedef struct mt_embedder mt_embedder;

typedef struct mt_embedder_description {
    const char *name, *version, *licence; /* "" when the file does not say */
    int sample_rate;
    int window; /* samples that it looks at; 0: any number */
    int voice;  /* length of a voice vector */
    double threshold, similarity;
} mt_embedder_description;

motet_status mt_embedder_open(const char *path, int threads, mt_embedder **out);
void mt_embedder_close(mt_embedder *embedder); /* NULL is allowed */
const mt_embedder_description *mt_embedder_describe(const mt_embedder *embedder);

/* Voices of the local speakers of a window of samples: of each from where he is alone, or, if that is too little, from
 * wherever he is active. heard: what the other network says, and how its frames lie. voices: [speakers][voice], unit
 * length; zero for one who is hardly heard at all. */
motet_status mt_embedder_run(mt_embedder *embedder, const float *samples, const mt_model_description *heard,
                             const mt_encoding *encoding, float *voices);

#endif
