/* See detector.h. Chunks are counted from where the detector began; the probabilities of the last ones, as many as a
 * window covers, are kept for the windows that share them. */
#include "diarize/detector.h"

#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"

enum { MOST_STATE = 1 << 20 }; /* values */

struct mt_detector {
    const mt_network *network;
    int chunk, context;
    const motet_value_info *audio, *memory, *probability, *next; /* memory, next: NULL when it keeps none */
    const char *rate_name;                                       /* NULL: it is not told */
    motet_tensor *input, *rate, *state;                          /* input: [1, context + chunk] */
    int held;                                                    /* samples of the chunk to come */
    int64_t base, fed;                                           /* samples: where it began, and how far it is */
    float *kept;                                                 /* probabilities of the last chunks ... */
    int64_t kept_from;                                           /* ... from this one on */
    int kept_count, kept_most;
};

/* --- making one ------------------------------------------------------------------------------------------------ */

static motet_status make_state(mt_detector *d)
{
    const motet_value_info *info = d->memory;
    int64_t dims[MOTET_MAX_RANK];
    for (int i = 0; i < info->rank; i++) dims[i] = info->dims[i] < 0 ? 1 : info->dims[i];
    int64_t count = info->rank < 0 ? -1 : mt_shape_count(info->rank, dims);
    if (info->type != MOTET_FLOAT || count < 0 || count > MOST_STATE)
        return mt_fail(MOTET_ERROR_SHAPE, "input '%s' does not say a shape that a state can have", info->name);
    MT_TRY(motet_tensor_create(MOTET_FLOAT, info->rank, dims, &d->state));
    memset(d->state->data, 0, (size_t)count * sizeof(float));
    return MOTET_OK;
}

static motet_status find_memory(mt_detector *d)
{
    const mt_network *n = d->network;
    if (!mt_network_says(n, "motet.state")) return MOTET_OK;
    MT_TRY(mt_network_find_input(n, "motet.state", &d->memory));
    if (!mt_network_says(n, "motet.state_next"))
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "the model says motet.state and not motet.state_next");
    MT_TRY(mt_network_find_output(n, "motet.state_next", &d->next));
    return make_state(d);
}

/* Most take a scalar, some a list of one. */
static motet_status find_rate(mt_detector *d, int sample_rate)
{
    const motet_value_info *info;
    const int64_t one = 1;
    if (!mt_network_says(d->network, "motet.input.rate")) return MOTET_OK;
    MT_TRY(mt_network_find_input(d->network, "motet.input.rate", &info));
    if (info->type != MOTET_INT64 || info->rank > 1)
        return mt_fail(MOTET_ERROR_SHAPE, "input '%s' is no int64 that could hold a sample rate", info->name);
    d->rate_name = info->name;
    MT_TRY(motet_tensor_create(MOTET_INT64, info->rank < 0 ? 0 : info->rank, &one, &d->rate));
    *(int64_t *)d->rate->data = sample_rate;
    return MOTET_OK;
}

static motet_status set_up(mt_detector *d, int sample_rate, int window)
{
    const mt_network *n = d->network;
    MT_TRY(mt_network_int(n, "motet.frame_step", 1, window, &d->chunk));
    MT_TRY(mt_network_maybe_int(n, "motet.context", 0, d->chunk, &d->context));
    MT_TRY(mt_network_find_input(n, "motet.input.audio", &d->audio));
    MT_TRY(mt_network_find_output(n, "motet.output.activity", &d->probability));
    MT_TRY(find_memory(d));
    MT_TRY(find_rate(d, sample_rate));
    int64_t dims[] = {1, d->context + d->chunk};
    MT_TRY(mt_network_check(d->audio, "input", 2, dims));
    MT_TRY(motet_tensor_create(MOTET_FLOAT, 2, dims, &d->input));
    memset(d->input->data, 0, (size_t)dims[1] * sizeof(float));
    d->kept_most = window / d->chunk + 2;
    d->kept = mt_alloc_zero((size_t)d->kept_most, sizeof *d->kept);
    return d->kept ? MOTET_OK : mt_fail_memory((size_t)d->kept_most * sizeof *d->kept);
}

motet_status mt_detector_create(const mt_network *network, int sample_rate, int window, mt_detector **out)
{
    *out = NULL;
    mt_detector *d = mt_alloc_zero(1, sizeof *d);
    if (!d) return mt_fail_memory(sizeof *d);
    d->network = network;
    motet_status status = set_up(d, sample_rate, window);
    if (status != MOTET_OK) {
        mt_detector_destroy(d);
        return status;
    }
    *out = d;
    return MOTET_OK;
}

