/* Making, writing and reading voice prints. What is read may come from anybody: sizes, names and numbers are checked.
 */
#include "diarize/voiceprint.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/text.h"
#include "diarize/agglomerate.h"
#include "diarize/record.h"

enum { FILE_VERSION = 1, MAX_FILE = 1 << 20 };

/* --- making ---------------------------------------------------------------------------------------------------- */

static motet_status check_name(const char *name)
{
    if (!*name) return mt_fail(MOTET_ERROR_ARGUMENT, "a name must not be empty");
    if (strlen(name) > MOTET_MAX_NAME)
        return mt_fail(MOTET_ERROR_ARGUMENT, "\"%.*s...\": a name may have %d bytes", MOTET_MAX_NAME / 2, name,
                       MOTET_MAX_NAME);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return mt_fail(MOTET_ERROR_ARGUMENT, "\"%s\": a name must not hold control characters", name);
    if (!strncmp(name, "SPEAKER_", strlen("SPEAKER_")))
        return mt_fail(MOTET_ERROR_ARGUMENT, "\"%s\": names in SPEAKER_ are those of the unknown", name);
    if (!mt_is_utf8(name)) return mt_fail(MOTET_ERROR_ARGUMENT, "\"%s\": a name must be UTF-8", name);
    return MOTET_OK;
}

static motet_status make(const char *name, const char *model, const char *version, const char *identity,
                         motet_voiceprint **out)
{
    MT_TRY(check_name(name));
    motet_voiceprint *print = mt_alloc_zero(1, sizeof *print);
    if (!print) return mt_fail_memory(sizeof *print);
    memcpy(print->name, name, strlen(name));
    print->model_name = mt_copy_string(model);
    print->model_version = mt_copy_string(version);
    print->model_identity = mt_copy_string(identity);
    if (print->model_name && print->model_version && print->model_identity) {
        *out = print;
        return MOTET_OK;
    }
    motet_voiceprint_destroy(print);
    return mt_fail_memory(strlen(model) + strlen(version) + strlen(identity));
}

mt_voice_model mt_voices_of(const motet_diarizer_info *info)
{
    bool own = !info->embedding_path || !*info->embedding_path;
    return own ? (mt_voice_model){info->model_name, info->model_version}
               : (mt_voice_model){info->embedding_name, info->embedding_version};
}

motet_status motet_voiceprint_create(const char *name, const motet_diarizer_info *model, motet_voiceprint **out)
{
    *out = NULL;
    mt_voice_model from = mt_voices_of(model);
    return make(name, from.name, from.version, model->voice_identity, out);
}

void motet_voiceprint_destroy(motet_voiceprint *print)
{
    if (!print) return;
    mt_free(print->model_name);
    mt_free(print->model_version);
    mt_free(print->model_identity);
    mt_free(print->sum);
    mt_free(print);
}

static motet_status set_dims(motet_voiceprint *print, int dims)
{
    print->sum = mt_alloc_zero((size_t)dims, sizeof *print->sum);
    if (!print->sum) return mt_fail_memory((size_t)dims * sizeof *print->sum);
    print->dims = dims;
    return MOTET_OK;
}

motet_status motet_voiceprint_add(motet_voiceprint *print, const motet_diarization *diarization, size_t speaker)
{
    if (speaker >= diarization->speaker_count)
        return mt_fail(MOTET_ERROR_ARGUMENT, "speaker %zu of %zu", speaker, diarization->speaker_count);
    const motet_speaker *from = &diarization->speakers[speaker];
    if (!print->dims) MT_TRY(set_dims(print, diarization->voice_dims));
    if (print->dims != diarization->voice_dims)
        return mt_fail(MOTET_ERROR_ARGUMENT, "a voice vector of %d values cannot be added to one of %d",
                       diarization->voice_dims, print->dims);
    for (int i = 0; i < print->dims; i++) print->sum[i] += (float)(from->alone + 0.01) * from->voice[i];
    print->seconds += from->alone;
    return MOTET_OK;
}

