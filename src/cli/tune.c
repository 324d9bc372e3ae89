/* motet tune: labelled recordings in, the settings that suit them out.
 *
 * The networks hear every recording once; what they leave behind is concluded under many settings. One setting after
 * the other takes the value that is best with the others as they stand, until none changes any more. What comes out is
 * the best for the recordings it was chosen on, so it is also told how settings chosen on one half of them do on the
 * other. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diarize_options.h"
#include "motet/score.h"
#include "recording.h"

static const char command[] = "tune";

enum { MOST_VALUES = 16, ROUNDS = 5 };

typedef struct labelled {
    char id[NAME_MAX + 1];
    char *path;
    motet_heard *heard;
} labelled;

typedef struct tuning {
    motet_diarize_options options; /* where the search begins */
    motet_score_options score;
    const char *folder;
    bool quiet;
    labelled *recordings;
    size_t count;
    motet_rttm *reference;
    int tried;
} tuning;

static void help(void)
{
    printf(
        "usage: motet tune [OPTION...] FOLDER\n\n"
        "Finds the settings of `motet diarize` that suit labelled recordings: FOLDER holds recordings and, for each,\n"
        "NAME.rttm with its turns. Prints options, so that\n\n"
        "    motet diarize $(motet tune labelled/) meeting.flac\n\n"
        "takes them. They are those of the lowest pooled diarization error rate (overlap scored); what to expect of\n"
        "them elsewhere is said too: the rate of each half with settings chosen on the other.\n\n"
        "  -c, --collar S           leave out S seconds on each side of reference boundaries (default 0)\n"
        "  -m, --model FILE         as for motet diarize ($MOTET_MODEL)\n"
        "  -e, --embedding FILE     as for motet diarize ($MOTET_EMBEDDING)\n"
        "      --hop S              as for motet diarize; not searched\n"
        "  -q, --quiet              no progress, no table\n"
        "  -t, --threads N          default: as many as the process may use\n"
        "  -h, --help\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n");
}

static const struct option long_options[] = {{"collar", required_argument, NULL, 'c'},
                                             {"model", required_argument, NULL, 'm'},
                                             {"embedding", required_argument, NULL, 'e'},
                                             {"hop", required_argument, NULL, OPTION_HOP},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"threads", required_argument, NULL, 't'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool set_option(tuning *t, int option, const char *text)
{
    switch (option) {
    case 'c': return cli_number(command, "collar", text, 0, 3600, &t->score.collar);
    case 'm': t->options.model = text; return true;
    case 'e': t->options.embedding = text; return true;
    case 'q': return t->quiet = true;
    case 't': return cli_int(command, "threads", text, 1, 1024, &t->options.threads);
    case OPTION_HOP: return cli_number(command, "hop", text, 0.1, 60, &t->options.hop);
    default: fprintf(stderr, "Try 'motet tune --help'.\n"); return false; /* getopt has said what is wrong */
    }
}

/* --- what there is --------------------------------------------------------------------------------------------- */

static bool is_labelled(const tuning *t, const char *id)
{
    motet_rttm_turn turn;
    for (size_t i = 0; motet_rttm_get(t->reference, i, &turn); i++)
        if (!strcmp(turn.file, id)) return true;
    return false;
}

/* A file of the folder becomes a recording when the reference knows its name and it is not a text beside it. */
static bool add_recording(tuning *t, const char *name)
{
    static const char *const texts[] = {"rttm", "uem", "json", "txt", "lab", "md"};
    char path[PATH_MAX];
    labelled r = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(ending_of(name), texts[i])) return true;
    name_recording(name, r.id, sizeof r.id);
    if (!is_labelled(t, r.id)) return true;
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    labelled *grown = realloc(t->recordings, (t->count + 1) * sizeof *grown);
    if (grown) t->recordings = grown;
    if (!grown || !(r.path = strdup(path))) {
        cli_say(command, "out of memory");
        return false;
    }
    t->recordings[t->count++] = r;
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool find_recordings(tuning *t)
{
    struct dirent **names;
    int count = scandir(t->folder, &names, NULL, by_name); /* the same order, and halves, everywhere */
    if (count < 0) {
        cli_say(command, "%s: %s", t->folder, strerror(errno));
        return false;
    }
    bool good = true;
    for (int i = 0; i < count; i++) {
        if (good && names[i]->d_name[0] != '.') good = add_recording(t, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    for (size_t i = 1; i < t->count && good; i++)
        if (!strcmp(t->recordings[i - 1].id, t->recordings[i].id)) {
            cli_say(command, "%s and %s: one name, and one reference", t->recordings[i - 1].path,
                    t->recordings[i].path);
            good = false;
        }
    if (good && !t->count) cli_say(command, "%s: no recording with an .rttm file that names it", t->folder);
    return good && t->count;
}

static bool read_reference(tuning *t)
{
    motet_status status = motet_rttm_create(&t->reference);
    if (status == MOTET_OK) status = motet_rttm_read(t->reference, t->folder);
    if (status != MOTET_OK) cli_say(command, "%s", motet_error_message());
    return status == MOTET_OK;
}

static bool hear_all(tuning *t, motet_diarizer *diarizer)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!t->quiet) fprintf(stderr, "heard %zu of %zu\r", i, t->count);
        if (!recording_hear(command, t->recordings[i].path, diarizer, &t->recordings[i].heard)) return false;
    }
    return true;
}

