#include "diarize/listener.h"

#include <string.h>

#include "core/memory.h"
#include "diarize/embedder.h"

struct mt_listener {
    mt_model *model;
    mt_embedder *embedder; /* NULL: voices are the model's */
    mt_model_description description;
    const char *embedding[3];
    mt_encoding encoding; /* its voices are owned here, the rest is the model's */
    mt_mel *mel;          /* NULL: the model takes what comes */
    float *frames;        /* log-mel of a window */
};

/* --- opening --------------------------------------------------------------------------------------------------- */

static motet_status check_pair(const mt_model_description *m, const mt_embedder_description *e, const char *embedding)
{
    if (m->sample_rate != e->sample_rate)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "%s: takes %d Hz, and the model beside it %d Hz", embedding,
                       e->sample_rate, m->sample_rate);
    if (e->window && m->window != e->window)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "%s: looks at %d samples, and the model beside it at %d", embedding,
                       e->window, m->window);
    return MOTET_OK;
}

static motet_status open_pair(mt_listener *l, const char *model, const char *embedding, int threads)
{
    MT_TRY(mt_embedder_open(embedding, threads, &l->embedder));
    const mt_embedder_description *e = mt_embedder_describe(l->embedder);
    MT_TRY(mt_model_open(model, threads, e->window, &l->model));
    l->description = *mt_model_describe(l->model);
    mt_model_description *d = &l->description;
    MT_TRY(check_pair(d, e, embedding));
    if (d->log_mel) {
        MT_TRY(mt_mel_create(&d->mel, &l->mel));
        l->frames = mt_alloc_array((size_t)(d->window / d->mel.frame_step), (size_t)d->mel.bins * sizeof *l->frames);
        if (!l->frames) return mt_fail_memory((size_t)d->window);
    }
    d->log_mel = false;
    d->voice = e->voice;
    d->threshold = e->threshold;
    d->similarity = e->similarity;
    l->embedding[0] = e->name;
    l->embedding[1] = e->version;
    l->embedding[2] = e->licence;
    l->encoding.voices = mt_alloc_zero((size_t)d->speakers, (size_t)d->voice * sizeof(float));
    return l->encoding.voices ? MOTET_OK : mt_fail_memory((size_t)d->voice * sizeof(float));
}

static motet_status open_one(mt_listener *l, const char *model, int threads)
{
    MT_TRY(mt_model_open(model, threads, 0, &l->model));
    l->description = *mt_model_describe(l->model);
    if (l->description.voice) return MOTET_OK;
    return mt_fail(MOTET_ERROR_UNSUPPORTED,
                   "%s: it tells activity and no voices: give a network for them beside it (--embedding)", model);
}

motet_status mt_listener_open(const char *model, const char *embedding, int threads, mt_listener **out)
{
    *out = NULL;
    mt_listener *l = mt_alloc_zero(1, sizeof *l);
    if (!l) return mt_fail_memory(sizeof *l);
    motet_status status = embedding ? open_pair(l, model, embedding, threads) : open_one(l, model, threads);
    if (status != MOTET_OK) {
        mt_listener_close(l);
        return status;
    }
    *out = l;
    return MOTET_OK;
}

void mt_listener_close(mt_listener *l)
{
    if (!l) return;
    mt_free(l->encoding.voices);
    mt_free(l->frames);
    mt_mel_destroy(l->mel);
    mt_embedder_close(l->embedder);
    mt_model_close(l->model);
    mt_free(l);
}

const mt_model_description *mt_listener_describe(const mt_listener *l)
{
    return &l->description;
}

const char *const *mt_listener_embedding(const mt_listener *l)
{
    return l->embedder ? l->embedding : NULL;
}

/* --- one window ------------------------------------------------------------------------------------------------ */

motet_status mt_listener_encode(mt_listener *l, const float *input, int64_t start, const mt_encoding **out)
{
    const mt_encoding *heard;
    const float *rows = input;
    if (!l->embedder) return mt_model_encode(l->model, input, start, out);
    if (l->mel) {
        MT_TRY(mt_mel_window(l->mel, input, (size_t)l->description.window, l->frames));
        rows = l->frames;
    }
    MT_TRY(mt_model_encode(l->model, rows, start, &heard));
    l->encoding.active = heard->active;
    l->encoding.alone = heard->alone;
    *out = &l->encoding;
    return mt_embedder_run(l->embedder, input, &l->description, heard, l->encoding.voices);
}

const motet_tensor *mt_listener_input(const mt_listener *l)
{
    return mt_model_input(l->model);
}
