/* Somebody else's networks in the chain, on networks that are made here and know what they hear: a segmentation that
 * hears how loud it is, an embedding that hears pitch. Two tones then are two speakers, and where they sound is where
 * they speak, whatever form the networks have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/file.h"
#include "motet/motet.h"
#include "onnx_writer.h"

enum { RATE = 16000, SECONDS = 30 };

static char folder[] = "/tmp/motet-listener-XXXXXX";
static char segmentation[128], detector[128], embedding[128], turned[128], hidden[128];

/* Two tones in turn, one louder than the other, each for 4 s after a second of silence. */
static float samples[RATE * SECONDS];

static void write_model(char path[128], const char *name, piece graph, const char *sidecar)
{
    char beside[160];
    piece bytes = model(17, graph);
    snprintf(path, 128, "%s/%s.onnx", folder, name);
    snprintf(beside, sizeof beside, "%s.json", path);
    assert_int_equal(motet_file_write(path, (const char *)bytes.bytes, bytes.size), MOTET_OK);
    assert_int_equal(motet_file_write(beside, sidecar, strlen(sidecar)), MOTET_OK);
}

static piece scalar(const char *name, float value)
{
    return initializer(tensor(name, MOTET_FLOAT, "", FLOATS(value)));
}

/* [1, 1, 160000] -> [1, 589, 7], as pyannote's: {} up to level 0.01, {1} up to 0.28, {2} above. */
static void make_segmentation(void)
{
    static const float rest[] = {-500, -500, -500, -500};
    piece pool = JOIN(attribute_ints("kernel_shape", "991"), attribute_ints("strides", "270"));
    piece graph = JOIN(input("audio", MOTET_FLOAT, "batch 1 samples"), output("classes"),
                       node("Abs", "audio", "level", NONE), node("AveragePool", "level", "frames", pool),
                       node("Transpose", "frames", "column", attribute_ints("perm", "0 2 1")), scalar("steep", 2000),
                       node("Mul", "column steep", "x", NONE), scalar("low", 20), scalar("high", 560),
                       scalar("zero", 0), node("Sub", "low x", "nobody", NONE), node("Sub", "x low", "above", NONE),
                       node("Sub", "high x", "below", NONE), node("Min", "above below", "one", NONE),
                       node("Sub", "x high", "two", NONE), node("Mul", "x zero", "nothing", NONE),
                       initializer(tensor("never", MOTET_FLOAT, "1 1 4", raw_data(rest, sizeof rest))),
                       node("Add", "nothing never", "others", NONE),
                       node("Concat", "nobody one two others", "classes", attribute_int("axis", 2)));
    write_model(segmentation, "segmentation", graph,
                "{\"motet.format\": 1, \"motet.role\": \"segmentation\", \"motet.name\": \"sound\","
                " \"motet.sample_rate\": 16000, \"motet.window\": 160000, \"motet.input\": \"waveform\","
                " \"motet.activity\": \"powerset\", \"motet.values\": \"logits\", \"motet.speakers\": 3,"
                " \"motet.overlap\": 2, \"motet.frames\": 589, \"motet.frame_step\": 270, \"motet.frame_first\": 495,"
                " \"motet.onset\": 0.4}");
}

/* [1, 64 + 512] and what it has heard so far -> probability: speech where there is sound. The state counts chunks, and
 * a wrong count silences it: chunk k must begin with the 64 samples that ended chunk k - 1. */
