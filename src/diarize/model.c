/* Holding a network to what it says of itself, and turning its answers into probabilities and voices. */
#include "diarize/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "diarize/activity.h"
#include "diarize/detector.h"
#include "diarize/voice.h"

enum { MAX_VALUES = 1 << 24 };

enum { DIARIZER, SEGMENTATION, DETECTOR };
static const char *const roles[] = {"diarizer", "segmentation", "vad", NULL};

struct mt_model {
    mt_network network;
    int role;
    mt_model_description description;
    mt_activity activity;
    mt_detector *detector;                                /* of a detector; the rest is of the others */
    const char *input_name, *activity_name, *voices_name; /* voices_name: NULL when there are none */
    motet_tensor *input;
    mt_encoding encoding;
};

/* --- the description ------------------------------------------------------------------------------------------- */

static motet_status describe_mel(const mt_network *n, const mt_model_description *d, mt_mel_options *mel)
{
    mel->sample_rate = d->sample_rate;
    MT_TRY(mt_network_int(n, "motet.mel.bins", 1, 1024, &mel->bins));
    MT_TRY(mt_network_int(n, "motet.mel.frame_length", 16, 65536, &mel->frame_length));
    MT_TRY(mt_network_int(n, "motet.mel.frame_step", 1, mel->frame_length, &mel->frame_step));
    MT_TRY(mt_network_int(n, "motet.mel.fft", mel->frame_length, 65536, &mel->fft));
    MT_TRY(mt_network_number(n, "motet.mel.low_hz", 0, d->sample_rate / 2.0, &mel->low_hz));
    MT_TRY(mt_network_number(n, "motet.mel.high_hz", mel->low_hz, d->sample_rate / 2.0, &mel->high_hz));
    MT_TRY(mt_network_number(n, "motet.mel.floor", 1e-30, 1, &mel->floor));
    if (d->window % mel->frame_step || d->frame_step % mel->frame_step)
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "motet.mel.frame_step %d must divide motet.window %d and the %d samples of a frame",
                       mel->frame_step, d->window, d->frame_step);
    return MOTET_OK;
}

static motet_status describe_role(mt_model *m)
{
    const char *role = mt_network_text(&m->network, "motet.role");
    for (m->role = 0; roles[m->role]; m->role++)
        if (role && !strcmp(role, roles[m->role])) return MOTET_OK;
    if (role && (!strcmp(role, "embedding") || !strcmp(role, "encoder")))
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "motet.role is \"%s\": that is a network to give with --embedding, beside one that tells "
                       "activity",
                       role);
    return mt_fail(MOTET_ERROR_UNSUPPORTED,
                   "not a diarizer model: motet.role is %s%s%s, expected \"diarizer\", \"segmentation\" or \"vad\" "
                   "(models/README.md)",
                   role ? "\"" : "", role ? role : "not given", role ? "\"" : "");
}

static motet_status describe_detector(mt_model *m, int window)
{
    mt_model_description *d = &m->description;
    d->window = window ? window : d->sample_rate * 3 / 2;
    MT_TRY(mt_network_maybe_int(&m->network, "motet.window", d->sample_rate / 10, d->sample_rate * 60, &d->window));
    d->frame_step = d->sample_rate / 50;
    d->speakers = 1;
    if (d->window % d->frame_step)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "20 ms must divide the window of %d samples", d->window);
    d->frames = d->window / d->frame_step;
    return mt_detector_create(&m->network, d->sample_rate, d->window, &m->detector);
}

static motet_status describe_network(mt_model *m)
{
    static const char *const inputs[] = {"log-mel", "waveform", NULL};
    mt_model_description *d = &m->description;
    int input = 0;
    MT_TRY(mt_network_int(&m->network, "motet.window", d->sample_rate / 10, d->sample_rate * 60, &d->window));
    MT_TRY(mt_activity_describe(&m->network, d->sample_rate, d->window, &m->activity));
    d->frame_step = m->activity.grid;
    d->frames = m->activity.grid_frames;
    d->speakers = m->activity.speakers;
    if (m->role == DIARIZER) MT_TRY(mt_voice_describe(&m->network, &d->voice, &d->threshold, &d->similarity));
    MT_TRY(mt_network_choice(&m->network, "motet.input", inputs, false, &input));
    d->log_mel = input == 0;
    return d->log_mel ? describe_mel(&m->network, d, &d->mel) : MOTET_OK;
}

/* --- the network against its description ----------------------------------------------------------------------- */

/* A waveform is [N, samples], or [N, 1, samples] where the file wants it so. */
static motet_status make_input(mt_model *m)
{
    const mt_model_description *d = &m->description;
    size_t inputs = motet_session_input_count(m->network.session);
    if (inputs != 1)
        return mt_fail(MOTET_ERROR_SHAPE, "the model has %zu inputs: a %s has one", inputs, roles[m->role]);
    const motet_value_info *info = motet_session_input(m->network.session, 0);
    int64_t mel[] = {1, d->log_mel ? d->window / d->mel.frame_step : 0, d->mel.bins}, samples[] = {1, 1, d->window};
    int rank = d->log_mel || info->rank == 3 ? 3 : 2;
    const int64_t *dims = d->log_mel ? mel : samples + (3 - rank);
    MT_TRY(mt_network_check(info, "input", rank, dims));
    m->input_name = info->name;
    if (mt_shape_count(rank, dims) > MAX_VALUES || (int64_t)d->frames * d->speakers > MAX_VALUES ||
        (int64_t)m->activity.frames * m->activity.classes > MAX_VALUES)
        return mt_fail(MOTET_ERROR_LIMIT, "a window of more than %d values: its description cannot be right",
                       MAX_VALUES);
    return motet_tensor_create(MOTET_FLOAT, rank, dims, &m->input);
}

