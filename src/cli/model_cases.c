/* Finding cases is a walk through folders, those with a model.onnx being the leaves; running one is a session, and for
 * each data set a run and a comparison for every stored output. */
#include "model_cases.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "motet/tensor_file.h"

enum { MAX_DEPTH = 16, REASON = 1024 };

/* Fills in the reason and returns false, so that `return because(why, ...)` reads as one thought. */
__attribute__((format(printf, 2, 3))) static bool because(char *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, REASON, format, arguments);
    va_end(arguments);
    return false;
}

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static bool exists(const char *folder, const char *name)
{
    char *path = join(folder, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* --- finding -------------------------------------------------------------------------------------------------- */

static bool add_case(model_case_list *list, const char *name, const char *folder, char *why)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        model_case *grown = realloc(list->cases, capacity * sizeof *grown);
        if (!grown) return because(why, "out of memory");
        list->cases = grown;
        list->capacity = capacity;
    }
    model_case added = {strdup(name), strdup(folder)};
    list->cases[list->count++] = added;
    return (added.name && added.folder) || because(why, "out of memory");
}

static bool find(model_case_list *list, const char *name, const char *folder, int depth, char *why);

/* What lies in a folder, hidden names left out: half-made cases have those. */
static bool find_below(model_case_list *list, const char *name, const char *folder, int depth, char *why)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) return because(why, "%s: %s", folder, strerror(errno));
    bool good = true;
    for (int i = 0; i < count; i++) {
        char *below = join(folder, entries[i]->d_name), *below_name = join(name, entries[i]->d_name);
        struct stat status;
        if (!below || !below_name)
            good = because(why, "out of memory");
        else if (good && entries[i]->d_name[0] != '.' && stat(below, &status) == 0 && S_ISDIR(status.st_mode))
            good = find(list, below_name, below, depth + 1, why);
        free(below);
        free(below_name);
        free(entries[i]);
    }
    free(entries);
    return good;
}

static bool find(model_case_list *list, const char *name, const char *folder, int depth, char *why)
{
    if (exists(folder, "model.onnx")) return add_case(list, name, folder, why);
    if (depth > MAX_DEPTH) return because(why, "%s: more than %d folders deep", folder, MAX_DEPTH);
    return find_below(list, name, folder, depth, why);
}

bool model_cases_find(model_case_list *list, const char *root, const char *folder, char why[static 1024])
{
    return find(list, root, folder, 0, why);
}

void model_cases_free(model_case_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->cases[i].name);
        free(list->cases[i].folder);
    }
    free(list->cases);
    *list = (model_case_list){0};
}

/* --- running -------------------------------------------------------------------------------------------------- */

static bool set_bound(motet_tolerance *tolerance, const char *key, double value)
{
    const struct {
        const char *key;
        double *value;
    } keys[] = {{"rtol", &tolerance->rtol},
                {"atol", &tolerance->atol},
                {"max_abs", &tolerance->max_abs},
                {"max_abs_over_std", &tolerance->max_abs_over_std},
                {"cosine", &tolerance->cosine}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i].key)) continue;
        *keys[i].value = value;
        return true;
    }
    return false;
}

/* What the file does not name is not asked for. */
static bool read_tolerance(const char *path, motet_tolerance *out, char *why)
{
    FILE *file = fopen(path, "r");
    if (!file) return because(why, "%s: %s", path, strerror(errno));
    char line[256], key[32];
    bool good = true;
    *out = (motet_tolerance){-1, -1, -1, -1, -1};
    for (int number = 1; good && fgets(line, sizeof line, file); number++) {
        double value;
        line[strcspn(line, "#\n")] = 0;
        if (line[strspn(line, " \t\r")] == 0) continue;
        if (sscanf(line, "%31s %lf", key, &value) != 2 || !set_bound(out, key, value))
            good = because(why, "%s: line %d: \"%s\" is no tolerance", path, number, line);
    }
    fclose(file);
    return good;
}

/* Files made before TensorProto had bfloat16 hold its bits as uint16: such a tensor becomes what the model declares. */
static bool as_bfloat16(motet_tensor **tensor, char *why)
{
    motet_tensor *bits = *tensor, *brain;
    if (motet_tensor_create(MOTET_BFLOAT16, motet_tensor_rank(bits), motet_tensor_dims(bits), &brain) != MOTET_OK)
        return because(why, "%s", motet_error_message());
    memcpy(motet_tensor_data(brain), motet_tensor_data(bits), (size_t)motet_tensor_count(bits) * sizeof(uint16_t));
    motet_tensor_destroy(bits);
    *tensor = brain;
    return true;
}