static void make_detector(void)
{
    piece graph = JOIN(
        input("sound", MOTET_FLOAT, "batch samples"), input("memory", MOTET_FLOAT, "1 batch 64"),
        input("hertz", MOTET_INT64, ""), output("speech"), output("memory_next"),
        initializer(tensor("split", MOTET_INT64, "2", INT64S(64, 512))),
        node("Split", "sound split", "context chunk", attribute_int("axis", 1)),
        initializer(tensor("last", MOTET_INT64, "2", INT64S(448, 64))),
        node("Split", "chunk last", "before tail", attribute_int("axis", 1)),
        initializer(tensor("axis", MOTET_INT64, "1", INT64S(0))), node("Unsqueeze", "tail axis", "memory_next", NONE),
        node("Squeeze", "memory axis", "remembered", NONE), node("Sub", "remembered context", "apart", NONE),
        node("Abs", "apart", "error", NONE), node("ReduceMax", "error", "worst", attribute_int("keepdims", 1)),
        node("Abs", "chunk", "level", NONE), node("ReduceMax", "level", "loudest", attribute_int("keepdims", 1)),
        node("CastLike", "hertz chunk", "rate", NONE), scalar("right", RATE), node("Div", "rate right", "one", NONE),
        scalar("quiet", 0.01f), node("Greater", "loudest quiet", "loud", NONE),
        node("CastLike", "loud chunk", "sure", NONE), scalar("steep", 1e6f),
        node("Mul", "worst steep", "penalty", NONE), node("Sub", "sure penalty", "net", NONE),
        node("Mul", "net one", "speech", NONE));
    write_model(detector, "detector", graph,
                "{\"motet.format\": \"1\", \"motet.role\": \"vad\", \"motet.sample_rate\": 16000,"
                " \"motet.frame_step\": 512, \"motet.context\": 64, \"motet.state\": \"memory\","
                " \"motet.state_next\": \"memory_next\", \"motet.input.rate\": \"hertz\"}");
}

/* [1, frames, 80] -> [1, 80]: the mean frame, less its own mean, no dip counting. */
static void make_embedding(void)
{
    piece over_time = JOIN(attribute_ints("axes", "1"), attribute_int("keepdims", 0));
    piece over_bins = JOIN(attribute_ints("axes", "1"), attribute_int("keepdims", 1));
    piece graph =
        JOIN(input("features", MOTET_FLOAT, "batch frames 80"), output("voice"),
             node("ReduceMean", "features", "mean", over_time), node("ReduceMean", "mean", "level", over_bins),
             node("Sub", "mean level", "shape", NONE), node("Relu", "shape", "voice", NONE));
    write_model(
        embedding, "embedding", graph,
        "{\"motet.format\": 1, \"motet.role\": \"embedding\", \"motet.name\": \"pitch\", \"motet.version\": \"7\","
        " \"motet.sample_rate\": 16000, \"motet.input\": \"kaldi-fbank\", \"motet.voice\": 80,"
        " \"motet.threshold\": 0.4}");
}

/* The same as TitaNet has it: [1, 80, frames] and how many there are, logits before the vector, [1, 80, 1]. */
static void make_turned(void)
{
    piece over_time = JOIN(attribute_ints("axes", "2"), attribute_int("keepdims", 1));
    piece over_bins = JOIN(attribute_ints("axes", "1"), attribute_int("keepdims", 1));
    piece graph = JOIN(input("audio_signal", MOTET_FLOAT, "batch 80 time"), input("length", MOTET_INT64, "batch"),
                       output("logits"), output("embs"),
                       node("ReduceSum", "audio_signal axis", "sum", attribute_int("keepdims", 1)),
                       initializer(tensor("axis", MOTET_INT64, "1", INT64S(2))),
                       node("CastLike", "length sum", "count", NONE), node("Div", "sum count", "mean", NONE),
                       node("ReduceMean", "mean", "level", over_bins), node("Sub", "mean level", "shape", NONE),
                       node("Relu", "shape", "embs", NONE), node("ReduceMean", "embs", "logits", over_time));
    write_model(turned, "turned", graph,
                "{\"motet.format\": 1, \"motet.role\": \"embedding\", \"motet.sample_rate\": 16000,"
                " \"motet.input\": \"nemo-mel\", \"motet.layout\": \"bins-frames\", \"motet.input.length\": \"length\","
                " \"motet.output.voice\": \"embs\", \"motet.voice\": 80, \"motet.threshold\": 0.4}");
}

