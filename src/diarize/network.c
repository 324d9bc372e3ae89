/* See network.h. A key of the metadata is text; in the sidecar it may be a number too. */
#include "diarize/network.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/number.h"
#include "core/tensor.h"
#include "core/text.h"

/* --- the file and its sidecar ---------------------------------------------------------------------------------- */

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

motet_status mt_network_open(const char *path, int threads, mt_network *out)
{
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = threads;
    *out = (mt_network){.path = mt_copy_string(path)};
    if (!out->path) return mt_fail_memory(strlen(path));
    MT_TRY(motet_session_open(path, &options, &out->session));
    return open_sidecar(path, &out->sidecar);
}

void mt_network_close(mt_network *n)
{
    motet_session_close(n->session);
    json_decref(n->sidecar);
    mt_free(n->path);
    *n = (mt_network){0};
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

const char *mt_network_text(const mt_network *n, const char *key)
{
    const char *value = motet_session_metadata(n->session, key);
    if (value || !n->sidecar) return value;
    return json_string_value(json_object_get(n->sidecar, key));
}

const char *mt_network_text_or(const mt_network *n, const char *key, const char *otherwise)
{
    const char *text = mt_network_text(n, key);
    return text ? text : otherwise;
}

bool mt_network_says(const mt_network *n, const char *key)
{
    return mt_network_text(n, key) || (n->sidecar && json_object_get(n->sidecar, key));
}

motet_status mt_network_number(const mt_network *n, const char *key, double low, double high, double *out)
{
    const char *text = mt_network_text(n, key);
    const json_t *json = n->sidecar ? json_object_get(n->sidecar, key) : NULL;
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

motet_status mt_network_int(const mt_network *n, const char *key, int low, int high, int *out)
{
    double value = 0;
    MT_TRY(mt_network_number(n, key, low, high, &value));
    *out = (int)value;
    return value == floor(value) ? MOTET_OK
                                 : mt_fail(MOTET_ERROR_FORMAT, "%s is %g: expected a whole number", key, value);
}

motet_status mt_network_maybe_number(const mt_network *n, const char *key, double low, double high, double *out)
{
    return mt_network_says(n, key) ? mt_network_number(n, key, low, high, out) : MOTET_OK;
}

motet_status mt_network_maybe_int(const mt_network *n, const char *key, int low, int high, int *out)
{
    return mt_network_says(n, key) ? mt_network_int(n, key, low, high, out) : MOTET_OK;
}

motet_status mt_network_choice(const mt_network *n, const char *key, const char *const *choices, bool maybe, int *out)
{
    const char *text = mt_network_text(n, key);
    *out = 0;
    if (!text && maybe && !mt_network_says(n, key)) return MOTET_OK;
    for (int i = 0; text && choices[i]; i++)
        if (!strcmp(text, choices[i])) {
            *out = i;
            return MOTET_OK;
        }
    mt_text list = {0};
    char *expected;
    for (int i = 0; choices[i]; i++) mt_text_add(&list, "%s\"%s\"", i ? " or " : "", choices[i]);
    MT_TRY(mt_text_take(&list, &expected, NULL));
    motet_status status =
        mt_fail(MOTET_ERROR_UNSUPPORTED, "%s is \"%s\": expected %s", key, text ? text : "", expected);
    mt_free(expected);
    return status;
}

/* --- inputs and outputs ---------------------------------------------------------------------------------------- */

const motet_value_info *mt_network_input(const mt_network *n, const char *name)
{
    for (size_t i = 0; i < motet_session_input_count(n->session); i++)
        if (!strcmp(motet_session_input(n->session, i)->name, name)) return motet_session_input(n->session, i);
    return NULL;
}

const motet_value_info *mt_network_output(const mt_network *n, const char *name)
{
    for (size_t i = 0; i < motet_session_output_count(n->session); i++)
        if (!strcmp(motet_session_output(n->session, i)->name, name)) return motet_session_output(n->session, i);
    return NULL;
}

motet_status mt_network_find_input(const mt_network *n, const char *key, const motet_value_info **out)
{
    const char *name = mt_network_text(n, key);
    *out = name ? mt_network_input(n, name) : motet_session_input(n->session, 0);
    if (*out) return MOTET_OK;
    return mt_fail(MOTET_ERROR_SHAPE, "the model has no input '%s' (%s)", name ? name : "", key);
}

motet_status mt_network_find_output(const mt_network *n, const char *key, const motet_value_info **out)
{
    const char *name = mt_network_text(n, key);
    *out = name ? mt_network_output(n, name) : motet_session_output(n->session, 0);
    if (*out) return MOTET_OK;
    return mt_fail(MOTET_ERROR_SHAPE, "the model has no output '%s' (%s)", name ? name : "", key);
}

static bool fits(const motet_value_info *info, int rank, const int64_t *dims)
{
    if (info->type != MOTET_FLOAT) return false;
    if (info->rank < 0) return true;
    if (info->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (info->dims[i] >= 0 && info->dims[i] != dims[i]) return false;
    return true;
}

motet_status mt_network_check(const motet_value_info *info, const char *what, int rank, const int64_t *dims)
{
    if (fits(info, rank, dims)) return MOTET_OK;
    char wanted[MT_SHAPE_TEXT], found[MT_SHAPE_TEXT];
    return mt_fail(MOTET_ERROR_SHAPE, "%s '%s' is %s%s; its description asks for float32%s", what, info->name,
                   motet_type_name(info->type),
                   info->rank < 0 ? "" : mt_shape_text(info->rank, info->dims, found, sizeof found),
                   mt_shape_text(rank, dims, wanted, sizeof wanted));
}
