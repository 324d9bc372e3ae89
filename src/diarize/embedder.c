/* See embedder.h. A window becomes rows (samples, features, or hidden states); each row has a place in the window, so a
 * speaker's are those that lie in his frames. */
#include "diarize/embedder.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "diarize/network.h"
#include "diarize/voice.h"
#include "dsp/fbank.h"

enum { EMBEDDING, ENCODER };
enum { WAVEFORM, KALDI, NEMO };
enum { AS_IT_IS, MEAN, MEAN_VARIANCE };
enum { POOL_MEAN, POOL_STATISTICS };

static const double ENOUGH = 0.5, TOO_LITTLE = 0.1; /* seconds of a voice alone; of a voice at all */
static const double SHORTEST = 0.4;                 /* seconds that a network is given, unless it says otherwise */

/* Rows in one piece of memory. */
typedef struct rows {
    float *values;
    size_t count, width, capacity; /* capacity: values */
} rows;

struct mt_embedder {
    mt_embedder_description description;
    mt_model *diarizer; /* one that is matched: then there is nothing below but mel */
    mt_mel *mel;        /* NULL: it takes samples */

    mt_network network;
    int role, input, normalize, pooling;
    bool bins_first;
    mt_fbank *fbank; /* NULL: samples */
    const motet_value_info *audio, *output;
    const char *length_name; /* NULL: it is not told how many frames there are */
    int bins, step;          /* of a feature frame; 1 and 1 for samples */
    double first;            /* the sample that row 0 is centred on */
    double encoder_step;     /* samples between hidden states */
    size_t shortest;         /* rows */
    rows window, chosen, turned;
};

static motet_status make_room(rows *r, size_t count, size_t width)
{
    size_t wanted;
    if (!mt_mul(count, width, &wanted)) return mt_fail_memory(SIZE_MAX);
    r->count = count;
    r->width = width;
    if (wanted <= r->capacity) return MOTET_OK;
    float *grown = mt_grow(r->values, wanted, sizeof *grown);
    if (!grown) return mt_fail_memory(wanted * sizeof *grown);
    r->values = grown;
    r->capacity = wanted;
    return MOTET_OK;
}

/* --- the description ------------------------------------------------------------------------------------------- */

static motet_status describe_features(mt_embedder *e)
{
    static const char *const windows[] = {"hamming", "povey", "hann", NULL};
    static const char *const layouts[] = {"frames-bins", "bins-frames", NULL};
    const mt_network *n = &e->network;
    bool kaldi = e->input == KALDI;
    int rate = e->description.sample_rate, window = kaldi ? MT_WINDOW_HAMMING : MT_WINDOW_HANN, layout;
    mt_fbank_options o = {.kind = kaldi ? MT_FBANK_KALDI : MT_FBANK_NEMO,
                          .sample_rate = rate,
                          .bins = 80,
                          .frame_length = rate / 40,
                          .frame_step = rate / 100,
                          .low_hz = kaldi ? 20 : 0,
                          .high_hz = rate / 2.0,
                          .scale = kaldi ? 32768 : 1};
    if (mt_network_says(n, "motet.fbank.window"))
        MT_TRY(mt_network_choice(n, "motet.fbank.window", windows, false, &window));
    o.window = (mt_fbank_window)window;
    MT_TRY(mt_network_maybe_int(n, "motet.fbank.bins", 1, 1024, &o.bins));
    MT_TRY(mt_network_maybe_int(n, "motet.fbank.frame_length", 16, 65536, &o.frame_length));
    MT_TRY(mt_network_maybe_int(n, "motet.fbank.frame_step", 1, o.frame_length, &o.frame_step));
    MT_TRY(mt_network_maybe_number(n, "motet.fbank.low_hz", 0, rate / 2.0, &o.low_hz));
    MT_TRY(mt_network_maybe_number(n, "motet.fbank.high_hz", o.low_hz, rate / 2.0, &o.high_hz));
    MT_TRY(mt_network_maybe_number(n, "motet.fbank.scale", 1e-6, 1e6, &o.scale));
    MT_TRY(mt_network_choice(n, "motet.layout", layouts, true, &layout));
    MT_TRY(mt_fbank_create(&o, &e->fbank));
    e->bins_first = layout == 1;
    e->bins = o.bins;
    e->step = o.frame_step;
    e->first = (double)mt_fbank_centre(e->fbank);
    return MOTET_OK;
}

