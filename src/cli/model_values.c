/* Values in words, and what is fed to a model: files where they are given, else random numbers from a seed, so that two
 * calls, or two models, see the same. */
#include "model.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "motet/tensor_file.h"

bool model_leave_out(const char *command, motet_session_options *options, const char *pass)
{
    static char names[256];
    size_t used = strlen(names);
    int length = snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", pass);
    if (length < 0 || (size_t)length >= sizeof names - used) return cli_misuse(command, "too many --no-pass"), false;
    options->without = names;
    return true;
}

/* --- in words ------------------------------------------------------------------------------------------------- */

char *model_value_text(const motet_value_info *info, char *text, size_t size)
{
    size_t used = 0;
    if (info->kind != MOTET_TENSOR) used += (size_t)snprintf(text, size, "%s of ", motet_kind_name(info->kind));
    if (info->item != MOTET_TENSOR)
        used += (size_t)snprintf(text + used, size - used, "%s of ", motet_kind_name(info->item));
    used += (size_t)snprintf(text + used, size - used, "%s%s", motet_type_name(info->type), info->rank < 0 ? "" : "[");
    for (int i = 0; i < info->rank && used < size; i++) {
        const char *comma = i ? "," : "";
        int length = info->dims[i] >= 0 ? snprintf(text + used, size - used, "%s%" PRId64, comma, info->dims[i])
                                        : snprintf(text + used, size - used, "%s%.24s", comma,
                                                   info->symbols[i] ? info->symbols[i] : "?");
        used += length > 0 ? (size_t)length : 0;
    }
    if (info->rank >= 0 && used < size) snprintf(text + used, size - used, "]");
    cli_make_printable(text);
    return text;
}

char *model_tensor_text(const motet_tensor *tensor, char *text, size_t size)
{
    motet_value_info info = {.type = motet_tensor_type(tensor), .rank = motet_tensor_rank(tensor)};
    if (motet_tensor_kind(tensor) != MOTET_TENSOR) {
        snprintf(text, size, "%s of %" PRId64, motet_kind_name(motet_tensor_kind(tensor)), motet_tensor_count(tensor));
        return text;
    }
    for (int i = 0; i < info.rank; i++) info.dims[i] = motet_tensor_dims(tensor)[i];
    return model_value_text(&info, text, size);
}

json_t *model_value_json(const motet_value_info *info)
{
    json_t *shape = info->rank < 0 ? json_null() : json_array();
    for (int i = 0; i < info->rank; i++) {
        json_t *dim = info->dims[i] >= 0 ? json_integer(info->dims[i])
                      : info->symbols[i] ? json_string(info->symbols[i])
                                         : NULL;
        json_array_append_new(shape, dim ? dim : json_null());
    }
    return json_pack("{s:s?, s:s, s:s, s:s, s:o}", "name", info->name, "kind", motet_kind_name(info->kind), "item",
                     motet_kind_name(info->item), "type", motet_type_name(info->type), "shape", shape);
}

json_t *model_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

bool model_print_json(const char *command, json_t *json)
{
    enum { DIGITS = 9 };
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(json);
    bool printed = false;
    if (text)
        printed = cli_print(command, text, strlen(text)) && cli_print(command, "\n", 1);
    else
        cli_say(command, "out of memory, or text that is not UTF-8: no JSON");
    free(text);
    return printed;
}

/* --- the command line ----------------------------------------------------------------------------------------- */

size_t model_split(const char *text, const char **rest)
{
    const char *equals = strchr(text, '=');
    *rest = equals ? equals + 1 : text;
    return equals ? (size_t)(equals - text) : 0;
}

static bool keep(const char *command, const char *option, const char *text, const char **list, size_t *count)
{
    if (*count == MODEL_MAX_VALUES) return cli_misuse(command, "more than %d --%s", MODEL_MAX_VALUES, option), false;
    list[(*count)++] = text;
    return true;
}

/* "1x48000", "" for a scalar */
static bool parse_shape(const char *command, const char *text, motet_value_info *out)
{
    const char *at = text;
    for (out->rank = 0; *at;) {
        char *end;
        errno = 0;
        if (out->rank == MOTET_MAX_RANK || !isdigit((unsigned char)*at)) break;
        out->dims[out->rank++] = strtoll(at, &end, 10);
        if (errno || (*end && (*end != 'x' || !end[1]))) break;
        at = *end ? end + 1 : end;
    }
    if (!*at) return true;
    return cli_misuse(command, "--shape %s: expected sizes such as 1x48000, at most %d", text, MOTET_MAX_RANK), false;
}

bool model_feed_option(const char *command, model_feed *feed, int option, const char *text)
{
    switch (option) {
    case MODEL_OPTION_INPUT: return keep(command, "input", text, feed->files, &feed->file_count);
    case MODEL_OPTION_SHAPE: {
        const char *sizes;
        motet_value_info parsed;
        (void)model_split(text, &sizes);
        return parse_shape(command, sizes, &parsed) && keep(command, "shape", text, feed->shapes, &feed->shape_count);
    }
    case MODEL_OPTION_SEED: return cli_int(command, "seed", text, 0, INT32_MAX, &feed->seed);
    default:
        fprintf(stderr, "Try 'motet %s --help'.\n", command); /* getopt has said what is wrong */
        return false;
    }
}

/* The rest of the entry for `name` in a list of "NAME=REST", NULL when there is none. */
static const char *find(const char *const *list, size_t count, const char *name, bool only_one)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest;
        size_t length = model_split(list[i], &rest);
        if (length ? strlen(name) == length && !strncmp(name, list[i], length) : only_one) return rest;
    }
    return NULL;
}

