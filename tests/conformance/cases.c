#include "cases.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor_pb.h"

enum { MAX_DEPTH = 16, MAX_VALUES = 256 };

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

static bool add_case(case_list *list, const char *name, const char *folder, reason *why)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        test_case *grown = realloc(list->cases, capacity * sizeof *grown);
        if (!grown) return because(why, "out of memory");
        list->cases = grown;
        list->capacity = capacity;
    }
    test_case added = {strdup(name), strdup(folder)};
    list->cases[list->count++] = added;
    return (added.name && added.folder) || because(why, "out of memory");
}

static bool find(case_list *list, const char *name, const char *folder, int depth, reason *why);

/* What lies in a folder, hidden names left out: half-made cases have those. */
static bool find_below(case_list *list, const char *name, const char *folder, int depth, reason *why)
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

static bool find(case_list *list, const char *name, const char *folder, int depth, reason *why)
{
    if (exists(folder, "model.onnx")) return add_case(list, name, folder, why);
    if (depth > MAX_DEPTH) return because(why, "%s: more than %d folders deep", folder, MAX_DEPTH);
    return find_below(list, name, folder, depth, why);
}

bool cases_find(case_list *list, const char *root, const char *folder, reason *why)
{
    return find(list, root, folder, 0, why);
}

void cases_free(case_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->cases[i].name);
        free(list->cases[i].folder);
    }
    free(list->cases);
    *list = (case_list){0};
}

/* One data set: what goes in, what comes out, what should have. */
typedef struct data_set {
    const char *input_names[MAX_VALUES], *output_names[MAX_VALUES];
    motet_tensor *inputs[MAX_VALUES], *got[MAX_VALUES], *expected[MAX_VALUES];
    size_t input_count, output_count;
} data_set;

static void free_data_set(data_set *set)
{
    for (size_t i = 0; i < set->input_count; i++) motet_tensor_destroy(set->inputs[i]);
    for (size_t i = 0; i < set->output_count; i++) {
        motet_tensor_destroy(set->got[i]);
        motet_tensor_destroy(set->expected[i]);
    }
    free(set);
}

/* Files made before TensorProto had bfloat16 hold its bits as uint16: such a tensor becomes what the model declares. */
static bool as_bfloat16(motet_tensor **tensor, reason *why)
{
    motet_tensor *bits = *tensor, *brain;
    if (motet_tensor_create(MOTET_BFLOAT16, motet_tensor_rank(bits), motet_tensor_dims(bits), &brain) != MOTET_OK)
        return because(why, "%s", motet_error_message());
    memcpy(motet_tensor_data(brain), motet_tensor_data(bits), (size_t)motet_tensor_count(bits) * sizeof(uint16_t));
    motet_tensor_destroy(bits);
    *tensor = brain;
    return true;
}

/* Reads folder/KIND_0.pb, KIND_1.pb, ... as long as there is one, naming each as the model does. */
static bool read_values(const motet_session *session, const char *folder, const char *kind,
                        const motet_value_info *(*info)(const motet_session *, size_t), const char **names,
                        motet_tensor **tensors, size_t *count, reason *why)
{
    for (size_t i = 0; i < MAX_VALUES; i++) {
        char file[32];
        snprintf(file, sizeof file, "%s_%zu.pb", kind, i);
        if (!exists(folder, file)) break;
        const motet_value_info *value = info(session, i);
        if (!value) return because(why, "%s, but the model has no %s %zu", file, kind, i);
        if (value->type == MOTET_UNDEFINED)
            return because(why, "%s \"%s\" is a sequence or an optional, which sessions do not take yet", kind,
                           value->name);
        char *path = join(folder, file);
        if (!path) return because(why, "out of memory");
        bool read = tensor_pb_read(path, &tensors[i], why);
        free(path);
        if (!read) return false;
        names[i] = value->name;
        *count = i + 1;
        if (value->type == MOTET_BFLOAT16 && motet_tensor_type(tensors[i]) == MOTET_UINT16 &&
            !as_bfloat16(&tensors[i], why))
            return false;
    }
    return true;
}

static bool run_set(motet_session *session, const char *folder, data_set *set, const tolerance *within, distance *apart,
                    reason *why)
{
    if (!read_values(session, folder, "input", motet_session_input, set->input_names, set->inputs, &set->input_count,
                     why) ||
        !read_values(session, folder, "output", motet_session_output, set->output_names, set->expected,
                     &set->output_count, why))
        return false;
    if (set->output_count == 0) return because(why, "no output_0.pb to compare with");
    if (motet_session_run(session, set->input_names, (const motet_tensor *const *)set->inputs, set->input_count,
                          set->output_names, set->got, set->output_count) != MOTET_OK)
        return because(why, "run: %s", motet_error_message());
    for (size_t i = 0; i < set->output_count; i++) {
        reason inner;
        if (!compare_tensors(set->expected[i], set->got[i], within, apart, &inner))
            return because(why, "output \"%.200s\": %.700s", set->output_names[i], inner.text);
    }
    return true;
}

static bool run_sets(motet_session *session, const char *folder, const tolerance *within, distance *apart, reason *why)
{
    int number = 0;
    for (;; number++) {
        char name[32];
        snprintf(name, sizeof name, "test_data_set_%d", number);
        if (!exists(folder, name)) break;
        char *path = join(folder, name);
        data_set *set = calloc(1, sizeof *set);
        bool good = path && set ? run_set(session, path, set, within, apart, why) : because(why, "out of memory");
        if (set) free_data_set(set);
        free(path);
        if (!good) return false;
    }
    return number > 0 || because(why, "no test_data_set_0");
}

bool case_run(const test_case *tested, const motet_session_options *options, distance *apart, reason *why)
{
    *apart = distance_none();
    char *model = join(tested->folder, "model.onnx"), *bounds = join(tested->folder, "tolerance");
    tolerance within = tolerance_default();
    motet_session *session = NULL;
    bool good = model && bounds ? true : because(why, "out of memory");
    if (good && exists(tested->folder, "tolerance")) good = tolerance_read(bounds, &within, why);
    if (good && motet_session_open(model, options, &session) != MOTET_OK)
        good = because(why, "load: %s", motet_error_message());
    if (good) {
        good = run_sets(session, tested->folder, &within, apart, why);
        motet_session_close(session);
    }
    free(model);
    free(bounds);
    return good;
}