static motet_status describe_input(mt_embedder *e)
{
    static const char *const inputs[] = {"waveform", "kaldi-fbank", "nemo-mel", NULL};
    static const char *const normalizings[] = {"none", "mean", "mean-variance", NULL};
    const mt_network *n = &e->network;
    const motet_value_info *length;
    MT_TRY(mt_network_choice(n, "motet.input", inputs, false, &e->input));
    MT_TRY(mt_network_choice(n, "motet.normalize", normalizings, true, &e->normalize));
    MT_TRY(mt_network_find_input(n, "motet.input.audio", &e->audio));
    e->bins = e->step = 1;
    if (e->input != WAVEFORM) MT_TRY(describe_features(e));
    if (!mt_network_says(n, "motet.input.length")) return MOTET_OK;
    MT_TRY(mt_network_find_input(n, "motet.input.length", &length));
    if (length->type != MOTET_INT64 || length == e->audio)
        return mt_fail(MOTET_ERROR_SHAPE, "input '%s' is no int64 list of lengths", length->name);
    e->length_name = length->name;
    return MOTET_OK;
}

/* Hidden states are those of the window's samples; wav2vec 2.0's are 320 samples apart and see 400. */
static motet_status describe_encoder(mt_embedder *e)
{
    static const char *const poolings[] = {"mean", "statistics", NULL};
    const mt_network *n = &e->network;
    int rate = e->description.sample_rate;
    if (e->input != WAVEFORM)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "motet.input: an encoder of frames is given a \"waveform\"");
    MT_TRY(mt_network_choice(n, "motet.pooling", poolings, true, &e->pooling));
    MT_TRY(mt_network_number(n, "motet.frame_step", 1, rate, &e->encoder_step));
    e->first = e->encoder_step / 2;
    MT_TRY(mt_network_maybe_number(n, "motet.frame_first", 0, rate, &e->first));
    if (e->pooling == POOL_STATISTICS && e->description.voice % 2)
        return mt_fail(MOTET_ERROR_FORMAT, "motet.voice is %d: means and deviations are an even number",
                       e->description.voice);
    return MOTET_OK;
}

static motet_status describe(mt_embedder *e)
{
    static const char *const roles[] = {"embedding", "encoder", "diarizer", NULL}; /* the last is opened elsewhere */
    const mt_network *n = &e->network;
    mt_embedder_description *d = &e->description;
    int format = 0;
    MT_TRY(mt_network_choice(n, "motet.role", roles, false, &e->role));
    MT_TRY(mt_network_int(n, "motet.format", 1, 1, &format));
    d->name = mt_network_text_or(n, "motet.name", "");
    d->version = mt_network_text_or(n, "motet.version", "");
    d->licence = mt_network_text_or(n, "motet.licence", "");
    MT_TRY(mt_network_int(n, "motet.sample_rate", 8000, 192000, &d->sample_rate));
    MT_TRY(mt_voice_describe(n, &d->voice, &d->threshold, &d->similarity));
    MT_TRY(describe_input(e));
    MT_TRY(mt_network_find_output(n, "motet.output.voice", &e->output));
    if (e->role == ENCODER) MT_TRY(describe_encoder(e));
    double shortest = SHORTEST * d->sample_rate;
    MT_TRY(mt_network_maybe_number(n, "motet.shortest", 1, d->sample_rate * 10.0, &shortest));
    e->shortest = (size_t)ceil(shortest / e->step);
    return MOTET_OK;
}

/* --- opening it ------------------------------------------------------------------------------------------------ */

static motet_status open_diarizer(mt_embedder *e, const char *path, int threads)
{
    MT_TRY(mt_model_open(path, threads, 0, &e->diarizer));
    const mt_model_description *m = mt_model_describe(e->diarizer);
    e->description = (mt_embedder_description){m->name,   m->version, m->licence,   m->sample_rate,
                                               m->window, m->voice,   m->threshold, m->similarity};
    return m->log_mel ? mt_mel_create(&m->mel, &e->mel) : MOTET_OK;
}

