/* Any ONNX model in eighty lines on the public API: feeds it zeros of the declared shapes, 1 where a size is open, and
 * prints what comes out.
 *
 *     cc run_model.c $(pkg-config --cflags --libs motet) -o run_model
 *     ./run_model model.onnx */
#include <stdio.h>
#include <stdlib.h>

#include <motet/motet.h>

enum { MOST = 16 }; /* inputs, and outputs */

static int fail(void)
{
    fprintf(stderr, "run_model: %s\n", motet_error_message());
    return 1;
}

static void print_tensor(const char *name, const motet_tensor *tensor)
{
    printf("%s  %s[", name, motet_type_name(motet_tensor_type(tensor)));
    for (int i = 0; i < motet_tensor_rank(tensor); i++)
        printf("%s%lld", i ? "," : "", (long long)motet_tensor_dims(tensor)[i]);
    printf("]");
    for (int64_t i = 0; i < motet_tensor_count(tensor) && i < 4; i++) printf("  %g", motet_tensor_number(tensor, i));
    printf("\n");
}

static motet_status make_zeros(const motet_value_info *info, motet_tensor **out)
{
    int64_t dims[MOTET_MAX_RANK];
    for (int i = 0; i < info->rank; i++) dims[i] = info->dims[i] < 0 ? 1 : info->dims[i];
    return motet_tensor_create(info->type, info->rank < 0 ? 0 : info->rank, dims, out);
}

static motet_status run(motet_session *session)
{
    const char *input_names[MOST], *output_names[MOST];
    motet_tensor *inputs[MOST] = {NULL}, *outputs[MOST] = {NULL};
    size_t input_count = motet_session_input_count(session), output_count = motet_session_output_count(session);
    motet_status status = MOTET_OK;
    if (input_count > MOST || output_count > MOST) {
        fprintf(stderr, "run_model: more than %d inputs or outputs\n", MOST);
        exit(1);
    }
    for (size_t i = 0; status == MOTET_OK && i < input_count; i++) {
        input_names[i] = motet_session_input(session, i)->name;
        status = make_zeros(motet_session_input(session, i), &inputs[i]);
    }
    for (size_t i = 0; i < output_count; i++) output_names[i] = motet_session_output(session, i)->name;
    if (status == MOTET_OK)
        status = motet_session_run(session, input_names, (const motet_tensor *const *)inputs, input_count, output_names,
                                   outputs, output_count);
    for (size_t i = 0; status == MOTET_OK && i < output_count; i++) print_tensor(output_names[i], outputs[i]);
    for (size_t i = 0; i < output_count; i++) motet_tensor_destroy(outputs[i]);
    for (size_t i = 0; i < input_count; i++) motet_tensor_destroy(inputs[i]);
    return status;
}

int main(int argc, char **argv)
{
    motet_session *session;
    if (argc != 2) {
        fprintf(stderr, "usage: run_model MODEL\n");
        return 2;
    }
    if (motet_session_open(argv[1], NULL, &session) != MOTET_OK) return fail();
    motet_status status = run(session);
    motet_session_close(session);
    return status == MOTET_OK ? 0 : fail();
}
