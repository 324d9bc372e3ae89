/* Reading what a model says of itself, holding the network to it, and turning its answers into probabilities. */
#include "diarize/model.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/number.h"
#include "core/tensor.h"
#include "core/text.h"

enum { MAX_LOCAL_SPEAKERS = 4, MAX_CLASSES = 16, MAX_VALUES = 1 << 24 };

struct mt_model {
    motet_session *session;
    json_t *sidecar; /* the keys beside somebody else's file, NULL when there are none */
    mt_model_description description;
    char *path; /* for messages */
    const char *input_name;
    motet_tensor *input;
    mt_encoding encoding;
    unsigned char members[MAX_CLASSES]; /* powerset: bit k of class c says that speaker k is in it */
};

/* --- the description ------------------------------------------------------------------------------------------- */

static motet_status check_sidecar(const char *name, json_t *sidecar)
{
    const char *key;
    json_t *value;
    if (!json_is_object(sidecar))
        return mt_fail(MOTET_ERROR_FORMAT, "%s: expected a JSON object of motet.* keys", name);
    json_object_foreach(sidecar, key, value) if (!json_is_string(value) && !json_is_number(value)) return mt_fail(
        MOTET_ERROR_FORMAT, "%s: %s: expected a string or a number", name, key);
    return MOTET_OK;
}

static motet_status open_sidecar(const char *path, json_t **out)
{
    mt_text name = {0};
    mt_text_add(&name, "%s.json", path);
    char *sidecar;
    MT_TRY(mt_text_take(&name, &sidecar, NULL));
    motet_status status = MOTET_OK;
    json_error_t error;
    if (access(sidecar, F_OK) == 0) {
        *out = json_load_file(sidecar, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            status = mt_fail(MOTET_ERROR_FORMAT, "%s:%d:%d: %s", sidecar, error.line, error.column, error.text);
        else
            status = check_sidecar(sidecar, *out);
    }
    mt_free(sidecar);
    return status;
}

/* The value of a key: the model's metadata first, then the sidecar's string. NULL when neither has it. */
static const char *find_text(const mt_model *m, const char *key)
{
    const char *value = motet_session_metadata(m->session, key);
    if (value || !m->sidecar) return value;
    return json_string_value(json_object_get(m->sidecar, key));
}

static bool says(const mt_model *m, const char *key)
{
    return find_text(m, key) || (m->sidecar && json_object_get(m->sidecar, key));
}

static motet_status find_number(const mt_model *m, const char *key, double low, double high, double *out)
{
    const char *text = find_text(m, key);
    const json_t *json = m->sidecar ? json_object_get(m->sidecar, key) : NULL;
    if (!text && json_is_number(json)) {
        *out = json_number_value(json);
    } else if (!text) {
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "the model does not say %s (models/README.md tells what it must say)",
                       key);
    } else {
        char *end;
        *out = mt_parse_number(text, &end);
        if (end == text || *end) return mt_fail(MOTET_ERROR_FORMAT, "%s is \"%s\": expected a number", key, text);
    }
    if (!(*out >= low && *out <= high))
        return mt_fail(MOTET_ERROR_FORMAT, "%s is %g: expected %g to %g", key, *out, low, high);
    return MOTET_OK;
}

static motet_status find_int(const mt_model *m, const char *key, int low, int high, int *out)
{
    double value = 0;
    MT_TRY(find_number(m, key, low, high, &value));
    *out = (int)value;
    return value == floor(value) ? MOTET_OK
                                 : mt_fail(MOTET_ERROR_FORMAT, "%s is %g: expected a whole number", key, value);
}

/* Sets *yes when the key's value is `first`, clears it when it is `second`. */
static motet_status find_choice(const mt_model *m, const char *key, const char *first, const char *second, bool *yes)
{
    const char *text = find_text(m, key);
    *yes = text && strcmp(text, first) == 0;
    if (*yes || (text && strcmp(text, second) == 0)) return MOTET_OK;
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "%s is \"%s\": expected \"%s\" or \"%s\"", key, text ? text : "", first,
                   second);
}

