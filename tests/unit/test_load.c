/* Weights on their way from the file to the kernels: at whatever address the file has them, whoever reads them, and not
 * in memory twice. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/motet.h"
#include "onnx_writer.h"

enum { ROWS = 3, INNER = 128, COLUMNS = 160, MOST_SHIFT = 4 };

static char path[] = "/tmp/motet-load-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int teardown(void **state)
{
    (void)state;
    forget_pieces();
    unlink(path);
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    return 0;
}

/* --- models ---------------------------------------------------------------------------------------------------- */

/* A large initializer; a longer text before it in the file shifts where it lies. */
static piece weights(const char *name, const char *shape, size_t count)
{
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = (float)((i * 29) % 97) / 50 - 1;
    piece made = initializer(tensor(name, MOTET_FLOAT, shape, raw_data(values, count * sizeof *values)));
    free(values);
    return made;
}

static piece ends(int shift, const char *shape)
{
    static const char *const names[MOST_SHIFT] = {"a", "ab", "abc", "abcd"};
    return JOIN(text(2, names[shift]), input("x", MOTET_FLOAT, shape), output("y"));
}

static motet_session *open_with(const char *file, bool reference, int threads)
{
    motet_session *session;
    motet_session_options options;
    motet_session_options_init(&options);
    options.reference = reference;
    options.threads = threads;
    if (motet_session_open(file, &options, &session) != MOTET_OK) fail_msg("%s", motet_error_message());
    return session;
}

static motet_session *open_session(const char *file, bool reference)
{
    return open_with(file, reference, 0);
}

static motet_tensor *run_once(motet_session *session, const motet_tensor *x)
{
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    motet_tensor *y;
    if (motet_session_run(session, in, &x, 1, out, &y, 1) != MOTET_OK) fail_msg("%s", motet_error_message());
    return y;
}

static motet_tensor *run(const char *file, const motet_tensor *x, bool reference)
{
    motet_session *session = open_session(file, reference);
    motet_tensor_destroy(run_once(session, x));
    motet_tensor *y = run_once(session, x);
    motet_session_close(session);
    return y;
}

static motet_tensor *make_tensor(int rank, const int64_t *dims)
{
    motet_tensor *x;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, rank, dims, &x), MOTET_OK);
    float *values = motet_tensor_data(x);
    for (int64_t i = 0; i < motet_tensor_count(x); i++) values[i] = (float)((i * 37) % 101 - 50) / 20;
    return x;
}

static motet_tensor *make_input(int64_t rows, int64_t columns)
{
    return make_tensor(2, (int64_t[]){rows, columns});
}

static void write_model(piece graph)
{
    piece bytes = model(17, graph);
    assert_int_equal(motet_file_write(path, (const char *)bytes.bytes, bytes.size), MOTET_OK);
}

static void expect_same(motet_tensor *fast, motet_tensor *plain)
{
    assert_int_equal(motet_tensor_count(fast), motet_tensor_count(plain));
    double largest = 0;
    for (int64_t i = 0; i < motet_tensor_count(plain); i++)
        largest = fmax(largest, fabs(motet_tensor_number(plain, i)));
    for (int64_t i = 0; i < motet_tensor_count(plain); i++)
        assert_true(fabs(motet_tensor_number(fast, i) - motet_tensor_number(plain, i)) <= 1e-5 * largest);
    motet_tensor_destroy(fast);
    motet_tensor_destroy(plain);
}