double motet_voiceprint_seconds(const motet_voiceprint *print)
{
    return print->seconds;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static void write_vector(mt_json *json, const motet_voiceprint *print)
{
    double norm = sqrt((double)mt_dot(print->sum, print->sum, print->dims));
    mt_json_open(json, "vector", '[');
    for (int i = 0; i < print->dims; i++) mt_json_number(json, NULL, (double)print->sum[i] / norm, 9);
    mt_json_close(json, ']');
}

motet_status motet_voiceprint_write(const motet_voiceprint *print, char **text, size_t *length)
{
    *text = NULL;
    if (!print->dims || !(mt_dot(print->sum, print->sum, print->dims) > 0))
        return mt_fail(MOTET_ERROR_ARGUMENT, "%s: no voice was heard to make a print of", print->name);
    mt_json json = {0};
    mt_json_open(&json, NULL, '{');
    mt_json_int(&json, "voiceprint", FILE_VERSION);
    mt_json_string(&json, "name", print->name);
    mt_json_open_row(&json, "model");
    mt_json_string(&json, "name", print->model_name);
    mt_json_string(&json, "version", print->model_version);
    mt_json_string(&json, "identity", print->model_identity);
    mt_json_close(&json, '}');
    mt_json_number(&json, "seconds", print->seconds, 3);
    write_vector(&json, print);
    mt_json_close(&json, '}');
    return mt_text_take(&json.text, text, length);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* The vector, at unit length. */
static motet_status read_vector(const json_t *array, motet_voiceprint *print)
{
    size_t count = json_array_size(array);
    if (count < 1 || count > MT_MAX_VOICE)
        return mt_fail(MOTET_ERROR_FORMAT, "\"vector\" has %zu values: expected 1 to %d", count, MT_MAX_VOICE);
    MT_TRY(set_dims(print, (int)count));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_number(value) || !(fabs(json_number_value(value)) <= 1.001))
            return mt_fail(MOTET_ERROR_FORMAT, "value %zu of \"vector\" is not a number from -1 to 1", i);
        print->sum[i] = (float)json_number_value(value);
    }
    float square = mt_dot(print->sum, print->sum, print->dims);
    if (!(fabsf(square - 1) < 0.01f))
        return mt_fail(MOTET_ERROR_FORMAT, "\"vector\" has length %.4f: expected 1", sqrt((double)square));
    mt_normalize(print->sum, print->dims);
    return MOTET_OK;
}

static motet_status read_object(json_t *root, motet_voiceprint **out)
{
    const char *name, *model, *version, *identity;
    int format;
    double seconds;
    json_t *vector;
    json_error_t error;
    if (json_unpack_ex(root, &error, 0, "{s:i}", "voiceprint", &format) || format != FILE_VERSION)
        return mt_fail(MOTET_ERROR_FORMAT, "not a voice print: \"voiceprint\" is not %d", FILE_VERSION);
    if (json_unpack_ex(root, &error, 0, "{s:s, s:{s:s, s:s, s:s}, s:F, s:o}", "name", &name, "model", "name", &model,
                       "version", &version, "identity", &identity, "seconds", &seconds, "vector", &vector))
        return mt_fail(MOTET_ERROR_FORMAT, "%s", error.text);
    if (!json_is_array(vector)) return mt_fail(MOTET_ERROR_FORMAT, "\"vector\" is not an array");
    motet_status status = make(name, model, version, identity, out);
    if (status == MOTET_ERROR_ARGUMENT) return mt_fail_in(MOTET_ERROR_FORMAT, "\"name\"");
    MT_TRY(status);
    (*out)->seconds = seconds;
    return read_vector(vector, *out);
}

/* Devices and pipes have no end to wait for. */
static motet_status check_file(const char *path)
{
    struct stat at;
    if (stat(path, &at) != 0) return mt_fail(MOTET_ERROR_IO, "%s", strerror(errno));
    if (!S_ISREG(at.st_mode)) return mt_fail(MOTET_ERROR_IO, "not a regular file");
    if (at.st_size > MAX_FILE)
        return mt_fail(MOTET_ERROR_FORMAT, "too large for a voice print: %lld bytes", (long long)at.st_size);
    return MOTET_OK;
}

motet_status mt_voiceprint_read(const char *path, motet_voiceprint **out)
{
    json_error_t error;
    *out = NULL;
    MT_TRY_AS(check_file(path), "%s", path);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!root) return mt_fail(MOTET_ERROR_FORMAT, "%s:%d:%d: %s", path, error.line, error.column, error.text);
    motet_status status = read_object(root, out);
    json_decref(root);
    if (status == MOTET_OK) return MOTET_OK;
    motet_voiceprint_destroy(*out);
    *out = NULL;
    return mt_fail_in(status, "%s", path);
}