/* --- the rate of some settings --------------------------------------------------------------------------------- */

/* Half 0 and 1 are every other recording; half -1 is all of them. */
static bool in_half(size_t i, int half)
{
    return half < 0 || (int)(i % 2) == half;
}

static motet_status add_turns(motet_rttm *to, const char *id, const motet_diarization *d)
{
    for (size_t i = 0; i < d->turn_count; i++) {
        const motet_turn *turn = &d->turns[i];
        motet_rttm_turn line = {id, d->speakers[turn->speaker].label, turn->start, turn->end - turn->start};
        motet_status status = motet_rttm_add(to, &line);
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

static motet_status add_reference(const tuning *t, const char *id, motet_rttm *to)
{
    motet_rttm_turn turn;
    for (size_t i = 0; motet_rttm_get(t->reference, i, &turn); i++) {
        motet_status status = strcmp(turn.file, id) ? MOTET_OK : motet_rttm_add(to, &turn);
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

static motet_status conclude_half(const tuning *t, const motet_diarize_options *o, int half, motet_rttm *reference,
                                  motet_rttm *hypothesis)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!in_half(i, half)) continue;
        const labelled *r = &t->recordings[i];
        motet_diarization *d = NULL;
        motet_status status = motet_heard_conclude(r->heard, o, &d);
        if (status == MOTET_OK) status = add_turns(hypothesis, r->id, d);
        if (status == MOTET_OK) status = add_reference(t, r->id, reference);
        motet_diarization_destroy(d);
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

/* The pooled DER of half of the recordings, negative when it could not be had, which has been said. */
static double rate(tuning *t, const motet_diarize_options *o, int half)
{
    motet_rttm *reference = NULL, *hypothesis = NULL;
    motet_score_report *report = NULL;
    double der = -1;
    motet_status status = motet_rttm_create(&reference);
    if (status == MOTET_OK) status = motet_rttm_create(&hypothesis);
    if (status == MOTET_OK) status = conclude_half(t, o, half, reference, hypothesis);
    if (status == MOTET_OK) status = motet_score_run(reference, hypothesis, NULL, &t->score, &report);
    if (status == MOTET_OK) der = motet_score_pooled(report)->der;
    if (status != MOTET_OK) cli_say(command, "%s", motet_error_message());
    motet_score_report_destroy(report);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
    if (!t->quiet) fprintf(stderr, "tried %d settings\r", ++t->tried);
    return cli_interrupted() ? -1 : der;
}

/* --- the search ------------------------------------------------------------------------------------------------ */

typedef struct knob {
    size_t offset; /* of a double in motet_diarize_options */
    int count;
    double values[MOST_VALUES];
} knob;

static const knob knobs[] = {
    {offsetof(motet_diarize_options, threshold),
     15,
     {0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9}},
    {offsetof(motet_diarize_options, onset), 9, {0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7}},
    {offsetof(motet_diarize_options, min_gap), 7, {0, 0.1, 0.2, 0.3, 0.5, 0.7, 1}},
    {offsetof(motet_diarize_options, min_turn), 6, {0, 0.1, 0.2, 0.3, 0.5, 0.8}},
};

enum { KNOBS = sizeof knobs / sizeof *knobs };

static double *place(motet_diarize_options *o, const knob *k)
{
    return (double *)((char *)o + k->offset);
}

/* Gives the knob its best value. Returns the rate, negative when it failed; *changed is set when the value changed. */
static double turn_knob(tuning *t, motet_diarize_options *best, const knob *k, double best_rate, int half,
                        bool *changed)
{
    for (int i = 0; i < k->count; i++) {
        motet_diarize_options now = *best;
        if (fabs(*place(&now, k) - k->values[i]) < 1e-9) continue;
        *place(&now, k) = k->values[i];
        double found = rate(t, &now, half);
        if (found < 0) return found;
        if (found >= best_rate - 1e-9) continue;
        best_rate = found;
        *best = now;
        *changed = true;
    }
    return best_rate;
}

static double search(tuning *t, int half, motet_diarize_options *best)
{
    *best = t->options;
    double best_rate = rate(t, best, half);
    bool changed = true;
    for (int round = 0; round < ROUNDS && changed; round++) {
        changed = false;
        for (size_t k = 0; k < KNOBS && best_rate >= 0; k++)
            best_rate = turn_knob(t, best, &knobs[k], best_rate, half, &changed);
    }
    return best_rate;
}

/* --- the whole of it ------------------------------------------------------------------------------------------- */

static void format_options(const motet_diarize_options *o, char *text, size_t size)
{
    snprintf(text, size, "--threshold %g --onset %g --min-gap %g --min-turn %g", o->threshold, o->onset, o->min_gap,
             o->min_turn);
}

/* The mean of the rates of both halves, each with settings chosen on the other. */
static double rate_elsewhere(tuning *t)
{
    double sum = 0;
    for (int half = 0; half < 2; half++) {
        motet_diarize_options chosen;
        double found = search(t, 1 - half, &chosen);
        if (found >= 0) found = rate(t, &chosen, half);
        if (found < 0) return found;
        sum += found;
    }
    return sum / 2;
}

static int tune(tuning *t)
{
    motet_diarize_options best;
    char text[128], before[128];
    double was = rate(t, &t->options, -1), found = was < 0 ? was : search(t, -1, &best);
    double elsewhere = found >= 0 && t->count > 1 ? rate_elsewhere(t) : found;
    if (elsewhere < 0) return EXIT_FAILED;
    format_options(&best, text, sizeof text);
    format_options(&t->options, before, sizeof before);
    if (!t->quiet) {
        fprintf(stderr, "DER of %zu recording%s, %s\n", t->count, t->count == 1 ? "" : "s",
                t->score.collar > 0 ? "with the collar" : "collar 0, overlap scored");
        fprintf(stderr, "  %6.2f %%  %s (where it began)\n  %6.2f %%  %s\n", 100 * was, before, 100 * found, text);
        if (t->count > 1) fprintf(stderr, "  %6.2f %%  each half with settings chosen on the other\n", 100 * elsewhere);
        if (t->count > 1 && elsewhere >= was)
            cli_say(command, "on other recordings these will hardly do better than the settings it began with");
    }
    size_t length = strlen(text);
    text[length++] = '\n';
    return cli_print(command, text, length) ? EXIT_DONE : EXIT_FAILED;
}

static int run(tuning *t)
{
    char model[PATH_MAX], embedding[PATH_MAX];
    motet_diarizer *diarizer = NULL;
    t->options.model = cli_choose_model(command, t->options.model, model, sizeof model);
    t->options.embedding = cli_choose_embedding(t->options.embedding, embedding, sizeof embedding);
    if (!t->options.model || !read_reference(t) || !find_recordings(t)) return EXIT_FAILED;
    cli_catch_signals();
    if (motet_diarizer_create(&t->options, &diarizer) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    t->options.threshold = motet_diarizer_describe(diarizer)->threshold;
    t->options.onset = motet_diarizer_describe(diarizer)->onset;
    bool heard = hear_all(t, diarizer);
    motet_diarizer_destroy(diarizer);
    int code = heard ? tune(t) : EXIT_FAILED;
    return cli_interrupted() ? cli_die_of_signal() : code;
}

int cli_tune(int argc, char **argv)
{
    tuning t = {0};
    motet_diarize_options_init(&t.options);
    motet_score_options_init(&t.score);
    for (int option; (option = getopt_long(argc, argv, "c:m:e:qt:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&t, option, optarg)) return EXIT_MISUSE;
    }
    if (argc - optind != 1) return cli_misuse(command, "expected one FOLDER");
    t.folder = argv[optind];
    int code = run(&t);
    for (size_t i = 0; i < t.count; i++) {
        motet_heard_destroy(t.recordings[i].heard);
        free(t.recordings[i].path);
    }
    free(t.recordings);
    motet_rttm_destroy(t.reference);
    return code;
}