static motet_status open_network(mt_embedder *e, const char *path, int threads)
{
    MT_TRY(mt_network_open(path, threads, &e->network));
    if (!strcmp(mt_network_text_or(&e->network, "motet.role", ""), "diarizer")) {
        mt_network_close(&e->network);
        return open_diarizer(e, path, threads);
    }
    motet_status status = describe(e);
    return status == MOTET_OK ? status : mt_fail_in(status, "%s", path);
}

motet_status mt_embedder_open(const char *path, int threads, mt_embedder **out)
{
    *out = NULL;
    mt_embedder *e = mt_alloc_zero(1, sizeof *e);
    if (!e) return mt_fail_memory(sizeof *e);
    motet_status status = open_network(e, path, threads);
    if (status != MOTET_OK) {
        mt_embedder_close(e);
        return status;
    }
    *out = e;
    return MOTET_OK;
}

void mt_embedder_close(mt_embedder *e)
{
    if (!e) return;
    mt_model_close(e->diarizer);
    mt_mel_destroy(e->mel);
    mt_fbank_destroy(e->fbank);
    mt_network_close(&e->network);
    mt_free(e->window.values);
    mt_free(e->chosen.values);
    mt_free(e->turned.values);
    mt_free(e);
}

const mt_embedder_description *mt_embedder_describe(const mt_embedder *e)
{
    return &e->description;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

/* Values at mean 0 (and deviation 1), each column on its own. The guards are those of NeMo and of wav2vec 2.0. */
static void normalize(const mt_embedder *e, rows *r)
{
    for (size_t c = 0; c < r->width && e->normalize != AS_IT_IS; c++) {
        double sum = 0, square = 0, count = (double)r->count;
        for (size_t i = 0; i < r->count; i++) sum += r->values[i * r->width + c];
        double mean = sum / count, scale = 1;
        for (size_t i = 0; i < r->count; i++) {
            double x = r->values[i * r->width + c] - mean;
            square += x * x;
        }
        if (e->normalize == MEAN_VARIANCE)
            scale =
                e->input == WAVEFORM ? 1 / sqrt(square / count + 1e-7) : 1 / (sqrt(square / fmax(count - 1, 1)) + 1e-5);
        for (size_t i = 0; i < r->count; i++)
            r->values[i * r->width + c] = (float)((r->values[i * r->width + c] - mean) * scale);
    }
}

/* What the network is given for all of the window: samples, or feature frames. */
static motet_status fill_window(mt_embedder *e, const float *samples, size_t count)
{
    size_t frames = e->fbank ? mt_fbank_frames(e->fbank, count) : count;
    MT_TRY(make_room(&e->window, frames, (size_t)e->bins));
    if (e->fbank)
        mt_fbank_compute(e->fbank, samples, count, e->window.values);
    else
        memcpy(e->window.values, samples, count * sizeof *samples);
    return MOTET_OK;
}

/* A speaker's frames: where he is more likely alone than not, if that is enough, else where he is active. */
typedef struct frames {
    const float *likely;
    int count, stride, grid, chosen;
} frames;

static int count_likely(const float *p, int count, int stride)
{
    int likely = 0;
    for (int t = 0; t < count; t++) likely += p[t * stride] > 0.5f;
    return likely;
}

static frames choose_frames(const mt_model_description *heard, const mt_encoding *encoding, int speaker)
{
    frames f = {encoding->alone + speaker, heard->frames, heard->speakers, heard->frame_step, 0};
    f.chosen = count_likely(f.likely, f.count, f.stride);
    if (f.chosen * (double)f.grid >= ENOUGH * heard->sample_rate) return f;
    f.likely = encoding->active + speaker;
    f.chosen = count_likely(f.likely, f.count, f.stride);
    return f;
}

static bool is_chosen(const frames *f, double sample)
{
    int t = (int)(sample / f->grid);
    return t < f->count && f->likely[t * f->stride] > 0.5f;
}

/* The rows that lie in the chosen frames. */
static motet_status gather(rows *out, const rows *from, const frames *f, double first, double step)
{
    MT_TRY(make_room(out, from->count, from->width));
    size_t used = 0;
    for (size_t i = 0; i < from->count; i++)
        if (is_chosen(f, first + (double)i * step))
            memcpy(out->values + used++ * out->width, from->values + i * from->width, out->width * sizeof *out->values);
    out->count = used;
    return MOTET_OK;
}

/* Little is said over and over, until it is as much as the network needs. */
static motet_status repeat(rows *r, size_t least)
{
    size_t had = r->count;
    if (had >= least) return MOTET_OK;
    MT_TRY(make_room(r, least, r->width));
    for (size_t i = had; i < least; i++)
        memcpy(r->values + i * r->width, r->values + (i - had) * r->width, r->width * sizeof *r->values);
    return MOTET_OK;
}

/* --- the network ----------------------------------------------------------------------------------------------- */

static motet_status turn(mt_embedder *e, const rows *r)
{
    MT_TRY(make_room(&e->turned, r->width, r->count));
    for (size_t i = 0; i < r->count; i++)
        for (size_t c = 0; c < r->width; c++) e->turned.values[c * r->count + i] = r->values[i * r->width + c];
    return MOTET_OK;
}

/* Samples are [1, n], or [1, 1, n] where the file wants it so; features [1, frames, bins] or [1, bins, frames]. */
static motet_status run_network(mt_embedder *e, const rows *r, motet_tensor **out)
{
    int64_t count = (int64_t)r->count, width = (int64_t)r->width;
    int64_t dims[] = {1, e->fbank && !e->bins_first ? count : width, e->fbank && !e->bins_first ? width : count};
    bool flat = !e->fbank && e->audio->rank != 3;
    const float *values = r->values;
    if (e->bins_first) {
        MT_TRY(turn(e, r));
        values = e->turned.values;
    }
    motet_tensor audio = {0}, length = {0};
    const int64_t one = 1;
    if (flat) dims[1] = count;
    MT_TRY(mt_tensor_wrap(&audio, MOTET_FLOAT, flat ? 2 : 3, dims, values));
    MT_TRY(mt_tensor_wrap(&length, MOTET_INT64, 1, &one, &count));
    const char *input_names[] = {e->audio->name, e->length_name};
    const motet_tensor *inputs[] = {&audio, &length};
    return motet_session_run(e->network.session, input_names, inputs, e->length_name ? 2 : 1, &e->output->name, out, 1);
}

static motet_status refuse_output(const mt_embedder *e, const motet_tensor *came, const char *wanted)
{
    char found[MT_SHAPE_TEXT];
    return mt_fail(MOTET_ERROR_SHAPE, "output '%s' came out as %s: expected %s of float32, motet.voice is %d",
                   e->output->name, mt_tensor_describe(came, found, sizeof found), wanted, e->description.voice);
}

static motet_status embed(mt_embedder *e, const frames *f, float *voice)
{
    motet_tensor *out;
    MT_TRY(gather(&e->chosen, &e->window, f, e->first, e->step));
    if (!e->chosen.count) return MOTET_OK;
    MT_TRY(repeat(&e->chosen, e->shortest));
    normalize(e, &e->chosen);
    MT_TRY(run_network(e, &e->chosen, &out));
    motet_status status = MOTET_OK;
    if (out->type == MOTET_FLOAT && out->count == e->description.voice)
        mt_voice_read(out->data, e->description.voice, voice);
    else
        status = refuse_output(e, out, "one vector");
    motet_tensor_destroy(out);
    return status;
}

/* The means of the chosen hidden states, and their deviations where those are wanted too. */
static motet_status pool(mt_embedder *e, const motet_tensor *hidden, const frames *f, float *voice)
{
    size_t width = (size_t)hidden->dims[2], n;
    float pooled[MT_MAX_VOICE] = {0};
    rows states = {hidden->data, (size_t)hidden->dims[1], width, 0};
    MT_TRY(gather(&e->chosen, &states, f, e->first, e->encoder_step));
    n = e->chosen.count;
    for (size_t c = 0; c < width && n; c++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < n; i++) sum += e->chosen.values[i * width + c];
        for (size_t i = 0; i < n; i++) square += pow(e->chosen.values[i * width + c] - sum / (double)n, 2);
        pooled[c] = (float)(sum / (double)n);
        if (e->pooling == POOL_STATISTICS) pooled[width + c] = (float)sqrt(square / (double)n);
    }
    mt_voice_read(pooled, e->description.voice, voice);
    return MOTET_OK;
}

