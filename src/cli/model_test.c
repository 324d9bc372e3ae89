/* motet model test: folders of test cases, a line each. Every case runs in a child process, so that a case that hangs
 * or crashes costs one line, and names itself. */
#include "model.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model_cases.h"
#include "model_passing.h"

static const char command[] = "model test";

typedef struct settings {
    const char *only, *passing;
    motet_session_options session;
    int timeout; /* seconds that a case may take */
    bool update, failures, json, here;
} settings;

static void help(void)
{
    fputs(
        "usage: motet model test [OPTION...] [NAME=]FOLDER...\n\n"
        "Runs test cases in the layout of the ONNX backend tests: folders with model.onnx and\n"
        "test_data_set_*/{input,output}_*.pb, found in FOLDER and below it. A line a case, with the reason of a\n"
        "failure, and a total. Types and shapes of outputs must be the same (those\n"
        "that a model declares for its inputs are not looked at); floating point is compared with rtol 1e-3 and atol\n"
        "1e-7, or with what a file 'tolerance' beside the model says: lines of rtol, atol, max_abs, max_abs_over_std "
        "or\n"
        "cosine and a number.\n\n"
        "      --only TEXT         only cases with TEXT in their name\n"
        "      --failures          lines for failures only\n"
        "      --threads N         threads that work on a run (default: all there are)\n"
        "      --reference         plain reference operators, no fast kernels\n" MODEL_PASS_HELP
        "      --timeout S         seconds that a case may take (default 300)\n"
        "      --here              all cases in this process, for debuggers\n"
        "      --json              for programs\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model test --failures /usr/share/libonnx-testdata/data\n"
        "  motet model test --only softmax --reference cases/\n\n"
        "Exit status: 0 all pass, 1 not all, 2 wrong usage.\n",
        stdout);
}

/* --- a case --------------------------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void run_in_child(const model_case *tested, const settings *s, int end)
{
    model_outcome outcome;
    alarm((unsigned)s->timeout);
    model_case_run(tested, &s->session, &outcome);
    const char *bytes = (const char *)&outcome;
    for (size_t sent = 0; sent < sizeof outcome;) {
        ssize_t more = write(end, bytes + sent, sizeof outcome - sent);
        if (more <= 0) break;
        sent += (size_t)more;
    }
    _exit(0);
}

/* Whether the child's whole outcome came through. */
static bool receive(int end, model_outcome *outcome)
{
    size_t got = 0;
    while (got < sizeof *outcome) {
        ssize_t more = read(end, (char *)outcome + got, sizeof *outcome - got);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) break;
        got += (size_t)more;
    }
    return got == sizeof *outcome;
}

static void explain(const settings *s, int status, model_outcome *outcome)
{
    *outcome = (model_outcome){0};
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(outcome->why, sizeof outcome->why, "no end after %d s", s->timeout);
    else if (WIFSIGNALED(status))
        snprintf(outcome->why, sizeof outcome->why, "CRASH: %s", strsignal(WTERMSIG(status)));
    else
        snprintf(outcome->why, sizeof outcome->why, "CRASH: exit status %d", WEXITSTATUS(status));
}

static void run_apart(const model_case *tested, const settings *s, model_outcome *outcome)
{
    int ends[2], status = 0;
    pid_t child = -1;
    fflush(NULL);
    if (pipe(ends) == 0) {
        child = fork();
        if (child == 0) {
            close(ends[0]);
            run_in_child(tested, s, ends[1]);
        }
        close(ends[1]);
    }
    if (child < 0) {
        snprintf(outcome->why, sizeof outcome->why, "no child process: %s", strerror(errno));
        return;
    }
    bool whole = receive(ends[0], outcome);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!whole) explain(s, status, outcome);
}

static void print_line(const settings *s, const model_case *tested, const model_outcome *outcome)
{
    if (s->json || (s->failures && outcome->passed)) return;
    if (!outcome->passed)
        printf("FAIL  %s: %s\n", tested->name, outcome->why);
    else if (outcome->distance.max_abs > 0)
        printf("ok    %s  (|d| <= %.2g = %.2g std, 1 - cosine %.1g)\n", tested->name, outcome->distance.max_abs,
               outcome->distance.max_abs_over_std, 1 - outcome->distance.cosine);
    else
        printf("ok    %s\n", tested->name);
    fflush(stdout);
}

