/* Resampling with libsoxr: linear phase, 20 bits of precision, samples in single precision.
 *
 * At "high quality" the pass-band reaches 0.913 of the lower Nyquist rate and the stop-band starts at it, 120 dB down.
 * soxr compensates its delay, rounds the length as promised, and works in blocks of its own, so that the bytes do not
 * depend on how they came (tests/unit/test_resample.c holds it to all three). Input goes in by pieces, because soxr
 * keeps a copy of what it is given at once. */
#include "motet/audio.h"

#include <soxr.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum {
    LOWEST_RATE = 8000,
    HIGHEST_FROM = 768000,
    HIGHEST_TO = 192000,
    PIECE = 4096, /* samples given to soxr at a time */
};

struct motet_resampler {
    int from;
    soxr_t engine; /* NULL: equal rates */
    float *out;    /* what the last call handed back: */
    size_t length; /* samples */
    size_t capacity;
};

motet_status motet_resampler_create(int from, int to, motet_resampler **out)
{
    *out = NULL;
    if (from < LOWEST_RATE || from > HIGHEST_FROM || to < LOWEST_RATE || to > HIGHEST_TO) {
        return mt_fail(MOTET_ERROR_ARGUMENT, "cannot resample from %d to %d Hz: wanted %d to %d and %d to %d", from, to,
                       LOWEST_RATE, HIGHEST_FROM, LOWEST_RATE, HIGHEST_TO);
    }
    motet_resampler *resampler = mt_alloc_zero(1, sizeof *resampler);
    if (!resampler) return mt_fail_memory(sizeof *resampler);
    resampler->from = from;
    if (from != to) {
        soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
        soxr_error_t error;
        resampler->engine = soxr_create(from, to, 1, &error, NULL, &quality, NULL);
        if (!resampler->engine) {
            mt_free(resampler);
            return mt_fail(MOTET_ERROR_MEMORY, "resampling from %d to %d Hz: %s", from, to, error);
        }
    }
    *out = resampler;
    return MOTET_OK;
}

void motet_resampler_destroy(motet_resampler *resampler)
{
    if (!resampler) return;
    soxr_delete(resampler->engine);
    mt_free(resampler->out);
    mt_free(resampler);
}

static motet_status make_room(motet_resampler *resampler, size_t more)
{
    size_t wanted;
    if (!mt_add(resampler->length, more, &wanted)) return mt_fail_memory(SIZE_MAX);
    if (wanted <= resampler->capacity) return MOTET_OK;
    if (wanted < resampler->capacity * 2) wanted = resampler->capacity * 2;
    float *grown = mt_grow(resampler->out, wanted, sizeof *grown);
    if (!grown) return mt_fail_memory(wanted * sizeof *grown);
    resampler->out = grown;
    resampler->capacity = wanted;
    return MOTET_OK;
}

/* Gives soxr `count` samples, or with NULL the end of the input, and appends all that comes out. */
static motet_status convert(motet_resampler *resampler, const float *samples, size_t count)
{
    size_t taken = 0, made;
    do {
        MT_TRY(make_room(resampler, PIECE));
        size_t room = resampler->capacity - resampler->length;
        soxr_error_t error = soxr_process(resampler->engine, samples, count, samples ? &taken : NULL,
                                          resampler->out + resampler->length, room, &made);
        if (error) return mt_fail(MOTET_ERROR_ARGUMENT, "resampling from %d Hz: %s", resampler->from, error);
        if (samples) samples += taken;
        count -= taken;
        resampler->length += made;
    } while (taken > 0 || made > 0);
    return MOTET_OK;
}

static motet_status copy(motet_resampler *resampler, const float *samples, size_t count)
{
    MT_TRY(make_room(resampler, count));
    if (count > 0) memcpy(resampler->out, samples, count * sizeof *samples);
    resampler->length = count;
    return MOTET_OK;
}

static motet_status convert_by_pieces(motet_resampler *resampler, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i += PIECE) {
        MT_TRY(convert(resampler, samples + i, count - i < PIECE ? count - i : PIECE));
    }
    return MOTET_OK;
}

motet_status motet_resampler_push(motet_resampler *resampler, const float *samples, size_t count, const float **out,
                                  size_t *out_count)
{
    resampler->length = 0;
    *out_count = 0;
    MT_TRY(resampler->engine ? convert_by_pieces(resampler, samples, count) : copy(resampler, samples, count));
    *out = resampler->out;
    *out_count = resampler->length;
    return MOTET_OK;
}

motet_status motet_resampler_finish(motet_resampler *resampler, const float **out, size_t *out_count)
{
    resampler->length = 0;
    *out_count = 0;
    if (resampler->engine) MT_TRY(convert(resampler, NULL, 0));
    *out = resampler->out;
    *out_count = resampler->length;
    return MOTET_OK;
}