/* The graph gives what the reference gives. */
static void expect(piece graph, int64_t columns)
{
    write_model(graph);
    motet_tensor *x = make_input(ROWS, columns);
    expect_same(run(path, x, false), run(path, x, true));
    motet_tensor_destroy(x);
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

static void at_any_address(void **state)
{
    (void)state;
    for (int shift = 0; shift < MOST_SHIFT; shift++) {
        piece w = weights("w", "128 160", INNER * COLUMNS), v = weights("w", "160 128", INNER * COLUMNS);
        expect(JOIN(ends(shift, "3 128"), w, node("MatMul", "x w", "y", NONE)), INNER);
        expect(JOIN(ends(shift, "3 128"), v, node("Gemm", "x w", "y", attribute_int("transB", 1))), INNER);
    }
}

/* Packed by one node and read as it is by others, one of them in a nested graph; computed with at load; handed out. */
static void for_whoever_reads(void **state)
{
    (void)state;
    for (int shift = 0; shift < MOST_SHIFT; shift++) {
        piece w = weights("w", "128 160", INNER * COLUMNS);
        expect(JOIN(ends(shift, "3 128"), w, node("MatMul", "x w", "m", NONE), node("MatMul", "m t", "n", NONE),
                    node("Transpose", "w", "t", NONE), node("MatMul", "n w", "y", NONE)),
               INNER);
        expect(JOIN(ends(shift, "3 128"), w, node("MatMul", "x w", "m", NONE),
                    node("ReduceSum", "w", "s", attribute_int("keepdims", 0)), node("Mul", "w s", "k", NONE),
                    node("Gemm", "x k", "y", NONE)),
               INNER);
        piece yes = JOIN(text(2, "yes"), node("Slice", "w first last", "a", NONE), output("a"));
        piece no = JOIN(text(2, "no"), node("Identity", "m", "b", NONE), output("b"));
        static const int64_t first[] = {0}, last[] = {ROWS};
        expect(
            JOIN(ends(shift, "3 128"), w, node("MatMul", "x w", "m", NONE),
                 initializer(tensor("first", MOTET_INT64, "1", raw_data(first, sizeof first))),
                 initializer(tensor("last", MOTET_INT64, "1", raw_data(last, sizeof last))),
                 node("ReduceMax", "x", "largest", attribute_int("keepdims", 0)),
                 initializer(tensor("two", MOTET_FLOAT, "", FLOATS(2))), node("Greater", "largest two", "is", NONE),
                 node("If", "is", "y", JOIN(attribute_graph("then_branch", yes), attribute_graph("else_branch", no)))),
            INNER);
        expect(JOIN(ends(shift, "3 128"), w, node("MatMul", "x w", "m", NONE), node("Identity", "w", "y", NONE)),
               INNER);
    }
}

/* Few positions, many and some: filters are packed in one way, in another, and taken as they are, in any order. */
static void filters_for_any_length(void **state)
{
    enum { FILTERS = 128, CHANNELS = 64, TAPS = 3 };
    static const int64_t lengths[] = {700, 9, 40, 9, 700, 150, 40};
    (void)state;
    for (int shift = 0; shift < MOST_SHIFT; shift++) {
        write_model(JOIN(ends(shift, "1 64 n"), weights("w", "128 64 3", (size_t)FILTERS * CHANNELS * TAPS),
                         node("Conv", "x w", "y", attribute_ints("strides", shift % 2 ? "1" : "2"))));
        motet_session *fast = open_session(path, false), *reference = open_session(path, true);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            motet_tensor *x = make_tensor(3, (int64_t[]){1, CHANNELS, lengths[i]});
            expect_same(run_once(fast, x), run_once(reference, x));
            motet_tensor_destroy(x);
        }
        motet_session_close(fast);
        motet_session_close(reference);
    }
}

/* 36 MB of weights, packed in the first run. The sanitizers' own memory would be counted along. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void not_in_memory_twice(void **state)
{
    enum { SIDE = 3000 };
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    (void)state;
    write_model(
        JOIN(ends(1, "1 3000"), weights("w", "3000 3000", (size_t)SIDE * SIDE), node("MatMul", "x w", "y", NONE)));
    forget_pieces();
    motet_session *session;
    motet_tensor *x = make_input(1, SIDE), *y;
    size_t before = resident_bytes(), most = (size_t)SIDE * SIDE * sizeof(float) * 3 / 2;
    assert_int_equal(motet_session_open(path, NULL, &session), MOTET_OK);
    assert_true(resident_bytes() < before + most);
    assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)&x, 1, out, &y, 1), MOTET_OK);
    assert_true(resident_bytes() < before + most);
    motet_tensor_destroy(x);
    motet_tensor_destroy(y);
    motet_session_close(session);
}
#endif

/* --- the cache -------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/motet-cache-XXXXXX";

static int setup_cache(void **state)
{
    return setup(state) || !mkdtemp(folder) ? -1 : 0;
}

/* Calls visit for every file in the cache; returns how many there are. */
static int visit_files(void (*visit)(const char *file))
{
    int count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char file[512];
        if (*entry->d_name == '.') continue;
        snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
        if (visit) visit(file);
        count++;
    }
    closedir(entries);
    return count;
}

static void delete (const char *file)
{
    unlink(file);
}

static int teardown_cache(void **state)
{
    visit_files(delete);
    rmdir(folder);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return teardown(state);
}

static motet_tensor *run_cached(const motet_tensor *x)
{
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    motet_session *session;
    motet_session_options options;
    motet_tensor *y;
    motet_session_options_init(&options);
    options.cache = folder;
    options.threads = 1;
    if (motet_session_open(path, &options, &session) != MOTET_OK) fail_msg("%s", motet_error_message());
    if (motet_session_run(session, in, &x, 1, out, &y, 1) != MOTET_OK) fail_msg("%s", motet_error_message());
    motet_session_close(session);
    return y;
}