/* --- the three ways -------------------------------------------------------------------------------------------- */

static motet_status run_encoder(mt_embedder *e, const mt_model_description *heard, const mt_encoding *encoding,
                                float *voices)
{
    motet_tensor *hidden;
    int length = e->description.voice;
    normalize(e, &e->window);
    MT_TRY(run_network(e, &e->window, &hidden));
    motet_status status = MOTET_OK;
    if (hidden->type != MOTET_FLOAT || hidden->rank != 3 || hidden->dims[0] != 1 ||
        hidden->dims[2] * (e->pooling == POOL_STATISTICS ? 2 : 1) != length)
        status = refuse_output(e, hidden, "hidden states");
    for (int k = 0; k < heard->speakers && status == MOTET_OK; k++) {
        frames f = choose_frames(heard, encoding, k);
        if (f.chosen * (double)f.grid < TOO_LITTLE * heard->sample_rate) continue;
        status = pool(e, hidden, &f, voices + k * length);
    }
    motet_tensor_destroy(hidden);
    return status;
}

static motet_status run_embedding(mt_embedder *e, const mt_model_description *heard, const mt_encoding *encoding,
                                  float *voices)
{
    for (int k = 0; k < heard->speakers; k++) {
        frames f = choose_frames(heard, encoding, k);
        if (f.chosen * (double)f.grid < TOO_LITTLE * heard->sample_rate) continue;
        MT_TRY(embed(e, &f, voices + k * e->description.voice));
    }
    return MOTET_OK;
}

