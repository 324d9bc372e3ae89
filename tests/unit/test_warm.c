/* A warm run - on shapes that the session has run before - asks the system for no memory: not one call of malloc and
 * its like, of mmap, munmap or brk, in any thread, from before motet_session_run until its outputs are destroyed. This
 * program's own malloc takes the place of the C library's for every library in the process, and counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder_model.h"
#include "motet/motet.h"

/* --- counting --------------------------------------------------------------------------------------------------- */

static _Atomic bool counting;
static _Atomic long counted;

static void count(void)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed)) atomic_fetch_add(&counted, 1);
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

#define COUNTED __attribute__((visibility("default")))

COUNTED void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}
COUNTED void *calloc(size_t items, size_t size)
{
    count();
    return __libc_calloc(items, size);
}
COUNTED void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}
COUNTED void *memalign(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}
COUNTED void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}
COUNTED int posix_memalign(void **out, size_t alignment, size_t size)
{
    count();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
COUNTED void free(void *block)
{
    if (block) count();
    __libc_free(block);
}
COUNTED void *mmap(void *where, size_t size, int protection, int flags, int file, off_t offset)
{
    count();
    return (void *)syscall(SYS_mmap, where, size, protection, flags, file, offset);
}
COUNTED int munmap(void *where, size_t size)
{
    count();
    return (int)syscall(SYS_munmap, where, size);
}

/* The end of the heap: brk is called within the C library alone, where it cannot be replaced. */
static void *heap_end(void)
{
    return (void *)syscall(SYS_brk, NULL);
}

/* --- models ----------------------------------------------------------------------------------------------------- */

enum { MAX_VALUES = 8, RUNS = 40 };

typedef struct feed {
    const char *in[MAX_VALUES], *out[MAX_VALUES];
    motet_tensor *x[MAX_VALUES], *y[MAX_VALUES];
    size_t in_count, out_count;
} feed;

/* Ones for every input, in the shape that the model declares; `sizes` stand in for what it leaves open. */
static void make_feed(const motet_session *session, const int64_t *sizes, feed *f)
{
    *f = (feed){.in_count = motet_session_input_count(session), .out_count = motet_session_output_count(session)};
    assert_true(f->in_count <= MAX_VALUES && f->out_count <= MAX_VALUES);
    for (size_t i = 0; i < f->out_count; i++) f->out[i] = motet_session_output(session, i)->name;
    for (size_t i = 0; i < f->in_count; i++) {
        const motet_value_info *info = motet_session_input(session, i);
        int64_t dims[MOTET_MAX_RANK];
        f->in[i] = info->name;
        bool batch_second = info->rank > 0 && info->dims[0] >= 0; /* states of recurrent layers */
        for (int k = 0; k < info->rank; k++) {
            int64_t free_size = k == 1 && batch_second ? sizes[0] : sizes[k];
            dims[k] = info->dims[k] >= 0 ? info->dims[k] : free_size;
        }
        assert_int_equal(motet_tensor_create(info->type, info->rank, dims, &f->x[i]), MOTET_OK);
        for (int64_t k = 0; info->type == MOTET_FLOAT && k < motet_tensor_count(f->x[i]); k++)
            ((float *)motet_tensor_data(f->x[i]))[k] = (float)sin(0.1 * (double)k);
        if (info->type == MOTET_INT64) *(int64_t *)motet_tensor_data(f->x[i]) = 16000;
    }
}

static void run(motet_session *session, feed *f)
{
    if (motet_session_run(session, f->in, (const motet_tensor *const *)f->x, f->in_count, f->out, f->y, f->out_count) !=
        MOTET_OK)
        fail_msg("%s", motet_error_message());
    for (size_t i = 0; i < f->out_count; i++) motet_tensor_destroy(f->y[i]);
}

/* Two sets of shapes, a run of each, and then many, in turns. */
static void expect_no_calls(motet_session *session, const int64_t *first, const int64_t *second)
{
    feed feeds[2];
    make_feed(session, first, &feeds[0]);
    make_feed(session, second, &feeds[1]);
    for (int i = 0; i < 2; i++) run(session, &feeds[i]);
    void *end = heap_end();
    atomic_store(&counted, 0);
    atomic_store(&counting, true);
    for (int i = 0; i < RUNS; i++) run(session, &feeds[i & 1]);
    atomic_store(&counting, false);
    assert_int_equal(atomic_load(&counted), 0);
    assert_ptr_equal(heap_end(), end);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < feeds[i].in_count; k++) motet_tensor_destroy(feeds[i].x[k]);
    motet_session_close(session);
}

static motet_session *open_file(const char *path)
{
    motet_session *session;
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = 2;
    if (motet_session_open(path, &options, &session) != MOTET_OK) fail_msg("%s", motet_error_message());
    return session;
}

/* The path of a new file of the encoder. */
static const char *write_encoder(encoder_style style, int layers)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/motet-warm-XXXXXX");
    int file = mkstemp(path);
    piece bytes = encoder_model(style, layers);
    assert_true(file >= 0 && write(file, bytes.bytes, bytes.size) == (ssize_t)bytes.size);
    close(file);
    return path;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static const int64_t one_second[] = {1, 4000}, batch_of_two[] = {2, 3100};

static void encoders(void **state)
{
    (void)state;
    static const encoder_style styles[] = {LEGACY, OLDEST, DYNAMO, NEWEST};
    for (int layers = 2; layers <= 6; layers += 4) /* distilHuBERT's shape, and deeper */
        for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
            const char *path = write_encoder(styles[i], layers);
            expect_no_calls(open_file(path), one_second, batch_of_two);
            unlink(path);
        }
    forget_pieces();
}

static void quantised_encoders(void **state)
{
    (void)state;
    const char *path = write_encoder(LEGACY, 2);
    if (motet_model_quantize(path, path, NULL, NULL) != MOTET_OK) fail_msg("%s", motet_error_message());
    expect_no_calls(open_file(path), one_second, batch_of_two);
    unlink(path);
    forget_pieces();
}

static void our_own(void **state)
{
    (void)state;
    static const int64_t first[] = {1, 300, 80}, second[] = {3, 300, 80};
    expect_no_calls(open_file(MOTET_SOURCE_DIR "/models/motet-cnn.onnx"), first, second);
}

/* Its network is a branch for each sample rate, with an LSTM. */
static void silero(void **state)
{
    (void)state;
    char path[4096];
    const char *data = getenv("MOTET_DATA");
    snprintf(path, sizeof path, "%s/../models/silero_vad/silero_vad.onnx",
             data ? data : MOTET_SOURCE_DIR "/../shared/data");
    if (access(path, R_OK) != 0) skip();
    static const int64_t first[] = {1, 576}, second[] = {2, 576};
    expect_no_calls(open_file(path), first, second);
}

static void calls_are_counted(void **state)
{
    (void)state;
    atomic_store(&counted, 0);
    atomic_store(&counting, true);
    motet_tensor *tensor;
    motet_status status = motet_tensor_create(MOTET_FLOAT, 1, (int64_t[]){10000000}, &tensor);
    motet_tensor_destroy(tensor);
    atomic_store(&counting, false);
    assert_int_equal(status, MOTET_OK);
    assert_true(atomic_load(&counted) >= 6); /* a tensor, its buffer and its elements come and go */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_counted), cmocka_unit_test(encoders), cmocka_unit_test(quantised_encoders),
        cmocka_unit_test(our_own),           cmocka_unit_test(silero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