/* With the cache as without it, to the bit. */
static void expect_cached(void)
{
    motet_tensor *x = make_input(ROWS, INNER), *cached = run_cached(x), *plain = run(path, x, false);
    size_t bytes = (size_t)motet_tensor_count(plain) * sizeof(float);
    assert_memory_equal(motet_tensor_data(cached), motet_tensor_data(plain), bytes);
    motet_tensor_destroy(x);
    motet_tensor_destroy(cached);
    motet_tensor_destroy(plain);
}

static void write_cached_model(float first)
{
    static float values[INNER * COLUMNS];
    static int8_t bytes[COLUMNS * COLUMNS * 4];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = (float)((i * 29) % 97) / 50 - 1;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (int8_t)((i * 31) % 251 - 125);
    values[0] = first;
    write_model(
        JOIN(ends(0, "3 128"), initializer(tensor("w", MOTET_FLOAT, "128 160", raw_data(values, sizeof values))),
             initializer(tensor("q", MOTET_INT8, "160 640", raw_data(bytes, sizeof bytes))),
             node("MatMul", "x w", "m", NONE), node("DynamicQuantizeLinear", "m", "b s z", NONE),
             node("MatMulInteger", "b q z", "i", NONE), node("Cast", "i", "y", attribute_int("to", MOTET_FLOAT))));
}

static void packed_weights_are_found_again(void **state)
{
    (void)state;
    write_cached_model(0.5f);
    expect_cached();
    assert_int_equal(visit_files(NULL), 2);
    expect_cached();
    assert_int_equal(visit_files(NULL), 2);
    write_cached_model(0.75f); /* the old file is stale, and is not looked at */
    expect_cached();
    assert_int_equal(visit_files(NULL), 3);
}

static void truncate_file(const char *file)
{
    assert_int_equal(truncate(file, 70), 0);
}

static void empty_file(const char *file)
{
    assert_int_equal(truncate(file, 0), 0);
}

/* Bytes of the header and of what follows it. */
static void damage(const char *file, long at)
{
    FILE *open = fopen(file, "r+b");
    assert_non_null(open);
    fseek(open, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(open);
    fseek(open, -1, SEEK_CUR);
    fputc(byte ^ 0x80, open);
    fclose(open);
}

static void damage_head(const char *file)
{
    damage(file, 9);
}

static void damage_first(const char *file)
{
    damage(file, 64);
}

static void damage_last(const char *file)
{
    damage(file, -1);
}

static void be_a_link(const char *file)
{
    unlink(file);
    assert_int_equal(symlink("/etc/passwd", file), 0);
}

/* What is damaged is not believed, and is made anew. */
static void damaged_files(void **state)
{
    static void (*const ways[])(const char *) = {truncate_file, empty_file, damage_head, damage_first, damage_last};
    (void)state;
    write_cached_model(0.5f);
    expect_cached();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        visit_files(ways[i]);
        expect_cached();
        expect_cached();
        assert_int_equal(visit_files(NULL), 2);
    }
    visit_files(be_a_link);
    expect_cached();
}

static void *use_the_cache(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) expect_cached();
    return NULL;
}

static void many_writers_at_once(void **state)
{
    enum { WRITERS = 4 };
    pthread_t threads[WRITERS];
    (void)state;
    write_cached_model(0.5f);
    for (int i = 0; i < WRITERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_the_cache, NULL), 0);
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(visit_files(NULL), 2);
}

static void a_cache_that_cannot_be(void **state)
{
    motet_session *session;
    motet_session_options options;
    (void)state;
    write_cached_model(0.5f);
    motet_session_options_init(&options);
    options.cache = path; /* a file */
    assert_int_equal(motet_session_open(path, &options, &session), MOTET_ERROR_IO);
    assert_non_null(strstr(motet_error_message(), "cannot keep packed weights there"));
    options.cache = "/nowhere/at/all";
    assert_int_equal(motet_session_open(path, &options, &session), MOTET_ERROR_IO);
    rmdir(folder); /* is made */
    expect_cached();
    assert_int_equal(visit_files(NULL), 2);
}

/* --- packed behind the first runs -------------------------------------------------------------------------------- */

enum { SIDE = 512, LAYERS = 5 }; /* a megabyte each */

/* One matrix after the other, and three of the same rows, at an odd address. */
static void write_chain(int shift)
{
    piece graph = ends(shift, "n 512");
    char in[8] = "x";
    for (int i = 0; i < LAYERS; i++) {
        char name[8], both[24], out[8];
        snprintf(name, sizeof name, "w%d", i);
        snprintf(both, sizeof both, "%s %s", in, name);
        snprintf(out, sizeof out, "h%d", i);
        graph = JOIN(graph, weights(name, "512 512", SIDE * SIDE), node("MatMul", both, out, NONE));
        if (i < 2) strcpy(in, out); /* the last three read the same */
    }
    write_model(JOIN(graph, node("Add", "h2 h3", "s", NONE), node("Add", "s h4", "y", NONE)));
}