/* How long both think that speaker k of the one and j of the other speaks alone. */
static double common(const mt_model_description *a, const float *of_a, const mt_model_description *b, const float *of_b)
{
    double sum = 0;
    for (int t = 0; t < a->frames; t++) {
        int64_t u = ((int64_t)t * 2 + 1) * a->frame_step / 2 / b->frame_step;
        if (u < b->frames) sum += of_a[t * a->speakers] * of_b[u * b->speakers];
    }
    return sum;
}

static motet_status run_diarizer(mt_embedder *e, const float *samples, const mt_model_description *heard,
                                 const mt_encoding *encoding, float *voices)
{
    const mt_model_description *own = mt_model_describe(e->diarizer);
    const mt_encoding *found;
    const float *input = samples;
    if (e->mel) {
        MT_TRY(make_room(&e->window, (size_t)(own->window / own->mel.frame_step), (size_t)own->mel.bins));
        MT_TRY(mt_mel_window(e->mel, samples, (size_t)own->window, e->window.values));
        input = e->window.values;
    }
    MT_TRY(mt_model_encode(e->diarizer, input, 0, &found));
    for (int k = 0; k < heard->speakers; k++) {
        double most = 0;
        for (int j = 0; j < own->speakers; j++) {
            double together = common(heard, encoding->alone + k, own, found->alone + j);
            if (together <= most) continue;
            most = together;
            memcpy(voices + k * own->voice, found->voices + j * own->voice, (size_t)own->voice * sizeof *voices);
        }
    }
    return MOTET_OK;
}

motet_status mt_embedder_run(mt_embedder *e, const float *samples, const mt_model_description *heard,
                             const mt_encoding *encoding, float *voices)
{
    memset(voices, 0, (size_t)heard->speakers * (size_t)e->description.voice * sizeof *voices);
    if (e->diarizer) return run_diarizer(e, samples, heard, encoding, voices);
    motet_status status = fill_window(e, samples, (size_t)heard->window);
    if (status == MOTET_OK)
        status =
            e->role == ENCODER ? run_encoder(e, heard, encoding, voices) : run_embedding(e, heard, encoding, voices);
    return status == MOTET_OK ? status : mt_fail_in(status, "%s", e->network.path);
}
