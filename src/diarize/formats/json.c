/* JSON: everything RTTM has no room for. */
#include <math.h>

#include "diarize/formats/formats.h"
#include "motet/latency.h"

static void write_model(mt_json *json, const motet_diarizer_info *info)
{
    mt_json_open(json, "model", '{');
    mt_json_string(json, "name", info->model_name);
    mt_json_string(json, "version", info->model_version);
    mt_json_string(json, "licence", info->model_licence);
    mt_json_string(json, "path", info->model_path);
    mt_json_number(json, "load_ms", info->load_ms, 1);
    mt_json_close(json, '}');
    if (!info->embedding_path || !*info->embedding_path) return;
    mt_json_open(json, "embedding", '{');
    mt_json_string(json, "name", info->embedding_name);
    mt_json_string(json, "version", info->embedding_version);
    mt_json_string(json, "licence", info->embedding_licence);
    mt_json_string(json, "path", info->embedding_path);
    mt_json_close(json, '}');
}

static void write_count(mt_json *json, const char *key, int count)
{
    if (count)
        mt_json_int(json, key, count);
    else
        mt_json_string(json, key, NULL);
}

static void write_settings(mt_json *json, const motet_diarizer_info *info, const motet_diarize_options *options)
{
    mt_json_open(json, "settings", '{');
    mt_json_number(json, "window", info->window, 3);
    mt_json_number(json, "hop", info->hop, 3);
    mt_json_number(json, "threshold", info->threshold, 4);
    mt_json_number(json, "onset", info->onset, 3);
    mt_json_int(json, "threads", info->threads);
    if (options) {
        write_count(json, "speakers", options->speakers);
        write_count(json, "min_speakers", options->min_speakers);
        write_count(json, "max_speakers", options->max_speakers);
        mt_json_bool(json, "exclusive", options->exclusive);
        mt_json_number(json, "min_turn", options->min_turn, 3);
        mt_json_number(json, "min_gap", options->min_gap, 3);
    }
    mt_json_close(json, '}');
}

static motet_status write_timing(mt_json *json, double duration, const motet_document *document)
{
    mt_json_open(json, "timing", '{');
    mt_json_number(json, "elapsed", document->elapsed_s, 3);
    mt_json_number(json, "real_time_factor", duration > 0 ? document->elapsed_s / duration : 0, 5);
    if (document->latency) {
        motet_latency_summary total;
        MT_TRY(motet_latency_summarize(document->latency, MOTET_STAGE_TOTAL, &total));
        mt_json_int(json, "chunks", (int64_t)total.count);
        mt_json_number(json, "chunk_mean_ms", total.mean, 3);
        mt_json_number(json, "chunk_p50_ms", total.p50, 3);
        mt_json_number(json, "chunk_p95_ms", total.p95, 3);
        mt_json_number(json, "chunk_p99_ms", total.p99, 3);
        mt_json_number(json, "chunk_max_ms", total.max, 3);
        mt_json_int(json, "deadline_misses", (int64_t)motet_latency_misses(document->latency));
        mt_json_number(json, "final_ms", motet_latency_final(document->latency), 3);
    }
    mt_json_close(json, '}');
    return MOTET_OK;
}

static void write_speakers(mt_json *json, const motet_diarization *d)
{
    mt_json_open(json, "speakers", '[');
    for (size_t i = 0; i < d->speaker_count; i++) {
        const motet_speaker *speaker = &d->speakers[i];
        mt_json_open_row(json, NULL);
        mt_json_string(json, "speaker", speaker->label);
        mt_json_number(json, "speech", speaker->speech, 3);
        mt_json_int(json, "turns", speaker->turns);
        mt_json_number(json, "confidence", speaker->confidence, 3);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void write_turns(mt_json *json, const motet_diarization *d)
{
    mt_json_open(json, "turns", '[');
    for (size_t i = 0; i < d->turn_count; i++) {
        const motet_turn *turn = &d->turns[i];
        mt_json_open_row(json, NULL);
        mt_json_number(json, "start", turn->start, 3);
        mt_json_number(json, "end", turn->end, 3);
        mt_json_string(json, "speaker", d->speakers[turn->speaker].label);
        mt_json_number(json, "confidence", turn->confidence, 3);
        mt_json_number(json, "overlap", turn->overlap, 3);
        mt_json_number(json, "share", turn->share, 3);
        mt_json_number(json, "similarity", turn->similarity, 3);
        mt_json_string(json, "rival", turn->rival >= 0 ? d->speakers[turn->rival].label : NULL);
        mt_json_number(json, "rival_similarity", turn->rival >= 0 ? turn->rival_similarity : NAN, 3);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

motet_status mt_write_json(const motet_diarization *diarization, const motet_document *document, mt_text *text)
{
    mt_json json = {.text = *text};
    motet_status status = MOTET_OK;
    mt_json_open(&json, NULL, '{');
    mt_json_string(&json, "motet", motet_version());
    if (document) {
        mt_json_string(&json, "file", document->file_id);
        mt_json_string(&json, "source", document->source);
    }
    mt_json_number(&json, "duration", diarization->duration, 3);
    if (document && document->diarizer) {
        write_model(&json, document->diarizer);
        write_settings(&json, document->diarizer, document->options);
    }
    if (document) status = write_timing(&json, diarization->duration, document);
    write_speakers(&json, diarization);
    write_turns(&json, diarization);
    mt_json_close(&json, '}');
    *text = json.text;
    return status;
}