static bool read_value(const char *path, const motet_value_info *value, motet_tensor **out, char *why)
{
    motet_status status =
        value->kind == MOTET_TENSOR ? motet_tensor_read(path, out) : motet_tensor_read_list(path, value->kind, out);
    if (status != MOTET_OK) return because(why, "%s", motet_error_message());
    bool old = value->type == MOTET_BFLOAT16 && motet_tensor_type(*out) == MOTET_UINT16;
    return !old || as_bfloat16(out, why);
}

/* Reads folder/KIND_0.pb, KIND_1.pb, ... as long as there is one, naming each as the model does. */
static bool read_values(const motet_session *session, const char *folder, const char *kind,
                        const motet_value_info *(*info)(const motet_session *, size_t), model_values *values, char *why)
{
    for (size_t i = 0; i < MODEL_MAX_VALUES; i++) {
        char file[32];
        snprintf(file, sizeof file, "%s_%zu.pb", kind, i);
        if (!exists(folder, file)) break;
        const motet_value_info *value = info(session, i);
        if (!value) return because(why, "%s, but the model has no %s %zu", file, kind, i);
        char *path = join(folder, file);
        if (!path) return because(why, "out of memory");
        values->names[i] = value->name;
        values->count = i + 1;
        bool read = read_value(path, value, &values->tensors[i], why);
        free(path);
        if (!read) return false;
    }
    return true;
}

/* One data set: what goes in, what comes out, what should have. */
typedef struct data_set {
    model_values inputs, expected, got;
} data_set;

static bool run_set(motet_session *session, const char *folder, const motet_tolerance *within, data_set *set,
                    model_outcome *outcome)
{
    char *why = outcome->why;
    if (!read_values(session, folder, "input", motet_session_input, &set->inputs, why) ||
        !read_values(session, folder, "output", motet_session_output, &set->expected, why))
        return false;
    if (set->expected.count == 0) return because(why, "no output_0.pb to compare with");
    set->got.count = set->expected.count;
    memcpy(set->got.names, set->expected.names, sizeof set->got.names);
    if (model_run_once(session, &set->inputs, &set->got) != MOTET_OK)
        return because(why, "run: %s", motet_error_message());
    for (size_t i = 0; i < set->got.count; i++)
        if (motet_tensor_compare(set->expected.tensors[i], set->got.tensors[i], within, &outcome->distance) != MOTET_OK)
            return because(why, "output \"%.200s\": %.700s", set->got.names[i], motet_error_message());
    return true;
}

static bool run_sets(motet_session *session, const char *folder, const motet_tolerance *within, model_outcome *outcome)
{
    int number = 0;
    for (;; number++) {
        char name[32];
        snprintf(name, sizeof name, "test_data_set_%d", number);
        if (!exists(folder, name)) break;
        char *path = join(folder, name);
        data_set *set = calloc(1, sizeof *set);
        bool good = path && set ? run_set(session, path, within, set, outcome) : because(outcome->why, "out of memory");
        if (set) {
            model_values_clear(&set->inputs);
            model_values_clear(&set->expected);
            model_values_clear(&set->got);
        }
        free(set);
        free(path);
        if (!good) return false;
    }
    return number > 0 || because(outcome->why, "no test_data_set_0");
}

void model_case_run(const model_case *tested, const motet_session_options *options, model_outcome *outcome)
{
    char *model = join(tested->folder, "model.onnx"), *bounds = join(tested->folder, "tolerance");
    motet_tolerance within;
    motet_session *session = NULL;
    *outcome = (model_outcome){0};
    motet_distance_init(&outcome->distance);
    motet_tolerance_init(&within);
    bool good = model && bounds ? true : because(outcome->why, "out of memory");
    if (good && exists(tested->folder, "tolerance")) good = read_tolerance(bounds, &within, outcome->why);
    if (good && motet_session_open(model, options, &session) != MOTET_OK)
        good = because(outcome->why, "load: %s", motet_error_message());
    outcome->passed = good && run_sets(session, tested->folder, &within, outcome);
    motet_session_close(session);
    free(model);
    free(bounds);
}
