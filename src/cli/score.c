/* motet score: how far turns are from a reference. */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "motet/file.h"
#include "motet/score.h"

static const char command[] = "score";

typedef struct settings {
    motet_score_options score;
    const char *reference, *hypothesis, *uem, *output;
    motet_score_format format;
} settings;

static void help(void)
{
    fputs(
        "usage: motet score [OPTION...] REFERENCE HYPOTHESIS\n\n"
        "Compares turns with a reference: diarization error rate (DER: missed speech, false alarm and speaker "
        "confusion)\n"
        "and Jaccard error rate (JER), for each file and for all together. REFERENCE and HYPOTHESIS are RTTM files, "
        "or\n"
        "folders of .rttm files; either may hold turns of several recordings. Recordings are matched by the file id in "
        "the\n"
        "RTTM lines (field 2), not by the names of the files.\n\n"
        "  -u, --uem PATH          score only the regions of this UEM file, or of the .uem files of this folder "
        "(default:\n"
        "                          from the first onset to the last end of reference and hypothesis)\n"
        "  -c, --collar S          leave out S seconds at the boundaries of reference turns (default 0)\n"
        "      --collar-convention md-eval|pyannote\n"
        "                          md-eval (the default; NIST, dscore): S seconds on each side of a boundary; speakers "
        "are\n"
        "                          mapped before the collar is taken out; JER in frames of 10 ms, without collar\n"
        "                          pyannote (pyannote.metrics): S seconds in all, half on each side; speakers are "
        "mapped\n"
        "                          after the collar is taken out; JER exact, with collar\n"
        "      --skip-overlap      leave out where several reference speakers talk at once (default: scored)\n"
        "  -f, --format FORMAT     table, json or csv (default table)\n"
        "  -o, --output FILE       write there (default: standard output)\n"
        "  -h, --help\n\n"
        "Recordings that the reference has and the hypothesis does not count as all missed. Recordings that only the\n"
        "hypothesis or the UEM has are not scored: nobody knows who speaks in them. With --uem, recordings that it "
        "does not\n"
        "name are not scored either. All of these are said on standard error.\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
        stdout);
}

enum { OPTION_CONVENTION = 256, OPTION_SKIP_OVERLAP };

static const struct option long_options[] = {{"uem", required_argument, NULL, 'u'},
                                             {"collar", required_argument, NULL, 'c'},
                                             {"collar-convention", required_argument, NULL, OPTION_CONVENTION},
                                             {"skip-overlap", no_argument, NULL, OPTION_SKIP_OVERLAP},
                                             {"format", required_argument, NULL, 'f'},
                                             {"output", required_argument, NULL, 'o'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool set_convention(settings *s, const char *name)
{
    if (!strcmp(name, "md-eval"))
        s->score.convention = MOTET_SCORE_MD_EVAL;
    else if (!strcmp(name, "pyannote"))
        s->score.convention = MOTET_SCORE_PYANNOTE;
    else
        return cli_misuse(command, "--collar-convention %s: expected md-eval or pyannote", name), false;
    return true;
}

static bool set_format(settings *s, const char *name)
{
    if (!strcmp(name, "table"))
        s->format = MOTET_SCORE_TABLE;
    else if (!strcmp(name, "json"))
        s->format = MOTET_SCORE_JSON;
    else if (!strcmp(name, "csv"))
        s->format = MOTET_SCORE_CSV;
    else
        return cli_misuse(command, "--format %s: expected table, json or csv", name), false;
    return true;
}

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case 'u': s->uem = text; return true;
    case 'c': return cli_number(command, "collar", text, 0, 3600, &s->score.collar);
    case OPTION_CONVENTION: return set_convention(s, text);
    case OPTION_SKIP_OVERLAP: return s->score.skip_overlap = true;
    case 'f': return set_format(s, text);
    case 'o': s->output = text; return true;
    default: fprintf(stderr, "Try 'motet score --help'.\n"); return false; /* getopt has said what is wrong */
    }
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static motet_status read_turns(const char *path, motet_rttm **turns)
{
    motet_status status = motet_rttm_create(turns);
    if (status == MOTET_OK) status = motet_rttm_read(*turns, path);
    if (status != MOTET_OK) return status;
    size_t empty = motet_rttm_empty_turns(*turns);
    if (empty) cli_say(command, "%s: passed over %zu turn%s of no duration", path, empty, empty == 1 ? "" : "s");
    return MOTET_OK;
}

static motet_status read_regions(const char *path, motet_uem **regions)
{
    motet_status status = motet_uem_create(regions);
    return status == MOTET_OK ? motet_uem_read(*regions, path) : status;
}

static motet_status score(const settings *s, motet_score_report **report)
{
    motet_rttm *reference = NULL, *hypothesis = NULL;
    motet_uem *uem = NULL;
    motet_status status = read_turns(s->reference, &reference);
    if (status == MOTET_OK) status = read_turns(s->hypothesis, &hypothesis);
    if (status == MOTET_OK && s->uem) status = read_regions(s->uem, &uem);
    if (status == MOTET_OK) status = motet_score_run(reference, hypothesis, uem, &s->score, report);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
    motet_uem_destroy(uem);
    return status;
}

/* --- telling --------------------------------------------------------------------------------------------------- */

static void say_what_did_not_match(const motet_score_report *report)
{
    for (size_t i = 0; i < motet_score_file_count(report); i++) {
        const motet_score *file = motet_score_file(report, i);
        if (file->no_hypothesis) cli_say(command, "%s: not in the hypothesis, all of it counts as missed", file->file);
    }
    for (size_t i = 0; i < motet_score_omission_count(report); i++) {
        const motet_score_omission *omission = motet_score_omission_at(report, i);
        cli_say(command, "%s: %s, not scored", omission->file,
                omission->reason == MOTET_SCORE_NOT_IN_UEM ? "not in the UEM" : "not in the reference");
    }
}

static bool write_report(const settings *s, const motet_score_report *report)
{
    char *text;
    size_t length;
    motet_status status = motet_score_report_write(report, s->format, &text, &length);
    if (status == MOTET_OK && !s->output) {
        bool printed = cli_print(command, text, length);
        motet_string_free(text);
        return printed;
    }
    if (status == MOTET_OK) {
        status = motet_file_write(s->output, text, length);
        motet_string_free(text);
    }
    if (status != MOTET_OK) cli_say(command, "%s", motet_error_message());
    return status == MOTET_OK;
}

static int run(const settings *s)
{
    motet_score_report *report = NULL;
    if (score(s, &report) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    say_what_did_not_match(report);
    bool done = false;
    if (motet_score_file_count(report))
        done = write_report(s, report);
    else
        cli_say(command, "%s: nothing to score", s->reference);
    motet_score_report_destroy(report);
    return done ? EXIT_DONE : EXIT_FAILED;
}

int cli_score(int argc, char **argv)
{
    settings s = {.format = MOTET_SCORE_TABLE};
    motet_score_options_init(&s.score);
    for (int option; (option = getopt_long(argc, argv, "u:c:f:o:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    if (argc - optind != 2) return cli_misuse(command, "expected REFERENCE and HYPOTHESIS");
    s.reference = argv[optind];
    s.hypothesis = argv[optind + 1];
    return run(&s);
}