static motet_session *open_with_threads(int threads)
{
    return open_with(path, false, threads);
}

/* Runs give the same bytes before, while and after the weights are packed, and only the first of them allocates. */
static void packed_behind_the_first_runs(void **state)
{
    (void)state;
    static const int64_t rows[] = {3, 30, 149};
    for (int i = 0; i < 3; i++) {
        write_chain(i);
        motet_session *at_once = open_with_threads(1), *behind = open_with_threads(2);
        motet_tensor *x = make_input(rows[i], SIDE), *wanted = run_once(at_once, x), *got = run_once(behind, x);
        for (int k = 0; k < 40; k++) {
            assert_memory_equal(motet_tensor_data(got), motet_tensor_data(wanted),
                                (size_t)(rows[i] * SIDE) * sizeof(float));
            motet_tensor_destroy(got);
            mt_memory_fail_at(0);
            got = run_once(behind, x);
            mt_memory_fail_at(-1);
        }
        motet_tensor_destroy(got);
        motet_tensor_destroy(wanted);
        motet_tensor_destroy(x);
        motet_session_close(at_once);
        motet_session_close(behind);
    }
}

static void closed_before_they_are_packed(void **state)
{
    (void)state;
    write_chain(0);
    motet_tensor *x = make_input(30, SIDE);
    for (int i = 0; i < 10; i++) {
        motet_session *session = open_with_threads(2);
        motet_tensor_destroy(run_once(session, x));
        motet_session_close(session);
    }
    motet_tensor_destroy(x);
}

/* The k-th allocation of the first runs fails, for every k; then all is as it should be. */
static void without_memory_for_them(void **state)
{
    (void)state;
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    write_chain(0);
    motet_session *at_once = open_with_threads(1), *session = open_with_threads(2);
    motet_tensor *x = make_input(30, SIDE), *wanted = run_once(at_once, x), *y;
    const motet_tensor *fed[] = {x};
    motet_status status = MOTET_ERROR_MEMORY;
    for (int k = 0; status != MOTET_OK; k++) {
        mt_memory_fail_at(k);
        status = motet_session_run(session, in, fed, 1, out, &y, 1);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
        if (k == 0) assert_int_equal(status, MOTET_ERROR_MEMORY);
    }
    assert_memory_equal(motet_tensor_data(y), motet_tensor_data(wanted), 30 * SIDE * sizeof(float));
    motet_tensor_destroy(x);
    motet_tensor_destroy(y);
    motet_tensor_destroy(wanted);
    motet_session_close(at_once);
    motet_session_close(session);
}

typedef struct asker {
    motet_session *session;
    motet_tensor *x, *wanted;
    bool same;
} asker;

static void *ask(void *context)
{
    asker *a = context;
    a->same = true;
    for (int i = 0; i < 10; i++) {
        motet_tensor *y = run_once(a->session, a->x);
        size_t bytes = (size_t)motet_tensor_count(y) * sizeof(float);
        a->same = a->same && memcmp(motet_tensor_data(y), motet_tensor_data(a->wanted), bytes) == 0;
        motet_tensor_destroy(y);
    }
    return NULL;
}

static void packed_beside_several_runs(void **state)
{
    (void)state;
    write_chain(1);
    motet_session *at_once = open_with_threads(1), *session = open_with_threads(2);
    motet_tensor *x = make_input(50, SIDE);
    asker askers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        askers[i] = (asker){session, x, i ? askers[0].wanted : run_once(at_once, x), false};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) assert_true(askers[i].same);
    motet_tensor_destroy(askers[0].wanted);
    motet_tensor_destroy(x);
    motet_session_close(at_once);
    motet_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_any_address, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_for_any_length, setup, teardown),
        cmocka_unit_test_setup_teardown(for_whoever_reads, setup, teardown),
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test_setup_teardown(not_in_memory_twice, setup, teardown),
#endif
        cmocka_unit_test_setup_teardown(packed_weights_are_found_again, setup_cache, teardown_cache),
        cmocka_unit_test_setup_teardown(damaged_files, setup_cache, teardown_cache),
        cmocka_unit_test_setup_teardown(many_writers_at_once, setup_cache, teardown_cache),
        cmocka_unit_test_setup_teardown(a_cache_that_cannot_be, setup_cache, teardown_cache),
        cmocka_unit_test_setup_teardown(packed_behind_the_first_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_before_they_are_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_for_them, setup, teardown),
        cmocka_unit_test_setup_teardown(packed_beside_several_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
