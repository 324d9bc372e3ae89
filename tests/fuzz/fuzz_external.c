/* Fuzz target: external data. The bytes are the location, offset and length of a weight, a line each; the model stands
 * in a folder with a file of weights, a folder with another, and a link to a secret beside it. Nothing of the secret
 * may come out, and no byte beyond the end of a file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "onnx/writer.h"

enum { ELEMENTS = 4, SECRET = 0x5a, WEIGHT = 0x11 };

static char root[] = "/tmp/motet-fuzz-XXXXXX", model_path[64];

static void put_file(const char *name, int byte, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    if (!file) abort();
    for (size_t i = 0; i < size; i++) fputc(byte, file);
    fclose(file);
}

static void clean_up(void)
{
    static const char *const names[] = {"model/under/more", "model/under",      "model/weights", "model/link",
                                        "model/up",         "model/model.onnx", "model",         "secret"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        if (unlink(path)) rmdir(path);
    }
    rmdir(root);
}

static void make_folders(void)
{
    char path[128];
    if (!mkdtemp(root)) abort();
    atexit(clean_up);
    snprintf(path, sizeof path, "%s/model", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/model/under", root);
    mkdir(path, 0700);
    put_file("secret", SECRET, 64);
    put_file("model/weights", WEIGHT, 64);
    put_file("model/under/more", WEIGHT, 64);
    snprintf(path, sizeof path, "%s/model/link", root);
    if (symlink("../secret", path)) abort();
    snprintf(path, sizeof path, "%s/model/up", root);
    if (symlink("..", path)) abort();
    snprintf(model_path, sizeof model_path, "%s/model/model.onnx", root);
}

/* The next line of the input, cut off at its end. */
static size_t next_line(fuzz_source *source, const char **line)
{
    *line = (const char *)source->at;
    size_t length = 0;
    while (source->at < source->end && *source->at != '\n') source->at++, length++;
    if (source->at < source->end) source->at++;
    return length;
}

static void put_entry(mt_writer *w, const char *key, fuzz_source *source)
{
    const char *value;
    size_t length = next_line(source, &value);
    if (!length) return;
    mt_mark entry = mt_write_begin(w, 13);
    mt_write_text(w, 1, key);
    mt_write_bytes(w, 2, value, length);
    mt_write_end(w, entry);
}

static void put_value(mt_writer *w, uint32_t field, const char *name)
{
    mt_mark value = mt_write_begin(w, field);
    mt_write_text(w, 1, name);
    mt_write_end(w, value);
}

/* y = Identity(w) */
static void write_model(fuzz_source *source)
{
    mt_writer w = {0};
    mt_write_int(&w, 1, 8);
    mt_mark import = mt_write_begin(&w, 8);
    mt_write_int(&w, 2, 17);
    mt_write_end(&w, import);
    mt_mark graph = mt_write_begin(&w, 7), node = mt_write_begin(&w, 1);
    mt_write_text(&w, 1, "w");
    mt_write_text(&w, 2, "y");
    mt_write_text(&w, 4, "Identity");
    mt_write_end(&w, node);
    mt_mark weight = mt_write_begin(&w, 5);
    mt_write_int(&w, 1, ELEMENTS);
    mt_write_int(&w, 2, MOTET_INT32);
    mt_write_text(&w, 8, "w");
    put_entry(&w, "location", source);
    put_entry(&w, "offset", source);
    put_entry(&w, "length", source);
    mt_write_int(&w, 14, 1);
    mt_write_end(&w, weight);
    put_value(&w, 12, "y");
    mt_write_end(&w, graph);
    FILE *file = fopen(model_path, "wb");
    if (!file || fwrite(w.bytes, 1, w.used, file) != w.used) abort();
    fclose(file);
    mt_writer_clear(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_source source = {bytes, bytes + size};
    const char *names[] = {"y"};
    motet_session *session;
    motet_tensor *y;
    if (!*model_path) make_folders();
    write_model(&source);
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = 1;
    if (motet_session_open(model_path, &options, &session) != MOTET_OK) return 0;
    if (motet_session_run(session, NULL, NULL, 0, names, &y, 1) == MOTET_OK) {
        const uint8_t *seen = motet_tensor_const_data(y);
        for (size_t i = 0; i < ELEMENTS * sizeof(int32_t); i++)
            if (seen[i] != WEIGHT) abort();
        motet_tensor_destroy(y);
    }
    motet_session_close(session);
    return 0;
}