static motet_status describe_mel(const mt_model *m, const mt_model_description *d, mt_mel_options *mel)
{
    double low = 0, high = 0, floor_power = 0;
    mel->sample_rate = d->sample_rate;
    MT_TRY(find_int(m, "motet.mel.bins", 1, 1024, &mel->bins));
    MT_TRY(find_int(m, "motet.mel.frame_length", 16, 65536, &mel->frame_length));
    MT_TRY(find_int(m, "motet.mel.frame_step", 1, mel->frame_length, &mel->frame_step));
    MT_TRY(find_int(m, "motet.mel.fft", mel->frame_length, 65536, &mel->fft));
    MT_TRY(find_number(m, "motet.mel.low_hz", 0, d->sample_rate / 2.0, &low));
    MT_TRY(find_number(m, "motet.mel.high_hz", low, d->sample_rate / 2.0, &high));
    MT_TRY(find_number(m, "motet.mel.floor", 1e-30, 1, &floor_power));
    mel->low_hz = low;
    mel->high_hz = high;
    mel->floor = floor_power;
    if (d->window % mel->frame_step || d->frame_step % mel->frame_step)
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "motet.mel.frame_step %d must divide motet.window %d and motet.frame_step %d", mel->frame_step,
                       d->window, d->frame_step);
    return MOTET_OK;
}

/* The classes of a powerset in their order: by size, then by members. */
static int list_powerset(int speakers, int overlap, unsigned char *members)
{
    int classes = 0;
    members[classes++] = 0;
    for (int a = 0; a < speakers; a++) members[classes++] = (unsigned char)(1 << a);
    for (int a = 0; a < speakers && overlap >= 2; a++)
        for (int b = a + 1; b < speakers; b++) members[classes++] = (unsigned char)(1 << a | 1 << b);
    return classes;
}

static motet_status describe_activity(mt_model *m, mt_model_description *d)
{
    int overlap = 0;
    MT_TRY(find_choice(m, "motet.activity", "powerset", "multilabel", &d->powerset));
    MT_TRY(find_int(m, "motet.speakers", 1, MAX_LOCAL_SPEAKERS, &d->speakers));
    if (!d->powerset) {
        d->classes = d->speakers;
        return MOTET_OK;
    }
    MT_TRY(find_int(m, "motet.overlap", 1, 2, &overlap));
    d->classes = list_powerset(d->speakers, overlap, m->members);
    return MOTET_OK;
}

static motet_status describe(mt_model *m)
{
    mt_model_description *d = &m->description;
    const char *role = find_text(m, "motet.role");
    if (!role || strcmp(role, "diarizer") != 0)
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "not a diarizer model: motet.role is %s%s%s, expected \"diarizer\" (models/README.md)",
                       role ? "\"" : "", role ? role : "not given", role ? "\"" : "");
    int format = 0;
    MT_TRY(find_int(m, "motet.format", 1, 1, &format));
    const char *name = find_text(m, "motet.name"), *version = find_text(m, "motet.version");
    const char *licence = find_text(m, "motet.licence");
    d->name = name ? name : "";
    d->version = version ? version : "";
    d->licence = licence ? licence : "";
    MT_TRY(find_int(m, "motet.sample_rate", 8000, 192000, &d->sample_rate));
    MT_TRY(find_int(m, "motet.window", d->sample_rate / 10, d->sample_rate * 60, &d->window));
    MT_TRY(find_int(m, "motet.frame_step", 1, d->window, &d->frame_step));
    MT_TRY(find_int(m, "motet.voice", 1, MT_MAX_VOICE, &d->voice));
    MT_TRY(find_number(m, "motet.threshold", 0, 2, &d->threshold));
    d->similarity = 1 - d->threshold;
    if (says(m, "motet.similarity")) MT_TRY(find_number(m, "motet.similarity", -1, 1, &d->similarity));
    MT_TRY(describe_activity(m, d));
    d->frames = d->window / d->frame_step;
    if (d->window % d->frame_step)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "motet.frame_step %d must divide motet.window %d", d->frame_step,
                       d->window);
    MT_TRY(find_choice(m, "motet.input", "log-mel", "waveform", &d->log_mel));
    return d->log_mel ? describe_mel(m, d, &d->mel) : MOTET_OK;
}

/* --- the network against its description ----------------------------------------------------------------------- */