void mt_detector_destroy(mt_detector *d)
{
    if (!d) return;
    motet_tensor_destroy(d->input);
    motet_tensor_destroy(d->rate);
    motet_tensor_destroy(d->state);
    mt_free(d->kept);
    mt_free(d);
}

/* --- running it ------------------------------------------------------------------------------------------------ */

static void begin_at(mt_detector *d, int64_t start)
{
    memset(d->input->data, 0, (size_t)d->input->count * sizeof(float));
    if (d->state) memset(d->state->data, 0, (size_t)d->state->count * sizeof(float));
    d->base = d->fed = start;
    d->held = d->kept_count = 0;
    d->kept_from = 0;
}

static void keep(mt_detector *d, float probability)
{
    if (d->kept_count == d->kept_most) {
        memmove(d->kept, d->kept + 1, (size_t)(d->kept_most - 1) * sizeof *d->kept);
        d->kept_count--;
        d->kept_from++;
    }
    d->kept[d->kept_count++] = probability > 0 ? (probability < 1 ? probability : 1) : 0; /* NaN: 0 */
}

/* The state that came out goes in next time, if it can. */
static motet_status take_state(mt_detector *d, motet_tensor *next)
{
    char found[MT_SHAPE_TEXT];
    if (next->type != MOTET_FLOAT || next->rank != d->state->rank || next->count != d->state->count)
        return mt_fail(MOTET_ERROR_SHAPE, "output '%s' came out as %s, which is not the shape of its state",
                       d->next->name, mt_tensor_describe(next, found, sizeof found));
    memcpy(d->state->data, next->data, (size_t)next->count * sizeof(float));
    return MOTET_OK;
}

static motet_status run_chunk(mt_detector *d)
{
    const char *input_names[3] = {d->audio->name}, *output_names[2] = {d->probability->name};
    const motet_tensor *inputs[3] = {d->input};
    motet_tensor *outputs[2] = {NULL, NULL};
    size_t input_count = 1, output_count = 1;
    if (d->memory) {
        input_names[input_count] = d->memory->name;
        inputs[input_count++] = d->state;
        output_names[output_count++] = d->next->name;
    }
    if (d->rate) {
        input_names[input_count] = d->rate_name;
        inputs[input_count++] = d->rate;
    }
    MT_TRY(
        motet_session_run(d->network->session, input_names, inputs, input_count, output_names, outputs, output_count));
    motet_status status = d->memory ? take_state(d, outputs[1]) : MOTET_OK;
    if (status == MOTET_OK && (outputs[0]->type != MOTET_FLOAT || outputs[0]->count != 1))
        status = mt_fail(MOTET_ERROR_SHAPE, "output '%s' is not one probability a chunk", d->probability->name);
    if (status == MOTET_OK) keep(d, *(const float *)outputs[0]->data);
    motet_tensor_destroy(outputs[0]);
    motet_tensor_destroy(outputs[1]);
    return status;
}

static motet_status feed(mt_detector *d, const float *samples, int64_t count)
{
    float *input = d->input->data;
    while (count) {
        int room = d->chunk - d->held, take = count < room ? (int)count : room;
        memcpy(input + d->context + d->held, samples, (size_t)take * sizeof *input);
        samples += take;
        count -= take;
        d->fed += take;
        d->held += take;
        if (d->held < d->chunk) continue;
        MT_TRY(run_chunk(d));
        memmove(input, input + d->chunk, (size_t)d->context * sizeof *input);
        d->held = 0;
    }
    return MOTET_OK;
}

/* The probability of the chunk that holds this sample; of a chunk that is not full yet the last one's. */
static float probability_at(const mt_detector *d, int64_t sample)
{
    int64_t at = (sample - d->base) / d->chunk - d->kept_from;
    if (!d->kept_count) return 0;
    return d->kept[at < 0 ? 0 : at < d->kept_count ? at : d->kept_count - 1];
}

motet_status mt_detector_read(mt_detector *d, const float *samples, int64_t start, int count, int grid,
                              float *probabilities)
{
    if (start > d->fed || start < d->base || start + count <= d->fed) begin_at(d, start);
    int64_t heard = d->fed - start;
    MT_TRY(feed(d, samples + heard, count - heard));
    for (int t = 0; t < count / grid; t++) probabilities[t] = probability_at(d, start + (int64_t)t * grid + grid / 2);
    return MOTET_OK;
}
