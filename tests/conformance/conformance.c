/* Runs folders of ONNX backend tests on the public API: a line a case, totals, and what changed since the last list.
 *
 *     conformance [--passing FILE [--update]] [--threads N] [--reference] [--timeout S] [--only TEXT] [--failures]
 *                 [--here] [NAME=]FOLDER...
 *
 * Cases are named NAME/path/below/FOLDER; NAME is FOLDER's own when it is not given. Every case runs in a child
 * process, so that a crash costs one case and names it (--here: in this process, for debuggers). Without a list, any
 * failure fails the run. With one, a case that stands in it and does not pass is lost and fails the run; other failures
 * are the work that is left, and cases that pass without standing in the list wait for --update to put them there. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

enum { DONE = 0, FAILED = 1, MISUSE = 2 };

typedef struct settings {
    const char *passing, *only;
    bool update, failures, here;
    int timeout; /* seconds that a case may take, 0: any */
    motet_session_options session;
} settings;

typedef struct outcome {
    bool passed;
    distance apart;
    reason why;
} outcome;

/* --- one case ------------------------------------------------------------------------------------------------ */

static void run_in_child(const test_case *tested, const settings *set, int pipe_end)
{
    alarm((unsigned)set->timeout);
    outcome result = {0};
    result.passed = case_run(tested, &set->session, &result.apart, &result.why);
    const char *bytes = (const char *)&result;
    for (size_t sent = 0; sent < sizeof result;) {
        ssize_t more = write(pipe_end, bytes + sent, sizeof result - sent);
        if (more <= 0) break;
        sent += (size_t)more;
    }
    _exit(0);
}

/* Whether the child's whole outcome came through. */
static bool receive(int pipe_end, outcome *result)
{
    size_t got = 0;
    while (got < sizeof *result) {
        ssize_t more = read(pipe_end, (char *)result + got, sizeof *result - got);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) break;
        got += (size_t)more;
    }
    return got == sizeof *result;
}

static void run_apart(const test_case *tested, const settings *set, outcome *result)
{
    int ends[2];
    fflush(NULL);
    pid_t child = -1;
    if (pipe(ends) == 0 && (child = fork()) == 0) {
        close(ends[0]);
        run_in_child(tested, set, ends[1]);
    }
    if (child < 0) {
        because(&result->why, "no child process: %s", strerror(errno));
        return;
    }
    close(ends[1]);
    bool whole = receive(ends[0], result);
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (whole) return;
    result->passed = false;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        because(&result->why, "no end after %d s", set->timeout);
    else if (WIFSIGNALED(status))
        because(&result->why, "CRASH: %s", strsignal(WTERMSIG(status)));
    else
        because(&result->why, "CRASH: exit code %d", WEXITSTATUS(status));
}

static outcome run_case(const test_case *tested, const settings *set)
{
    outcome result = {0};
    if (set->here)
        result.passed = case_run(tested, &set->session, &result.apart, &result.why);
    else
        run_apart(tested, set, &result);
    if (!result.passed)
        printf("FAIL  %s: %s\n", tested->name, result.why.text);
    else if (!set->failures && result.apart.max_abs > 0)
        printf("ok    %s  (|d| <= %.2g = %.2g std, 1 - cosine %.1g)\n", tested->name, result.apart.max_abs,
               result.apart.max_abs_over_std, 1 - result.apart.cosine);
    else if (!set->failures)
        printf("ok    %s\n", tested->name);
    fflush(stdout);
    return result;
}

/* --- the list of cases that pass ------------------------------------------------------------------------------ */

typedef struct name_list {
    char **names;
    size_t count;
} name_list;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool names_add(name_list *list, const char *name)
{
    char **grown = realloc(list->names, (list->count + 1) * sizeof *grown);
    char *copy = strdup(name);
    if (grown) list->names = grown;
    if (!grown || !copy) {
        free(copy);
        return false;
    }
    list->names[list->count++] = copy;
    return true;
}

static bool names_have(const name_list *list, const char *name)
{
    return list->count && bsearch(&name, list->names, list->count, sizeof *list->names, by_name);
}

static void names_sort(name_list *list)
{
    if (list->count) qsort(list->names, list->count, sizeof *list->names, by_name);
}

static void names_free(name_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
}

/* A list that is not there yet is empty. */
static bool names_read(name_list *list, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) return errno == ENOENT;
    char line[1024];
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        line[strcspn(line, " #\r\n")] = 0;
        if (*line) good = names_add(list, line);
    }
    fclose(file);
    names_sort(list);
    return good;
}

static bool names_write(const name_list *list, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) return false;
    fprintf(file,
            "# The cases that pass, written by `conformance --passing FILE --update`. A lost line fails the run.\n");
    for (size_t i = 0; i < list->count; i++) fprintf(file, "%s\n", list->names[i]);
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

/* Whether `name` lies below one of the roots of this run. */
static bool below_a_root(const name_list *roots, const char *name)
{
    for (size_t i = 0; i < roots->count; i++) {
        size_t length = strlen(roots->names[i]);
        if (strncmp(name, roots->names[i], length) == 0 && name[length] == '/') return true;
    }
    return false;
}