/* [1, samples] -> [1, frames, 2], as wav2vec 2.0's: hidden states that hear how steep and how loud the sound is. */
static void make_hidden(void)
{
    static const float difference[] = {0, 1, -1, 0, 1, 0};
    piece pool = JOIN(attribute_ints("kernel_shape", "398"), attribute_ints("strides", "320"));
    piece graph = JOIN(input("input_values", MOTET_FLOAT, "batch samples"), output("last_hidden_state"),
                       initializer(tensor("axis", MOTET_INT64, "1", INT64S(1))),
                       node("Unsqueeze", "input_values axis", "x", NONE),
                       initializer(tensor("w", MOTET_FLOAT, "2 1 3", raw_data(difference, sizeof difference))),
                       node("Conv", "x w", "filtered", NONE), node("Abs", "filtered", "level", NONE),
                       node("AveragePool", "level", "pooled", pool),
                       node("Transpose", "pooled", "last_hidden_state", attribute_ints("perm", "0 2 1")));
    write_model(hidden, "hidden", graph,
                "{\"motet.format\": 1, \"motet.role\": \"encoder\", \"motet.sample_rate\": 16000,"
                " \"motet.input\": \"waveform\", \"motet.normalize\": \"mean-variance\", \"motet.frame_step\": 320,"
                " \"motet.frame_first\": 200, \"motet.voice\": 2, \"motet.threshold\": 0.05}");
}

static int make_all(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return 1;
    make_segmentation();
    make_detector();
    make_embedding();
    make_turned();
    make_hidden();
    for (int i = 0; i < RATE * SECONDS; i++) {
        int turn = i / (5 * RATE), within = i % (5 * RATE);
        double hz = turn % 2 ? 2500 : 400;
        samples[i] = within < RATE ? 0 : (float)((turn % 2 ? 0.6 : 0.3) * sin(2 * M_PI * hz * i / RATE));
    }
    return 0;
}

