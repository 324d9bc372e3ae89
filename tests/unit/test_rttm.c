/* Reading RTTM and UEM: what is taken, what is passed over, and how refusals name the place. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/score.h"
#include "score/uem.h"

static char folder[] = "/tmp/motet-test-rttm-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *open = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') remove(path);
    }
    closedir(open);
    return rmdir(folder);
}

/* The path of a new file with these bytes, until the next call. */
static const char *write_bytes(const char *name, const char *bytes, size_t length)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    fclose(out);
    return path;
}

static const char *write_file(const char *name, const char *text)
{
    return write_bytes(name, text, strlen(text));
}

static motet_rttm *new_rttm(void)
{
    motet_rttm *rttm;
    assert_int_equal(motet_rttm_create(&rttm), MOTET_OK);
    return rttm;
}

static void assert_refused(const char *text, motet_status expected, const char *message)
{
    motet_rttm *rttm = new_rttm();
    assert_int_equal(motet_rttm_read(rttm, write_file("x.rttm", text)), expected);
    if (!strstr(motet_error_message(), message)) fail_msg("'%s' does not say '%s'", motet_error_message(), message);
    motet_rttm_destroy(rttm);
}

static void assert_turn(const motet_rttm *rttm, size_t index, const char *file, const char *speaker, double onset,
                        double duration)
{
    motet_rttm_turn turn;
    assert_true(motet_rttm_get(rttm, index, &turn));
    assert_string_equal(turn.file, file);
    assert_string_equal(turn.speaker, speaker);
    assert_true(turn.onset == onset && turn.duration == duration);
}

static void reads_turns(void **state)
{
    (void)state;
    motet_rttm *rttm = new_rttm();
    const char *path = write_file("turns.rttm", "\xef\xbb\xbfSPEAKER a 1 0.35 1.2 <NA> <NA> anna <NA> <NA>\r\n"
                                                ";; a comment\n"
                                                "\n"
                                                "SPKR-INFO a 1 <NA> <NA> <NA> unknown anna <NA>\n"
                                                "LEXEME a 1 0.3 0.1 hello lex anna <NA>\n"
                                                "  SPEAKER\tb 1 12.345 0.000 <NA> <NA> bert <NA> <NA>\n"
                                                "SPEAKER b 2 1e1 2.5E-1 <NA> <NA> bert <NA>");
    assert_int_equal(motet_rttm_read(rttm, path), MOTET_OK);
    assert_int_equal(motet_rttm_count(rttm), 2);
    assert_turn(rttm, 0, "a", "anna", 0.35, 1.2);
    assert_turn(rttm, 1, "b", "bert", 10, 0.25);
    assert_int_equal(motet_rttm_empty_turns(rttm), 1);
    motet_rttm_turn turn;
    assert_false(motet_rttm_get(rttm, 2, &turn));
    motet_rttm_destroy(rttm);
}

static void numbers_are_the_nearest_doubles(void **state)
{
    (void)state;
    static const char *const texts[] = {"0.1",
                                        "35.303",
                                        "0.57",
                                        "123456.789012345",
                                        "5e-3",
                                        "+7.",
                                        ".25",
                                        "1E+3",
                                        "-0",
                                        "0.000000000000001",
                                        "999999999.999999",
                                        "00012.500",
                                        "1.25e-10"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char line[200];
        snprintf(line, sizeof line, "SPEAKER a 1 %s 1 <NA> <NA> s <NA>\n", texts[i]);
        motet_rttm *rttm = new_rttm();
        assert_int_equal(motet_rttm_read(rttm, write_file("n.rttm", line)), MOTET_OK);
        assert_turn(rttm, 0, "a", "s", strtod(texts[i], NULL), 1);
        motet_rttm_destroy(rttm);
    }
}

static void long_numbers_are_read(void **state)
{
    (void)state;
    motet_rttm *rttm = new_rttm();
    const char *path = write_file("long.rttm", "SPEAKER a 1 12345.678901234567890123456789 1 <NA> <NA> s <NA>\n"
                                               "SPEAKER a 1 0.00000000000000000000000000001 1 <NA> <NA> s <NA>\n"
                                               "SPEAKER a 1 1e-99999 1 <NA> <NA> s <NA>\n"
                                               "SPEAKER a 1 123456789012345678901234567890e-26 1 <NA> <NA> s <NA>\n");
    assert_int_equal(motet_rttm_read(rttm, path), MOTET_OK);
    static const double expected[] = {12345.678901234567890123456789, 1e-29, 0, 1234.56789012345678901234567890};
    for (size_t i = 0; i < 4; i++) {
        motet_rttm_turn turn;
        assert_true(motet_rttm_get(rttm, i, &turn));
        assert_true(fabs(turn.onset - expected[i]) <= expected[i] * 1e-15);
    }
    motet_rttm_destroy(rttm);
}

