/* Growing arrays, three of them in step. */
#include "diarize/record.h"

#include <string.h>

#include "core/memory.h"

void mt_record_init(mt_record *record, int frames, int dims)
{
    memset(record, 0, sizeof *record);
    record->frames = frames;
    record->dims = dims;
}

void mt_record_free(mt_record *record)
{
    mt_free(record->windows);
    mt_free(record->voices);
    if (record->stores) {
        mt_store_close(&record->stores[0]);
        mt_store_close(&record->stores[1]);
        mt_free(record->stores);
    } else {
        mt_free(record->vectors);
        mt_free(record->activity);
    }
    mt_record_init(record, record->frames, record->dims);
}

motet_status mt_record_keep_in_files(mt_record *record)
{
    mt_store *stores = mt_alloc_zero(2, sizeof *stores);
    if (!stores) return mt_fail_memory(2 * sizeof *stores);
    motet_status status = mt_store_open(&stores[0]);
    if (status == MOTET_OK) status = mt_store_open(&stores[1]);
    if (status != MOTET_OK) {
        mt_store_close(&stores[0]);
        mt_free(stores);
        return status;
    }
    record->stores = stores;
    record->vectors = (float *)stores[0].bytes;
    record->activity = stores[1].bytes;
    return MOTET_OK;
}

void mt_record_let_go(mt_record *record, size_t voice)
{
    if (!record->stores) return;
    mt_store_let_go(&record->stores[0], voice * (size_t)record->dims * sizeof(float));
    mt_store_let_go(&record->stores[1], voice * (size_t)record->frames);
}

/* Room for the vector and the activity of one voice more. */
static motet_status make_room(mt_record *record)
{
    size_t n = record->voice_count, vector = (size_t)record->dims * sizeof(float), frames = (size_t)record->frames;
    if (record->stores) {
        MT_TRY(mt_store_grow(&record->stores[0], (n + 1) * vector));
        return mt_store_grow(&record->stores[1], (n + 1) * frames);
    }
    if (mt_reserve((void **)&record->vectors, n, &record->vector_capacity, vector) &&
        mt_reserve((void **)&record->activity, n, &record->activity_capacity, frames))
        return MOTET_OK;
    return mt_fail_memory(n * (vector + frames));
}

motet_status mt_record_window_begin(mt_record *record, int64_t start)
{
    if (!mt_reserve((void **)&record->windows, record->window_count, &record->window_capacity, sizeof *record->windows))
        return mt_fail_memory(record->window_capacity * 2 * sizeof *record->windows);
    record->windows[record->window_count++] = (mt_record_window){start, (int32_t)record->voice_count};
    return MOTET_OK;
}

void mt_record_window_drop(mt_record *record)
{
    record->voice_count = (size_t)record->windows[--record->window_count].first_voice;
}

motet_status mt_record_voice(mt_record *record, const float *vector, const float *probabilities, int stride,
                             float alone)
{
    size_t n = record->voice_count, dims = (size_t)record->dims, frames = (size_t)record->frames;
    if (!mt_reserve((void **)&record->voices, n, &record->voice_capacity, sizeof *record->voices))
        return mt_fail_memory(n * sizeof *record->voices);
    MT_TRY(make_room(record));
    record->voices[n] =
        (mt_voice){.window = (int32_t)record->window_count - 1, .alone = alone, .point = -1, .speaker = -1};
    memcpy(record->vectors + n * dims, vector, dims * sizeof(float));
    for (size_t t = 0; t < frames; t++)
        record->activity[n * frames + t] = (uint8_t)(probabilities[t * (size_t)stride] * 255 + 0.5f);
    record->voice_count++;
    return MOTET_OK;
}

void mt_record_voices_of(const mt_record *record, size_t w, size_t *first, size_t *end)
{
    *first = (size_t)record->windows[w].first_voice;
    *end = w + 1 < record->window_count ? (size_t)record->windows[w + 1].first_voice : record->voice_count;
}