static bool all_known(const char *command, const motet_session *session, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest;
        size_t length = model_split(list[i], &rest), inputs = motet_session_input_count(session);
        bool known = !length && inputs == 1;
        for (size_t k = 0; length && !known && k < inputs; k++) {
            const char *name = motet_session_input(session, k)->name;
            known = strlen(name) == length && !strncmp(name, list[i], length);
        }
        if (!known) return cli_say(command, "%s: the model has no such input", list[i]), false;
    }
    return true;
}

/* --- random values -------------------------------------------------------------------------------------------- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A float from -1 to 1 with 8 significant bits, which every floating-point type of 16 bits and more can hold. */
static float next_real(uint64_t *state)
{
    return (float)((int)(next_random(state) >> 56) - 128) / 128;
}

static uint16_t half_of(float value)
{
    if (value == 0) return 0;
    int exponent;
    float fraction = frexpf(fabsf(value), &exponent); /* 0.5 to 1 */
    unsigned bits = (unsigned)(exponent + 14) << 10 | ((unsigned)(fraction * 2048) & 1023);
    return (uint16_t)(bits | (value < 0 ? 0x8000u : 0));
}

static uint16_t bfloat_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void set_random(motet_tensor *tensor, int64_t i, uint64_t *state)
{
    void *data = motet_tensor_data(tensor);
    switch (motet_tensor_type(tensor)) {
    case MOTET_FLOAT: ((float *)data)[i] = next_real(state); break;
    case MOTET_DOUBLE: ((double *)data)[i] = next_real(state); break;
    case MOTET_FLOAT16: ((uint16_t *)data)[i] = half_of(next_real(state)); break;
    case MOTET_BFLOAT16: ((uint16_t *)data)[i] = bfloat_of(next_real(state)); break;
    case MOTET_COMPLEX64: ((float *)data)[2 * i] = next_real(state); break;
    case MOTET_COMPLEX128: ((double *)data)[2 * i] = next_real(state); break;
    default: { /* integers and booleans: the lowest byte, little-endian, the rest is zero */
        size_t size = motet_type_size(motet_tensor_type(tensor));
        if (size) ((uint8_t *)data)[(size_t)i * size] = next_random(state) >> 63;
    }
    }
}

static motet_status make_random(const motet_value_info *info, uint64_t *state, motet_tensor **out)
{
    int64_t dims[MOTET_MAX_RANK] = {0};
    for (int i = 0; i < info->rank; i++) dims[i] = info->dims[i] < 0 ? 1 : info->dims[i];
    motet_status status = motet_tensor_create(info->type, info->rank < 0 ? 0 : info->rank, dims, out);
    for (int64_t i = 0; status == MOTET_OK && i < motet_tensor_count(*out); i++) {
        if (info->type == MOTET_STRING)
            status = motet_tensor_set_string(*out, i, next_random(state) >> 63 ? "one" : "two", 3);
        else
            set_random(*out, i, state);
    }
    return status;
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

void model_values_clear(model_values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        motet_tensor_destroy(values->tensors[i]);
        values->tensors[i] = NULL;
    }
}

static bool make_one(const char *command, const model_feed *feed, const motet_value_info *info, bool only_one,
                     uint64_t *state, motet_tensor **out)
{
    const char *file = find(feed->files, feed->file_count, info->name, only_one);
    const char *shape = find(feed->shapes, feed->shape_count, info->name, only_one);
    motet_value_info wanted = *info;
    motet_status status;
    if (file && shape)
        return cli_misuse(command, "--input and --shape for '%s': the file has its shape", info->name), false;
    bool list = info->kind == MOTET_SEQUENCE || info->kind == MOTET_OPTIONAL;
    if (!file && (info->type == MOTET_UNDEFINED || info->kind != MOTET_TENSOR))
        return cli_say(command, "input '%s' does not declare a tensor type: feed it a file with --input", info->name),
               false;
    if (shape && !parse_shape(command, shape, &wanted)) return false;
    status = !file  ? make_random(&wanted, state, out)
             : list ? motet_tensor_read_list(file, info->kind, out)
                    : motet_tensor_read(file, out);
    if (status != MOTET_OK) cli_say(command, "input '%s': %s", info->name, motet_error_message());
    return status == MOTET_OK;
}

bool model_feed_make(const char *command, const model_feed *feed, const motet_session *session, model_values *out)
{
    uint64_t state = (uint64_t)feed->seed;
    size_t count = motet_session_input_count(session);
    if (count > MODEL_MAX_VALUES)
        return cli_say(command, "%zu inputs: at most %d are supported here", count, MODEL_MAX_VALUES), false;
    if (!all_known(command, session, feed->files, feed->file_count) ||
        !all_known(command, session, feed->shapes, feed->shape_count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const motet_value_info *info = motet_session_input(session, i);
        out->names[i] = info->name;
        out->count = i + 1;
        if (!make_one(command, feed, info, count == 1, &state, &out->tensors[i])) return false;
    }
    return true;
}

bool model_name_outputs(const char *command, const motet_session *session, model_values *out)
{
    size_t count = motet_session_output_count(session);
    if (count > MODEL_MAX_VALUES)
        return cli_say(command, "%zu outputs: at most %d are supported here", count, MODEL_MAX_VALUES), false;
    for (size_t i = 0; i < count; i++) out->names[i] = motet_session_output(session, i)->name;
    out->count = count;
    return true;
}

motet_status model_run_once(motet_session *session, const model_values *inputs, model_values *outputs)
{
    return motet_session_run(session, inputs->names, (const motet_tensor *const *)inputs->tensors, inputs->count,
                             outputs->names, outputs->tensors, outputs->count);
}