static void refusals_name_line_and_field(void **state)
{
    (void)state;
    assert_refused("SPEAKER a 1 0 1 <NA> <NA> s <NA>\nSPEAKER a 1 abc 1 <NA> <NA> s <NA>\n", MOTET_ERROR_FORMAT,
                   "x.rttm:2: field 4 (onset) 'abc': expected a number");
    assert_refused("SPEAKER a 1 0 -1 <NA> <NA> s <NA>\n", MOTET_ERROR_FORMAT,
                   "x.rttm:1: field 5 (duration) '-1': expected seconds, 0 or more");
    assert_refused("SPEAKER a 1 -0.1 1 <NA> <NA> s <NA>\n", MOTET_ERROR_FORMAT, "field 4 (onset) '-0.1'");
    assert_refused("SPEAKER a 1 0 2e9 <NA> <NA> s <NA>\n", MOTET_ERROR_LIMIT, "field 5 (duration) '2e9'");
    assert_refused("SPEAKER a 1 0 1e99999999 <NA> <NA> s <NA>\n", MOTET_ERROR_LIMIT, "field 5 (duration)");
    assert_refused("\n\nSPEAKER a 1 0 1\n", MOTET_ERROR_FORMAT, "x.rttm:3: expected 9 or 10 fields, found 5");
    assert_refused("hello there\n", MOTET_ERROR_FORMAT, "x.rttm:1: field 1 (type) 'hello': expected SPEAKER");
    static const char *const no_numbers[] = {"nan", "inf", "0x10", "1,5", "1.2.3", "1e", "e5", ".", "-", "--1", "1s"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++) {
        char line[100];
        snprintf(line, sizeof line, "SPEAKER a 1 %s 1 <NA> <NA> s <NA>\n", no_numbers[i]);
        assert_refused(line, MOTET_ERROR_FORMAT, "expected a number");
    }
}

static void binary_files_are_refused(void **state)
{
    (void)state;
    motet_rttm *rttm = new_rttm();
    assert_int_equal(motet_rttm_read(rttm, write_bytes("b.rttm", "SPEAKER a\n\0 1", 13)), MOTET_ERROR_FORMAT);
    assert_non_null(strstr(motet_error_message(), "b.rttm:2: byte 0x00"));
    assert_int_equal(motet_rttm_read(rttm, write_bytes("b.rttm", "SPEAKER \x1b[2J", 12)), MOTET_ERROR_FORMAT);
    motet_rttm_destroy(rttm);
}

static void missing_files_are_said(void **state)
{
    (void)state;
    motet_rttm *rttm = new_rttm();
    assert_int_equal(motet_rttm_read(rttm, "/nowhere/x.rttm"), MOTET_ERROR_IO);
    assert_string_equal(motet_error_message(), "/nowhere/x.rttm: No such file or directory");
    motet_rttm_destroy(rttm);
}

static void folders_are_read_by_name(void **state)
{
    (void)state;
    char inner[600];
    snprintf(inner, sizeof inner, "%s/inner", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    motet_rttm *rttm = new_rttm();
    assert_int_equal(motet_rttm_read(rttm, inner), MOTET_ERROR_FORMAT);
    assert_non_null(strstr(motet_error_message(), "no *.rttm file"));
    char later[620], first[620], other[620];
    snprintf(later, sizeof later, "%s", write_file("inner/b.rttm", "SPEAKER b 1 0 1 <NA> <NA> s <NA>\n"));
    snprintf(first, sizeof first, "%s", write_file("inner/a.rttm", "SPEAKER a 1 0 1 <NA> <NA> s <NA>\n"));
    snprintf(other, sizeof other, "%s", write_file("inner/c.txt", "not to be read\n"));
    assert_int_equal(motet_rttm_read(rttm, inner), MOTET_OK);
    assert_int_equal(motet_rttm_count(rttm), 2);
    assert_turn(rttm, 0, "a", "s", 0, 1);
    assert_turn(rttm, 1, "b", "s", 0, 1);
    motet_rttm_destroy(rttm);
    remove(later);
    remove(first);
    remove(other);
    rmdir(inner);
}

static void turns_are_added_by_hand(void **state)
{
    (void)state;
    motet_rttm *rttm = new_rttm();
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){"a", "s", 1, 2}), MOTET_OK);
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){"a", "", 1, 2}), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){NULL, "s", 1, 2}), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){"a", "s", -1, 2}), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){"a", "s", 1, 0.0 / 0.0}), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_rttm_count(rttm), 1);
    motet_rttm_destroy(rttm);
}

