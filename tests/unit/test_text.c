/* core: growing text and JSON, the latency account, files that are whole or not there. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/number.h"
#include "core/text.h"
#include "motet/file.h"
#include "motet/latency.h"

static void json_is_well_formed(void **state)
{
    (void)state;
    mt_json json = {0};
    mt_json_open(&json, NULL, '{');
    mt_json_string(&json, "name", "a\"b\\\n\x01\xff\xc3\xa9\xed\xa0\x80");
    mt_json_string(&json, "none", NULL);
    mt_json_number(&json, "bad", 0.0 / 0.0, 2);
    mt_json_open(&json, "rows", '[');
    mt_json_open_row(&json, NULL);
    mt_json_int(&json, "n", -3);
    mt_json_bool(&json, "yes", true);
    mt_json_close(&json, '}');
    mt_json_close(&json, ']');
    mt_json_open(&json, "empty", '[');
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    char *text;
    size_t length;
    assert_int_equal(mt_text_take(&json.text, &text, &length), MOTET_OK);
    assert_string_equal(text, "{\n"
                              "  \"name\": \"a\\\"b\\\\\\n\\u0001\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\",\n"
                              "  \"none\": null,\n"
                              "  \"bad\": null,\n"
                              "  \"rows\": [\n"
                              "    {\"n\": -3, \"yes\": true}\n"
                              "  ],\n"
                              "  \"empty\": []\n"
                              "}\n");
    assert_int_equal(length, strlen(text));
    motet_string_free(text);
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    (void)state;
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !found; i++) found = setlocale(LC_ALL, commas[i]);
    if (!found) {
        print_message("no locale with decimal commas is installed\n");
        skip();
    }
    mt_json json = {0};
    char *text, *end;
    mt_json_number(&json, NULL, 1.5, 2);
    assert_int_equal(mt_text_take(&json.text, &text, NULL), MOTET_OK);
    double value = mt_parse_number("2.5", &end);
    setlocale(LC_ALL, "C");
    assert_string_equal(text, "1.50");
    assert_true(value == 2.5 && *end == '\0');
    motet_string_free(text);
}

static void text_survives_every_failing_allocation(void **state)
{
    (void)state;
    for (long k = 0;; k++) {
        mt_text text = {0};
        char *bytes;
        mt_memory_fail_at(k);
        for (int i = 0; i < 200; i++) mt_text_add(&text, "line %d\n", i);
        motet_status status = mt_text_take(&text, &bytes, NULL);
        mt_memory_fail_at(-1);
        if (status == MOTET_OK) {
            motet_string_free(bytes);
            assert_true(k > 2);
            return;
        }
        assert_int_equal(status, MOTET_ERROR_MEMORY);
        assert_null(bytes);
    }
}

static void percentiles_are_nearest_rank(void **state)
{
    (void)state;
    motet_latency *latency;
    assert_int_equal(motet_latency_create(150, &latency), MOTET_OK);
    motet_latency_summary s;
    assert_int_equal(motet_latency_summarize(latency, MOTET_STAGE_TOTAL, &s), MOTET_OK);
    assert_int_equal(s.count, 0);
    for (int i = 0; i < 200; i++) { /* 1 .. 200 in a scrambled order, half of it decoding */
        double ms = i * 77 % 200 + 1;
        motet_chunk chunk = {.index = i, .decode_ms = ms / 2, .encode_ms = ms / 2};
        assert_int_equal(motet_latency_add(latency, &chunk), MOTET_OK);
    }
    assert_int_equal(motet_latency_summarize(latency, MOTET_STAGE_TOTAL, &s), MOTET_OK);
    assert_true(s.count == 200 && s.mean == 100.5 && s.p50 == 100 && s.p95 == 190 && s.p99 == 198 && s.max == 200);
    assert_int_equal(motet_latency_summarize(latency, MOTET_STAGE_DECODE, &s), MOTET_OK);
    assert_true(s.p50 == 50 && s.max == 100);
    assert_int_equal(motet_latency_misses(latency), 50);
    char *text;
    size_t length;
    assert_int_equal(motet_latency_write(latency, MOTET_LATENCY_CSV, &text, &length), MOTET_OK);
    int lines = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 201);
    motet_string_free(text);
    motet_latency_destroy(latency);
}

static int files_in(const char *folder)
{
    char command[300];
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static void files_are_whole_or_not_there(void **state)
{
    (void)state;
    char folder[] = "/tmp/motet-test-XXXXXX", path[100], read[10];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.rttm", folder);
    assert_int_equal(motet_file_write(path, "one", 3), MOTET_OK);
    assert_int_equal(motet_file_write(path, "two!", 4), MOTET_OK);
    FILE *file = fopen(path, "r");
    assert_int_equal(fread(read, 1, sizeof read, file), 4);
    assert_memory_equal(read, "two!", 4);
    fclose(file);
    assert_int_equal(files_in(folder), 1); /* no temporary file stays */

    char link[100];
    struct stat at;
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("x.rttm", link), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(motet_file_write(link, "three", 5), MOTET_OK);
    assert_int_equal(lstat(link, &at), 0);
    assert_true(S_ISLNK(at.st_mode));
    assert_int_equal(stat(path, &at), 0);
    assert_int_equal(at.st_size, 5);
    assert_int_equal(at.st_mode & 0777, 0600);
    assert_int_equal(unlink(link), 0);

    assert_int_equal(motet_file_write(folder, "x", 1), MOTET_ERROR_IO); /* a folder */
    snprintf(path, sizeof path, "%s/none/x.rttm", folder);
    assert_int_equal(motet_file_write(path, "x", 1), MOTET_ERROR_IO);
    assert_non_null(strstr(motet_error_message(), path));
    assert_int_equal(motet_file_write("/dev/full", "x", 1), MOTET_ERROR_IO);
    assert_int_equal(files_in(folder), 1);
    snprintf(path, sizeof path, "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_well_formed),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(text_survives_every_failing_allocation),
        cmocka_unit_test(percentiles_are_nearest_rank),
        cmocka_unit_test(files_are_whole_or_not_there),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