static json_t *outcome_json(const model_case *tested, const model_outcome *outcome)
{
    return json_pack("{s:s, s:b, s:s?, s:o, s:o}", "name", tested->name, "passed", outcome->passed, "reason",
                     outcome->passed ? NULL : outcome->why, "max_abs", model_number(outcome->distance.max_abs),
                     "cosine", model_number(outcome->distance.cosine));
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

static void run_one(const settings *s, const model_case *tested, model_outcome *outcome)
{
    *outcome = (model_outcome){0};
    if (s->here)
        model_case_run(tested, &s->session, outcome);
    else
        run_apart(tested, s, outcome);
    cli_make_printable(outcome->why);
    print_line(s, tested, outcome);
}

static bool tell_total(const settings *s, size_t passed, size_t tried, json_t *lines)
{
    if (s->json)
        return model_print_json(command, json_pack("{s:I, s:I, s:o}", "passed", (json_int_t)passed, "cases",
                                                   (json_int_t)tried, "results", lines));
    json_decref(lines);
    printf("%zu of %zu cases pass (%.1f %%)\n", passed, tried, tried ? 100.0 * (double)passed / (double)tried : 0);
    return cli_print(command, "", 0);
}

static int run_all(const settings *s, const name_list *roots, const model_case_list *list)
{
    static model_outcome outcome;
    json_t *lines = json_array();
    name_list passed = {0};
    size_t tried = 0;
    bool good = true;
    for (size_t i = 0; good && i < list->count; i++) {
        const model_case *tested = &list->cases[i];
        if (s->only && !strstr(tested->name, s->only)) continue;
        run_one(s, tested, &outcome);
        if (s->json) json_array_append_new(lines, outcome_json(tested, &outcome));
        if (outcome.passed) good = names_add(&passed, tested->name);
        tried++;
    }
    if (!tried) cli_say(command, "there are no cases");
    bool all = passed.count == tried;
    good = tell_total(s, passed.count, tried, lines) && good;
    if (good)
        good = s->passing ? passing_compare(command, s->passing, s->update, s->only, roots, &passed, s->json) : all;
    names_free(&passed);
    return good && tried ? EXIT_DONE : EXIT_FAILED;
}

/* "[NAME=]FOLDER" */
static bool add_root(name_list *roots, model_case_list *list, char *argument)
{
    char why[1024] = "out of memory", *folder = strchr(argument, '='), *name = argument;
    if (folder) {
        *folder++ = 0;
    } else {
        folder = argument;
        for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/';) folder[--length] = 0;
        char *slash = strrchr(folder, '/');
        name = slash && slash[1] ? slash + 1 : folder;
    }
    if (names_add(roots, name) && model_cases_find(list, name, folder, why)) return true;
    cli_say(command, "%s", why);
    return false;
}

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case 'o': s->only = text; return true;
    case 'p': s->passing = text; return true;
    case 'u': return s->update = true;
    case 'f': return s->failures = true;
    case 't': return cli_int(command, "threads", text, 1, 1024, &s->session.threads);
    case 'r': return s->session.reference = true;
    case 'x': return model_leave_out(command, &s->session, text);
    case 'T': return cli_int(command, "timeout", text, 1, 1000000, &s->timeout);
    case 'H': return s->here = true;
    case 'j': return s->json = true;
    default: fprintf(stderr, "Try 'motet %s --help'.\n", command); return false; /* getopt has said what is wrong */
    }
}

int model_test(int argc, char **argv)
{
    static const struct option options[] = {
        {"only", required_argument, NULL, 'o'},    {"passing", required_argument, NULL, 'p'},
        {"update", no_argument, NULL, 'u'},        {"failures", no_argument, NULL, 'f'},
        {"threads", required_argument, NULL, 't'}, {"reference", no_argument, NULL, 'r'},
        {"no-pass", required_argument, NULL, 'x'}, {"timeout", required_argument, NULL, 'T'},
        {"here", no_argument, NULL, 'H'},          {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    settings s = {.timeout = 300};
    motet_session_options_init(&s.session);
    s.session.any_shape = true; /* some of the old backend cases feed other shapes than their model declares */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    if (optind == argc) return cli_misuse(command, "expected a FOLDER");
    if (s.update && !s.passing) return cli_misuse(command, "--update wants the list that --passing names");
    name_list roots = {0};
    model_case_list list = {0};
    bool found = true;
    for (int i = optind; found && i < argc; i++) found = add_root(&roots, &list, argv[i]);
    int status = found ? run_all(&s, &roots, &list) : EXIT_FAILED;
    model_cases_free(&list);
    names_free(&roots);
    return status;
}