static bool fits(const motet_value_info *info, int rank, const int64_t *dims)
{
    if (info->type != MOTET_FLOAT) return false;
    if (info->rank < 0) return true;
    if (info->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (info->dims[i] >= 0 && info->dims[i] != dims[i]) return false;
    return true;
}

static motet_status check_value(const motet_value_info *info, const char *what, int rank, const int64_t *dims)
{
    if (fits(info, rank, dims)) return MOTET_OK;
    char wanted[MT_SHAPE_TEXT], found[MT_SHAPE_TEXT];
    return mt_fail(MOTET_ERROR_SHAPE, "%s '%s' is %s%s; its description asks for float32%s", what, info->name,
                   motet_type_name(info->type),
                   info->rank < 0 ? "" : mt_shape_text(info->rank, info->dims, found, sizeof found),
                   mt_shape_text(rank, dims, wanted, sizeof wanted));
}

static const motet_value_info *find_output(const mt_model *m, const char *name)
{
    for (size_t i = 0; i < motet_session_output_count(m->session); i++) {
        const motet_value_info *info = motet_session_output(m->session, i);
        if (strcmp(info->name, name) == 0) return info;
    }
    return NULL;
}

static motet_status check_outputs(const mt_model *m)
{
    const mt_model_description *d = &m->description;
    int64_t activity[] = {1, d->frames, d->classes}, voices[] = {1, d->speakers, d->voice};
    const motet_value_info *a = find_output(m, "activity"), *v = find_output(m, "voices");
    if (!a || !v) return mt_fail(MOTET_ERROR_SHAPE, "the model has no output '%s'", a ? "voices" : "activity");
    MT_TRY(check_value(a, "output", 3, activity));
    return check_value(v, "output", 3, voices);
}

static motet_status make_input(mt_model *m)
{
    const mt_model_description *d = &m->description;
    size_t inputs = motet_session_input_count(m->session);
    if (inputs != 1) return mt_fail(MOTET_ERROR_SHAPE, "the model has %zu inputs: a diarizer has one", inputs);
    int64_t mel[] = {1, d->log_mel ? d->window / d->mel.frame_step : 0, d->mel.bins}, samples[] = {1, d->window};
    int rank = d->log_mel ? 3 : 2;
    const int64_t *dims = d->log_mel ? mel : samples;
    const motet_value_info *info = motet_session_input(m->session, 0);
    MT_TRY(check_value(info, "input", rank, dims));
    m->input_name = info->name;
    if (mt_shape_count(rank, dims) > MAX_VALUES || (int64_t)d->frames * d->classes > MAX_VALUES)
        return mt_fail(MOTET_ERROR_LIMIT, "a window of more than %d values: its description cannot be right",
                       MAX_VALUES);
    return motet_tensor_create(MOTET_FLOAT, rank, dims, &m->input);
}

static motet_status make_encoding(mt_model *m)
{
    const mt_model_description *d = &m->description;
    size_t frames = (size_t)d->frames, speakers = (size_t)d->speakers;
    m->encoding = (mt_encoding){.active = mt_alloc_array(frames * speakers, sizeof(float)),
                                .alone = mt_alloc_array(frames * speakers, sizeof(float)),
                                .voices = mt_alloc_array(speakers * (size_t)d->voice, sizeof(float))};
    if (m->encoding.active && m->encoding.alone && m->encoding.voices) return MOTET_OK;
    return mt_fail_memory(2 * frames * speakers * sizeof(float));
}

static motet_status prepare(mt_model *m, const char *path)
{
    MT_TRY(open_sidecar(path, &m->sidecar));
    MT_TRY(describe(m));
    MT_TRY(make_input(m));
    MT_TRY(check_outputs(m));
    return make_encoding(m);
}

motet_status mt_model_open(const char *path, int threads, mt_model **out)
{
    *out = NULL;
    mt_model *m = mt_alloc_zero(1, sizeof *m);
    if (!m) return mt_fail_memory(sizeof *m);
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = threads;
    m->path = mt_copy_string(path);
    motet_status status = m->path ? motet_session_open(path, &options, &m->session) : mt_fail_memory(strlen(path));
    if (status == MOTET_OK) {
        status = prepare(m, path);
        if (status != MOTET_OK) status = mt_fail_in(status, "%s", path);
    }
    if (status != MOTET_OK) {
        mt_model_close(m);
        return status;
    }
    *out = m;
    return MOTET_OK;
}

void mt_model_close(mt_model *model)
{
    if (!model) return;
    motet_session_close(model->session);
    motet_tensor_destroy(model->input);
    json_decref(model->sidecar);
    mt_free(model->path);
    mt_free(model->encoding.active);
    mt_free(model->encoding.alone);
    mt_free(model->encoding.voices);
    mt_free(model);
}

const mt_model_description *mt_model_describe(const mt_model *model)
{
    return &model->description;
}

/* --- one window ------------------------------------------------------------------------------------------------ */

static float clamp_probability(float p)
{
    return p > 0 ? (p < 1 ? p : 1) : 0; /* NaN: 0 */
}

/* Plaquet and Bredin 2023, "Powerset multi-class cross entropy loss for neural speaker diarization": a speaker's
 * probability is the sum over the classes he is in. */
static void read_powerset(const mt_model *m, const float *log_p, float *active, float *alone)
{
    const mt_model_description *d = &m->description;
    for (int k = 0; k < d->speakers; k++) active[k] = alone[k] = 0;
    for (int c = 1; c < d->classes; c++) {
        float p = clamp_probability(expf(log_p[c]));
        for (int k = 0; k < d->speakers; k++) {
            if (!(m->members[c] >> k & 1)) continue;
            active[k] = clamp_probability(active[k] + p);
            if (m->members[c] == 1 << k) alone[k] = p;
        }
    }
}

static void read_multilabel(const mt_model *m, const float *p, float *active, float *alone)
{
    int speakers = m->description.speakers;
    for (int k = 0; k < speakers; k++) {
        active[k] = alone[k] = clamp_probability(p[k]);
        for (int j = 0; j < speakers; j++)
            if (j != k) alone[k] *= 1 - clamp_probability(p[j]);
    }
}

/* Voices of unit length; one that is not finite becomes zero, which is near to nobody. */
static void read_voices(const float *from, int speakers, int dims, float *to)
{
    for (int k = 0; k < speakers; k++, from += dims, to += dims) {
        double square = 0;
        for (int i = 0; i < dims; i++) square += (double)from[i] * from[i];
        double scale = isfinite(square) && square > 0 ? 1 / sqrt(square) : 0;
        for (int i = 0; i < dims; i++) to[i] = scale > 0 ? (float)(from[i] * scale) : 0;
    }
}

static motet_status check_run(const motet_tensor *tensor, const char *name, int64_t rows, int64_t columns)
{
    int64_t dims[] = {1, rows, columns};
    char found[MT_SHAPE_TEXT], wanted[MT_SHAPE_TEXT];
    if (tensor->type == MOTET_FLOAT && tensor->rank == 3 && memcmp(tensor->dims, dims, sizeof dims) == 0)
        return MOTET_OK;
    return mt_fail(MOTET_ERROR_SHAPE, "output '%s' came out as %s; the model's description promises float32%s", name,
                   mt_tensor_describe(tensor, found, sizeof found), mt_shape_text(3, dims, wanted, sizeof wanted));
}

motet_status mt_model_encode(mt_model *m, const float *input, const mt_encoding **out)
{
    const mt_model_description *d = &m->description;
    static const char *const names[] = {"activity", "voices"};
    memcpy(m->input->data, input, (size_t)m->input->count * sizeof(float));
    const motet_tensor *inputs[] = {m->input};
    motet_tensor *outputs[2];
    MT_TRY_AS(motet_session_run(m->session, &m->input_name, inputs, 1, names, outputs, 2), "%s", m->path);
    motet_status status = check_run(outputs[0], names[0], d->frames, d->classes);
    if (status == MOTET_OK) status = check_run(outputs[1], names[1], d->speakers, d->voice);
    if (status == MOTET_OK) {
        const float *activity = outputs[0]->data;
        for (int t = 0; t < d->frames; t++) {
            float *active = m->encoding.active + t * d->speakers, *alone = m->encoding.alone + t * d->speakers;
            (d->powerset ? read_powerset : read_multilabel)(m, activity + t * d->classes, active, alone);
        }
        read_voices(outputs[1]->data, d->speakers, d->voice, m->encoding.voices);
        *out = &m->encoding;
    }
    motet_tensor_destroy(outputs[0]);
    motet_tensor_destroy(outputs[1]);
    return status == MOTET_OK ? status : mt_fail_in(status, "%s", m->path);
}

const motet_tensor *mt_model_input(const mt_model *model)
{
    return model->input;
}
