/* A score report as a table for people, and as JSON and CSV for programs: rates in percent, times in seconds. */
#include "score/report.h"

#include <string.h>

#include "core/text.h"

static const char *convention_name(const motet_score_options *options)
{
    return options->convention == MOTET_SCORE_PYANNOTE ? "pyannote" : "md-eval";
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* --- table ----------------------------------------------------------------------------------------------------- */

static const char pooled_name[] = "all files";

static int name_width(const motet_score_report *report)
{
    size_t width = strlen(pooled_name);
    for (size_t i = 0; i < report->file_count; i++) {
        size_t length = strlen(report->files[i].file);
        if (length > width) width = length;
    }
    return width < 60 ? (int)width : 60;
}

static void add_settings(mt_text *text, const motet_score_options *options)
{
    bool pyannote = options->convention == MOTET_SCORE_PYANNOTE;
    double reach = pyannote ? options->collar / 2 : options->collar;
    mt_text_add(text, "collar %g s, %s convention (%g s on each side of a reference boundary, speakers mapped %s it,\n",
                options->collar, convention_name(options), reach, pyannote ? "after" : "before");
    mt_text_add(text, "JER %s), overlap %s\n\n", pyannote ? "exact" : "in frames of 10 ms",
                options->skip_overlap ? "skipped" : "scored");
}

static void add_table_row(mt_text *text, int width, const motet_score *score)
{
    mt_text_add(text, "%-*s %10.2f %9.2f %6.2f %9.2f %6.2f %9.2f %6.2f  %6.2f %6.2f  %4zu %4zu  %8.2f %8.2f\n", width,
                score->file ? score->file : pooled_name, score->scored, score->missed,
                percent(score->missed, score->scored), score->false_alarm, percent(score->false_alarm, score->scored),
                score->confusion, percent(score->confusion, score->scored), 100 * score->der, 100 * score->jer,
                score->reference_speakers, score->hypothesis_speakers, score->missed_speech, score->false_alarm_speech);
}

static void write_table(mt_text *text, const motet_score_report *report)
{
    int width = name_width(report);
    add_settings(text, &report->options);
    mt_text_add(text, "%-*s %10s %16s %16s %16s  %6s %6s  %9s  %17s\n", width, "", "scored", "missed", "false alarm",
                "confusion", "DER", "JER", "speakers", "speech only");
    mt_text_add(text, "%-*s %10s %9s %6s %9s %6s %9s %6s  %6s %6s  %4s %4s  %8s %8s\n", width, "file", "s", "s", "%",
                "s", "%", "s", "%", "%", "%", "ref", "hyp", "missed s", "false s");
    for (size_t i = 0; i < report->file_count; i++) add_table_row(text, width, &report->files[i]);
    add_table_row(text, width, &report->pooled);
}

/* --- CSV (RFC 4180) -------------------------------------------------------------------------------------------- */

static void add_quoted(mt_text *text, const char *value)
{
    if (!strpbrk(value, "\",")) {
        mt_text_add(text, "%s", value);
        return;
    }
    mt_text_add(text, "\"");
    for (; *value; value++) mt_text_add_bytes(text, *value == '"' ? "\"\"" : value, *value == '"' ? 2 : 1);
    mt_text_add(text, "\"");
}

/* The row of all files together has an empty file field. */
static void add_csv_row(mt_text *text, const motet_score *score, const motet_score_options *options)
{
    add_quoted(text, score->file ? score->file : "");
    mt_text_add(text, ",%s,%g,%s,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%zu,%zu,%s\n",
                convention_name(options), options->collar, options->skip_overlap ? "skipped" : "scored", score->scored,
                score->missed, score->false_alarm, score->confusion, 100 * score->der, 100 * score->jer, score->region,
                score->speech, score->missed_speech, score->false_alarm_speech, score->reference_speakers,
                score->hypothesis_speakers, score->no_hypothesis ? "yes" : "no");
}

static void write_csv(mt_text *text, const motet_score_report *report)
{
    mt_text_add(text, "file,convention,collar_s,overlap,scored_s,missed_s,false_alarm_s,confusion_s,der_percent,"
                      "jer_percent,region_s,speech_s,missed_speech_s,false_alarm_speech_s,reference_speakers,"
                      "hypothesis_speakers,hypothesis_missing\n");
    for (size_t i = 0; i < report->file_count; i++) add_csv_row(text, &report->files[i], &report->options);
    add_csv_row(text, &report->pooled, &report->options);
}

/* --- JSON ------------------------------------------------------------------------------------------------------ */

static void add_json_score(mt_json *json, const char *key, const motet_score *score)
{
    mt_json_open_row(json, key);
    if (score->file) mt_json_string(json, "file", score->file);
    mt_json_number(json, "der_percent", 100 * score->der, 6);
    mt_json_number(json, "jer_percent", 100 * score->jer, 6);
    mt_json_number(json, "scored_s", score->scored, 6);
    mt_json_number(json, "missed_s", score->missed, 6);
    mt_json_number(json, "false_alarm_s", score->false_alarm, 6);
    mt_json_number(json, "confusion_s", score->confusion, 6);
    mt_json_number(json, "region_s", score->region, 6);
    mt_json_number(json, "speech_s", score->speech, 6);
    mt_json_number(json, "missed_speech_s", score->missed_speech, 6);
    mt_json_number(json, "false_alarm_speech_s", score->false_alarm_speech, 6);
    mt_json_int(json, "reference_speakers", (int64_t)score->reference_speakers);
    mt_json_int(json, "hypothesis_speakers", (int64_t)score->hypothesis_speakers);
    if (score->file) mt_json_bool(json, "hypothesis_missing", score->no_hypothesis);
    mt_json_close(json, '}');
}

static void add_json_omissions(mt_json *json, const motet_score_report *report)
{
    mt_json_open(json, "not_scored", '[');
    for (size_t i = 0; i < report->omission_count; i++) {
        const motet_score_omission *omission = &report->omissions[i];
        mt_json_open_row(json, NULL);
        mt_json_string(json, "file", omission->file);
        mt_json_string(json, "reason", omission->reason == MOTET_SCORE_NOT_IN_UEM ? "not in the UEM" : "no reference");
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void write_json(mt_json *json, const motet_score_report *report)
{
    mt_json_open(json, NULL, '{');
    mt_json_open_row(json, "settings");
    mt_json_string(json, "convention", convention_name(&report->options));
    mt_json_number(json, "collar_s", report->options.collar, 6);
    mt_json_string(json, "overlap", report->options.skip_overlap ? "skipped" : "scored");
    mt_json_close(json, '}');
    add_json_score(json, "pooled", &report->pooled);
    mt_json_open(json, "files", '[');
    for (size_t i = 0; i < report->file_count; i++) add_json_score(json, NULL, &report->files[i]);
    mt_json_close(json, ']');
    add_json_omissions(json, report);
    mt_json_close(json, '}');
}

motet_status motet_score_report_write(const motet_score_report *report, motet_score_format format, char **text,
                                      size_t *length)
{
    mt_json json = {0};
    switch (format) {
    case MOTET_SCORE_TABLE: write_table(&json.text, report); break;
    case MOTET_SCORE_CSV: write_csv(&json.text, report); break;
    case MOTET_SCORE_JSON: write_json(&json, report); break;
    }
    return mt_text_take(&json.text, text, length);
}