static void reads_regions(void **state)
{
    (void)state;
    motet_uem *uem;
    assert_int_equal(motet_uem_create(&uem), MOTET_OK);
    assert_int_equal(motet_uem_read(uem, write_file("r.uem", "; a comment\na 1 0 15\nb 1 25.5 30.25\n")), MOTET_OK);
    assert_int_equal(uem->count, 2);
    assert_string_equal(uem->regions[1].file, "b");
    assert_true(uem->regions[1].begin == 25.5 && uem->regions[1].end == 30.25);
    assert_int_equal(motet_uem_read(uem, write_file("r.uem", "a 1 15 5\n")), MOTET_ERROR_FORMAT);
    assert_non_null(strstr(motet_error_message(), "r.uem:1: field 4 (end) '5' comes before field 3 (begin) '15'"));
    assert_int_equal(motet_uem_read(uem, write_file("r.uem", "a 1 15\n")), MOTET_ERROR_FORMAT);
    assert_non_null(strstr(motet_error_message(), "r.uem:1: expected 4 fields, found 3"));
    assert_int_equal(motet_uem_add(uem, "a", 2, 1), MOTET_ERROR_ARGUMENT);
    motet_uem_destroy(uem);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    write_file("oom.rttm", "SPEAKER a 1 0 1 <NA> <NA> s <NA>\nSPEAKER b 1 0 1 <NA> <NA> t <NA>\n");
    write_file("oom.uem", "a 1 0 1\n");
    motet_status status = MOTET_ERROR_MEMORY;
    for (long n = 0; status != MOTET_OK; n++) {
        motet_rttm *rttm = NULL;
        motet_uem *uem = NULL;
        char path[600];
        mt_memory_fail_at(n);
        status = motet_rttm_create(&rttm);
        if (status == MOTET_OK) status = motet_rttm_read(rttm, folder);
        snprintf(path, sizeof path, "%s/oom.rttm", folder);
        if (status == MOTET_OK) status = motet_rttm_read(rttm, path);
        if (status == MOTET_OK) status = motet_uem_create(&uem);
        snprintf(path, sizeof path, "%s/oom.uem", folder);
        if (status == MOTET_OK) status = motet_uem_read(uem, path);
        mt_memory_fail_at(-1);
        motet_rttm_destroy(rttm);
        motet_uem_destroy(uem);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
    }
}

/* Damages a good file in every place, to see that reading ends and says something. */
static void damage_is_survived(void **state)
{
    (void)state;
    char text[] = ";; c\nSPEAKER a 1 0.5 1.25e0 <NA> <NA> s <NA> <NA>\nSPKR-INFO a 1 <NA> <NA> <NA> x s <NA>\n";
    static const char bytes[] = "\n 9-.eE;\xff";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (size_t j = 0; j < sizeof bytes - 1; j++) {
            char good = text[i];
            text[i] = bytes[j];
            motet_rttm *rttm = new_rttm();
            motet_status status = motet_rttm_read(rttm, write_file("d.rttm", text));
            assert_true(status == MOTET_OK || status == MOTET_ERROR_FORMAT || status == MOTET_ERROR_LIMIT);
            motet_rttm_destroy(rttm);
            text[i] = good;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_failing_allocations), /* first: it reads the folder, and all of it must be sound */
        cmocka_unit_test(reads_turns),
        cmocka_unit_test(numbers_are_the_nearest_doubles),
        cmocka_unit_test(long_numbers_are_read),
        cmocka_unit_test(refusals_name_line_and_field),
        cmocka_unit_test(binary_files_are_refused),
        cmocka_unit_test(missing_files_are_said),
        cmocka_unit_test(folders_are_read_by_name),
        cmocka_unit_test(turns_are_added_by_hand),
        cmocka_unit_test(reads_regions),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
