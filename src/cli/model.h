/* motet model SUBCOMMAND: one file a subcommand, and what they share. */
#ifndef MOTET_CLI_MODEL_H
#define MOTET_CLI_MODEL_H

#include <jansson.h>
#include <stdint.h>

#include "cli.h"
#include "motet/session.h"

int model_inspect(int argc, char **argv);
int model_check(int argc, char **argv);
int model_run(int argc, char **argv);
int model_compare(int argc, char **argv);
int model_test(int argc, char **argv);
int model_bench(int argc, char **argv);
int model_optimize(int argc, char **argv);
int model_quantize(int argc, char **argv);

enum { MODEL_MAX_VALUES = 4096 }; /* inputs, and outputs, that a model may have here */

/* "float32[batch,300,80]", with "?" for what has neither a size nor a name. Returns `text`. */
char *model_value_text(const motet_value_info *info, char *text, size_t size);
char *model_tensor_text(const motet_tensor *tensor, char *text, size_t size);

/* The same for programs: {"name": ..., "type": ..., "shape": [...]}, with names or null for free dimensions. */
json_t *model_value_json(const motet_value_info *info);

/* A number to a few digits, null for what JSON cannot hold. */
json_t *model_number(double value);

/* Prints and frees it; also when `json` is NULL, for want of memory, which is said. */
bool model_print_json(const char *command, json_t *json);

/* --- what is fed ---------------------------------------------------------------------------------------------- */

/* From the command line. Zeros are the defaults. */
typedef struct model_feed {
    const char *files[MODEL_MAX_VALUES], *shapes[MODEL_MAX_VALUES]; /* "NAME=FILE", "NAME=1x48000" */
    size_t file_count, shape_count;
    int seed;
} model_feed;

/* The long options that fill it in, for tables of options, and what help says of them. */
enum { MODEL_OPTION_INPUT = 1000, MODEL_OPTION_SHAPE, MODEL_OPTION_SEED };
/* clang-format off */
#define MODEL_FEED_OPTIONS                                      \
    {"input", required_argument, NULL, MODEL_OPTION_INPUT},     \
    {"shape", required_argument, NULL, MODEL_OPTION_SHAPE},     \
    {"seed", required_argument, NULL, MODEL_OPTION_SEED}
/* clang-format on */
#define MODEL_FEED_HELP                                                                                                \
    "      --input NAME=FILE   feed this .npy or .pb to the input NAME (NAME= may be left out when there is one)\n"    \
    "      --shape NAME=AxBxC  the shape of an input that no file is given for, as 1x48000; what the model leaves\n"   \
    "                          open is 1 otherwise\n"                                                                  \
    "      --seed N            inputs without a file are random: floats from -1 to 1, integers 0 or 1 (default 0)\n"

/* Whether it understood the option; if not, it has said so. */
bool model_feed_option(const char *command, model_feed *feed, int option, const char *text);

/* Adds a pass to those that the session leaves out; false (with a message) when there are too many. The names live as
 * long as the program. */
bool model_leave_out(const char *command, motet_session_options *options, const char *pass);

#define MODEL_PASS_HELP                                                                                                \
    "      --no-pass NAME      leave this rewriting of the graph out (may be repeated): fold, branch, identity,\n"     \
    "                          common, transpose, forest, norm, attention, skip, gelu, integer, stem,\n"               \
    "                          epilogue, projections, range, strassen\n"

/* Tensors with their names, the names owned by the session or whoever gave them. */
typedef struct model_values {
    const char *names[MODEL_MAX_VALUES];
    motet_tensor *tensors[MODEL_MAX_VALUES];
    size_t count;
} model_values;

void model_values_clear(model_values *values);

/* A tensor for every input of the session; false (with a message) when that cannot be. */
bool model_feed_make(const char *command, const model_feed *feed, const motet_session *session, model_values *out);

/* The names of the session's outputs, without tensors yet. */
bool model_name_outputs(const char *command, const motet_session *session, model_values *out);

/* Runs; `outputs` holds the names. */
motet_status model_run_once(motet_session *session, const model_values *inputs, model_values *outputs);

/* "NAME=REST": the length of the name and the rest; 0 and all of it when there is no "=". */
size_t model_split(const char *text, const char **rest);

#endif