static int remove_all(void **state)
{
    char command[64];
    (void)state;
    forget_pieces();
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static motet_status open_pair(const char *first, const char *second, motet_diarizer **out)
{
    motet_diarize_options options;
    motet_diarize_options_init(&options);
    options.model = first;
    options.embedding = second;
    options.threads = 1;
    return motet_diarizer_create(&options, out);
}

static motet_diarizer *make_pair(const char *first, const char *second)
{
    motet_diarizer *diarizer;
    motet_status status = open_pair(first, second, &diarizer);
    assert_string_equal(status == MOTET_OK ? "" : motet_error_message(), "");
    return diarizer;
}

static motet_diarization *diarize(motet_diarizer *diarizer, size_t count, size_t block)
{
    motet_diarization *result;
    for (size_t at = 0; at < count; at += block) {
        motet_status status = motet_diarizer_push(diarizer, samples + at, count - at < block ? count - at : block);
        assert_string_equal(status == MOTET_OK ? "" : motet_error_message(), "");
    }
    assert_int_equal(motet_diarizer_finish(diarizer, &result), MOTET_OK);
    return result;
}

/* Six turns, of two speakers alternately, each within a frame of where the tone is. */
static void expect_two_tones(const char *first, const char *second, double tolerance)
{
    motet_diarizer *diarizer = make_pair(first, second);
    motet_diarization *d = diarize(diarizer, RATE * SECONDS, 4096);
    assert_int_equal(d->speaker_count, 2);
    assert_int_equal(d->turn_count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(d->turns[i].speaker, i % 2);
        assert_true(fabs(d->turns[i].start - (5 * i + 1)) < tolerance);
        assert_true(fabs(d->turns[i].end - (5 * i + 5)) < tolerance);
    }
    motet_diarization_destroy(d);
    motet_diarizer_destroy(diarizer);
}

static void a_segmentation_and_an_embedding(void **state)
{
    (void)state;
    expect_two_tones(segmentation, embedding, 0.05);
}

static void features_turned_with_their_length(void **state)
{
    (void)state;
    expect_two_tones(segmentation, turned, 0.05);
}

static void a_frame_encoder_pooled(void **state)
{
    (void)state;
    expect_two_tones(segmentation, hidden, 0.05);
}

static void a_detector_and_an_embedding(void **state)
{
    (void)state;
    expect_two_tones(detector, embedding, 0.1);
}

static void whatever_the_pieces_are(void **state)
{
    (void)state;
    static const size_t blocks[] = {160, 999, 50000};
    const char *firsts[] = {segmentation, detector};
    for (size_t f = 0; f < 2; f++) {
        char *expected = NULL, *text;
        motet_diarizer *diarizer = make_pair(firsts[f], embedding);
        for (size_t i = 0; i < 3; i++) { /* one after the other: nothing is left of the recording before */
            motet_diarization *d = diarize(diarizer, RATE * 17 + 77, blocks[i]);
            assert_int_equal(motet_diarization_write(d, MOTET_FORMAT_RTTM, NULL, &text, NULL), MOTET_OK);
            motet_diarization_destroy(d);
            if (!expected) {
                expected = text;
                assert_true(strlen(text) > 100);
                continue;
            }
            assert_string_equal(text, expected);
            motet_string_free(text);
        }
        motet_string_free(expected);
        motet_diarizer_destroy(diarizer);
    }
}

static void recordings_of_any_length(void **state)
{
    (void)state;
    static const double seconds[] = {0, 1.0 / RATE, 0.01, 1.2, 3, 9.99, 10, 11};
    const char *firsts[] = {segmentation, detector}, *seconds_of[] = {embedding, turned, hidden};
    for (int pair = 0; pair < 6; pair++) {
        motet_diarizer *diarizer = make_pair(firsts[pair % 2], seconds_of[pair / 2]);
        for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
            motet_diarization_destroy(diarize(diarizer, (size_t)(seconds[i] * RATE), 4096));
        motet_diarizer_destroy(diarizer);
    }
}

static void voices_are_the_embeddings(void **state)
{
    (void)state;
    motet_diarizer *pair = make_pair(segmentation, embedding), *other = make_pair(segmentation, turned);
    const motet_diarizer_info *info = motet_diarizer_describe(pair);
    assert_int_equal(info->voice_dims, 80);
    assert_string_equal(info->model_name, "sound");
    assert_string_equal(info->embedding_name, "pitch");
    assert_string_equal(info->embedding_version, "7");
    assert_true(fabs(info->threshold - 0.4) < 1e-6 && fabs(info->similarity - 0.74) < 1e-6);
    assert_true(fabs(info->onset - 0.4) < 1e-6);
    assert_string_not_equal(info->voice_identity, motet_diarizer_describe(other)->voice_identity);
    motet_voiceprint *print;
    char *text;
    motet_diarization *d = diarize(pair, RATE * 5, 4096);
    assert_int_equal(motet_voiceprint_create("Anna", info, &print), MOTET_OK);
    assert_int_equal(motet_voiceprint_add(print, d, 0), MOTET_OK);
    assert_int_equal(motet_voiceprint_write(print, &text, NULL), MOTET_OK);
    assert_non_null(strstr(text, "\"name\": \"pitch\""));
    motet_string_free(text);
    motet_voiceprint_destroy(print);
    motet_diarization_destroy(d);
    motet_diarizer_destroy(pair);
    motet_diarizer_destroy(other);
}

static void refuse(const char *first, const char *second, motet_status expected, const char *part)
{
    motet_diarizer *diarizer;
    assert_int_equal(open_pair(first, second, &diarizer), expected);
    assert_null(diarizer);
    if (!strstr(motet_error_message(), part)) fail_msg("\"%s\" is not in \"%s\"", part, motet_error_message());
}

static void pairs_that_do_not_go_together(void **state)
{
    (void)state;
    refuse(segmentation, NULL, MOTET_ERROR_UNSUPPORTED, "tells activity and no voices");
    refuse(embedding, NULL, MOTET_ERROR_UNSUPPORTED, "to give with --embedding");
    refuse(segmentation, segmentation, MOTET_ERROR_UNSUPPORTED, "motet.role is \"segmentation\"");
    refuse(segmentation, MOTET_SOURCE_DIR "/models/motet-cnn.onnx", MOTET_ERROR_UNSUPPORTED, "looks at 48000 samples");
    refuse(segmentation, "nowhere.onnx", MOTET_ERROR_IO, "nowhere.onnx");
}

/* What a sidecar says is held against the file, and against what can be. */
static void sidecars_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *was, *becomes, *part;
    } cases[] = {
        {"\"kaldi-fbank\"", "\"spectrum\"", "motet.input is \"spectrum\": expected \"waveform\" or"},
        {"\"motet.voice\": 80", "\"motet.voice\": 81", "came out as float32[1,80]"},
        {"\"motet.voice\": 80", "\"motet.voice\": 0", "motet.voice is 0"},
        {"\"motet.voice\": 80", "\"motet.voice\": 80, \"motet.fbank.bins\": 40", "features"},
        {"\"motet.voice\": 80", "\"motet.voice\": 80, \"motet.fbank.high_hz\": 9000", "motet.fbank.high_hz is 9000"},
        {"\"motet.voice\": 80", "\"motet.voice\": 80, \"motet.output.voice\": \"x\"", "no output 'x'"},
        {"\"motet.voice\": 80", "\"motet.voice\": 80, \"motet.input.length\": \"features\"", "no int64 list"},
        {"16000", "8000", "takes 8000 Hz, and the model beside it 16000 Hz"},
    };
    char beside[160], path[128], *text;
    size_t length;
    FILE *file;
    snprintf(beside, sizeof beside, "%s.json", embedding);
    assert_non_null(file = fopen(beside, "r"));
    text = calloc(1, 4096);
    length = fread(text, 1, 4095, file);
    fclose(file);
    assert_true(length > 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char changed[4096 + 128], *at = strstr(text, cases[i].was);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, cases[i].becomes,
                 at + strlen(cases[i].was));
        assert_int_equal(motet_file_write(beside, changed, strlen(changed)), MOTET_OK);
        motet_diarizer *diarizer;
        motet_status status = open_pair(segmentation, embedding, &diarizer);
        if (status == MOTET_OK) status = motet_diarizer_push(diarizer, samples, RATE * 11);
        assert_int_not_equal(status, MOTET_OK);
        if (!strstr(motet_error_message(), cases[i].part) || !strstr(motet_error_message(), "embedding.onnx"))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].part, motet_error_message());
        motet_diarizer_destroy(diarizer);
    }
    snprintf(path, sizeof path, "%s", embedding);
    assert_int_equal(motet_file_write(beside, text, length), MOTET_OK);
    free(text);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    const char *firsts[] = {segmentation, detector}, *seconds_of[] = {embedding, hidden};
    for (int pair = 0; pair < 4; pair++)
        for (long k = 0, step = 1;; k += step, step += k > 200) {
            motet_diarizer *diarizer = NULL;
            motet_diarization *result = NULL;
            mt_memory_fail_at(k);
            motet_status status = open_pair(firsts[pair % 2], seconds_of[pair / 2], &diarizer);
            if (status == MOTET_OK) status = motet_diarizer_push(diarizer, samples, RATE * 3);
            if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);
            mt_memory_fail_at(-1);
            motet_diarization_destroy(result);
            motet_diarizer_destroy(diarizer);
            if (status == MOTET_OK) break;
            assert_int_equal(status, MOTET_ERROR_MEMORY);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segmentation_and_an_embedding), cmocka_unit_test(features_turned_with_their_length),
        cmocka_unit_test(a_frame_encoder_pooled),          cmocka_unit_test(a_detector_and_an_embedding),
        cmocka_unit_test(whatever_the_pieces_are),         cmocka_unit_test(recordings_of_any_length),
        cmocka_unit_test(voices_are_the_embeddings),       cmocka_unit_test(pairs_that_do_not_go_together),
        cmocka_unit_test(sidecars_that_cannot_be),         cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests_name("listener", tests, make_all, remove_all);
}