/* Our own networks call their outputs activity and voices; of somebody else's segmentation the only one will do. */
static motet_status find_outputs(mt_model *m)
{
    const mt_model_description *d = &m->description;
    int64_t activity[] = {1, m->activity.frames, m->activity.classes}, voices[] = {1, d->speakers, d->voice};
    const motet_value_info *a = mt_network_output(&m->network, "activity"),
                           *v = mt_network_output(&m->network, "voices");
    if (m->role == SEGMENTATION) MT_TRY(mt_network_find_output(&m->network, "motet.output.activity", &a));
    if (!a || (!v && m->role == DIARIZER))
        return mt_fail(MOTET_ERROR_SHAPE, "the model has no output '%s'", a ? "voices" : "activity");
    MT_TRY(mt_network_check(a, "output", 3, activity));
    m->activity_name = a->name;
    if (m->role == SEGMENTATION) return MOTET_OK;
    m->voices_name = v->name;
    return mt_network_check(v, "output", 3, voices);
}

static motet_status make_encoding(mt_model *m)
{
    const mt_model_description *d = &m->description;
    size_t frames = (size_t)d->frames, speakers = (size_t)d->speakers;
    m->encoding = (mt_encoding){.active = mt_alloc_array(frames * speakers, sizeof(float)),
                                .alone = mt_alloc_array(frames * speakers, sizeof(float)),
                                .voices = mt_alloc_zero(speakers * (size_t)d->voice, sizeof(float))};
    if (m->encoding.active && m->encoding.alone && m->encoding.voices) return MOTET_OK;
    return mt_fail_memory(2 * frames * speakers * sizeof(float));
}

static motet_status prepare(mt_model *m, int window)
{
    mt_model_description *d = &m->description;
    int format = 0;
    MT_TRY(describe_role(m));
    MT_TRY(mt_network_int(&m->network, "motet.format", 1, 1, &format));
    d->name = mt_network_text_or(&m->network, "motet.name", "");
    d->version = mt_network_text_or(&m->network, "motet.version", "");
    d->licence = mt_network_text_or(&m->network, "motet.licence", "");
    MT_TRY(mt_network_int(&m->network, "motet.sample_rate", 8000, 192000, &d->sample_rate));
    d->onset = 0.5;
    MT_TRY(mt_network_maybe_number(&m->network, "motet.onset", 0.01, 1, &d->onset));
    if (m->role == DETECTOR) {
        MT_TRY(describe_detector(m, window));
    } else {
        MT_TRY(describe_network(m));
        MT_TRY(make_input(m));
        MT_TRY(find_outputs(m));
    }
    return make_encoding(m);
}

motet_status mt_model_open(const char *path, int threads, int window, mt_model **out)
{
    *out = NULL;
    mt_model *m = mt_alloc_zero(1, sizeof *m);
    if (!m) return mt_fail_memory(sizeof *m);
    motet_status status = mt_network_open(path, threads, &m->network);
    if (status == MOTET_OK) {
        status = prepare(m, window);
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
    mt_detector_destroy(model->detector);
    mt_network_close(&model->network);
    motet_tensor_destroy(model->input);
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

static motet_status check_run(const motet_tensor *tensor, const char *name, int64_t rows, int64_t columns)
{
    int64_t dims[] = {1, rows, columns};
    char found[MT_SHAPE_TEXT], wanted[MT_SHAPE_TEXT];
    if (tensor->type == MOTET_FLOAT && tensor->rank == 3 && memcmp(tensor->dims, dims, sizeof dims) == 0)
        return MOTET_OK;
    return mt_fail(MOTET_ERROR_SHAPE, "output '%s' came out as %s; the model's description promises float32%s", name,
                   mt_tensor_describe(tensor, found, sizeof found), mt_shape_text(3, dims, wanted, sizeof wanted));
}

static motet_status run_network(mt_model *m, const float *input)
{
    const mt_model_description *d = &m->description;
    const char *names[] = {m->activity_name, m->voices_name};
    memcpy(m->input->data, input, (size_t)m->input->count * sizeof(float));
    const motet_tensor *inputs[] = {m->input};
    motet_tensor *outputs[2] = {NULL, NULL};
    MT_TRY(motet_session_run(m->network.session, &m->input_name, inputs, 1, names, outputs, m->voices_name ? 2 : 1));
    motet_status status = check_run(outputs[0], names[0], m->activity.frames, m->activity.classes);
    if (status == MOTET_OK && m->voices_name) status = check_run(outputs[1], names[1], d->speakers, d->voice);
    if (status == MOTET_OK) {
        mt_activity_read(&m->activity, outputs[0]->data, m->encoding.active, m->encoding.alone);
        for (int k = 0; k < d->speakers && m->voices_name; k++)
            mt_voice_read((const float *)outputs[1]->data + k * d->voice, d->voice, m->encoding.voices + k * d->voice);
    }
    motet_tensor_destroy(outputs[0]);
    motet_tensor_destroy(outputs[1]);
    return status;
}

static motet_status run_detector(mt_model *m, const float *samples, int64_t start)
{
    const mt_model_description *d = &m->description;
    MT_TRY(mt_detector_read(m->detector, samples, start, d->window, d->frame_step, m->encoding.active));
    memcpy(m->encoding.alone, m->encoding.active, (size_t)d->frames * sizeof(float));
    return MOTET_OK;
}

motet_status mt_model_encode(mt_model *m, const float *input, int64_t start, const mt_encoding **out)
{
    MT_TRY_AS(m->detector ? run_detector(m, input, start) : run_network(m, input), "%s", m->network.path);
    *out = &m->encoding;
    return MOTET_OK;
}

const motet_tensor *mt_model_input(const mt_model *model)
{
    return model->input;
}
