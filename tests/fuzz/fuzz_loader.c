/* Fuzz target: any bytes as a model file on disk, opened the way `motet model inspect` does, every weight looked at,
 * and written again, simplified and quantised. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "motet/model.h"
#include "motet/quantize.h"

static void look(const motet_model *model)
{
    volatile size_t seen = 0;
    for (size_t i = 0; motet_model_operator_at(model, i); i++) seen++;
    for (size_t i = 0; motet_model_problem_at(model, i); i++) seen++;
    for (size_t i = 0; motet_model_input(model, i); i++) seen += motet_model_input(model, i)->rank > 0;
    for (size_t i = 0; motet_model_output(model, i); i++) seen += motet_model_output(model, i)->rank > 0;
    (void)seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[64];
    motet_model *model;
    int file = memfd_create("model", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (motet_model_open(path, &model) == MOTET_OK) {
        look(model);
        motet_model_close(model);
        (void)!motet_model_optimize(path, "/dev/null", false);
        (void)!motet_model_quantize(path, "/dev/null", NULL, NULL);
    }
    close(file);
    return 0;
}