/* Compares what passed with the list; writes the new list when asked to. `passed` is sorted. False: lines are lost. */
static bool compare_with_list(const settings *set, const name_list *roots, const name_list *passed)
{
    name_list listed = {0}, next = {0};
    if (!names_read(&listed, set->passing)) {
        fprintf(stderr, "conformance: %s: %s\n", set->passing, strerror(errno));
        return false;
    }
    size_t lost = 0, gained = 0;
    bool good = true;
    for (size_t i = 0; i < listed.count; i++) {
        const char *name = listed.names[i];
        bool tried = below_a_root(roots, name) && (!set->only || strstr(name, set->only));
        if (tried && !names_have(passed, name)) {
            printf("LOST  %s\n", name);
            lost++;
        } else if (!tried) {
            good = good && names_add(&next, name);
        }
    }
    for (size_t i = 0; i < passed->count; i++) {
        gained += !names_have(&listed, passed->names[i]);
        good = good && names_add(&next, passed->names[i]);
    }
    printf("%zu lost, %zu gained, against %s\n", lost, gained, set->passing);
    names_sort(&next);
    if (set->update && !(good && names_write(&next, set->passing))) {
        fprintf(stderr, "conformance: %s cannot be written\n", set->passing);
        good = false;
    }
    names_free(&listed);
    names_free(&next);
    return good && (lost == 0 || set->update);
}

/* --- the whole run ---------------------------------------------------------------------------------------------- */

static bool run_all(const settings *set, const name_list *roots, const case_list *list)
{
    name_list passed = {0};
    size_t tried = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (set->only && !strstr(list->cases[i].name, set->only)) continue;
        tried++;
        if (run_case(&list->cases[i], set).passed && !names_add(&passed, list->cases[i].name)) return false;
    }
    names_sort(&passed);
    printf("%zu of %zu cases pass (%.1f %%)\n", passed.count, tried,
           tried ? 100.0 * (double)passed.count / (double)tried : 0);
    bool good = set->passing ? compare_with_list(set, roots, &passed) : passed.count == tried;
    names_free(&passed);
    return good && tried > 0;
}

/* Adds the cases of "[NAME=]FOLDER". */
static bool add_root(name_list *roots, case_list *list, char *argument)
{
    char *folder = strchr(argument, '='), *name = argument;
    if (folder) {
        *folder++ = 0;
    } else {
        folder = argument;
        for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/';) folder[--length] = 0;
        char *slash = strrchr(folder, '/');
        name = slash && slash[1] ? slash + 1 : folder;
    }
    reason why = {"out of memory"};
    if (names_add(roots, name) && cases_find(list, name, folder, &why)) return true;
    fprintf(stderr, "conformance: %s\n", why.text);
    return false;
}

static int usage(void)
{
    fputs("usage: conformance [--passing FILE [--update]] [--threads N] [--reference] [--timeout S]\n"
          "                   [--only TEXT] [--failures] [--here] [NAME=]FOLDER...\n",
          stderr);
    return MISUSE;
}

/* A count on the command line: digits and nothing else. */
static bool parse_count(const char *text, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > 1000000) return false;
    *out = (int)value;
    return true;
}

static bool parse(int count, char **words, settings *set)
{
    enum { PASSING, UPDATE, THREADS, REFERENCE, TIMEOUT, ONLY, FAILURES, HERE };
    static const struct option options[] = {
        {"passing", required_argument, NULL, PASSING},
        {"update", no_argument, NULL, UPDATE},
        {"threads", required_argument, NULL, THREADS},
        {"reference", no_argument, NULL, REFERENCE},
        {"timeout", required_argument, NULL, TIMEOUT},
        {"only", required_argument, NULL, ONLY},
        {"failures", no_argument, NULL, FAILURES},
        {"here", no_argument, NULL, HERE},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        switch (option) {
        case PASSING: set->passing = optarg; break;
        case UPDATE: set->update = true; break;
        case THREADS:
            if (!parse_count(optarg, &set->session.threads)) return false;
            break;
        case REFERENCE: set->session.reference = true; break;
        case TIMEOUT:
            if (!parse_count(optarg, &set->timeout)) return false;
            break;
        case ONLY: set->only = optarg; break;
        case FAILURES: set->failures = true; break;
        case HERE: set->here = true; break;
        default: return false;
        }
    }
    return optind < count && (set->passing || !set->update);
}

int main(int count, char **words)
{
    settings set = {.timeout = 300};
    motet_session_options_init(&set.session);
    if (!parse(count, words, &set)) return usage();
    name_list roots = {0};
    case_list list = {0};
    bool good = true;
    for (int i = optind; good && i < count; i++) good = add_root(&roots, &list, words[i]);
    good = good && run_all(&set, &roots, &list);
    cases_free(&list);
    names_free(&roots);
    return good ? DONE : FAILED;
}
