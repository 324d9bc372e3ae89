/* Decoding: every format from a file and through a pipe, channels, samples that are no numbers, files that are cut off,
 * damaged, mislabelled or hostile. The tests make their own files with libsndfile in a temporary folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/audio.h"

enum { PATH_BYTES = 256, WAV_HEADER = 44 };

/* libsndfile forgets a block when it refuses an Ogg Vorbis file for its header (tests/unit/audio.supp for valgrind). */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:vorbis_info_init";
}

static char folder[PATH_BYTES];

/* --- files --------------------------------------------------------------------------------------------------- */

/* The path of `name` in the temporary folder; good until the fourth next call. */
static const char *in_folder(const char *name)
{
    static char paths[4][PATH_BYTES * 2];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

struct bytes {
    unsigned char *data;
    size_t length;
};

static struct bytes read_bytes(const char *path)
{
    struct stat about;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &about), 0);
    struct bytes bytes = {malloc((size_t)about.st_size + 1), (size_t)about.st_size};
    assert_non_null(bytes.data);
    assert_int_equal(fread(bytes.data, 1, bytes.length, file), bytes.length);
    fclose(file);
    return bytes;
}

static const char *write_bytes(const char *name, const void *data, size_t length)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* Sample `i` of channel `c`: two tones, a channel apart by its pitch, and never silent. */
static float sample_of(size_t i, int c, int rate)
{
    double t = (double)i / rate;
    return (float)(0.3 * sin(2 * M_PI * (220 + 110 * c) * t) + 0.1 * sin(2 * M_PI * 1000 * t + c));
}

static const char *write_audio(const char *name, int format, int rate, int channels, size_t frames)
{
    const char *path = in_folder(name);
    SF_INFO info = {.format = format, .samplerate = rate, .channels = channels};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    float *frame = malloc((size_t)channels * sizeof *frame);
    assert_non_null(frame);
    for (size_t i = 0; i < frames; i++) {
        for (int c = 0; c < channels; c++) frame[c] = sample_of(i, c, rate);
        assert_int_equal(sf_writef_float(file, frame, 1), 1);
    }
    free(frame);
    assert_int_equal(sf_close(file), 0);
    return path;
}

/* The first `part` of a file as `name`. */
static const char *cut(const char *path, const char *name, double part)
{
    struct bytes bytes = read_bytes(path);
    path = write_bytes(name, bytes.data, (size_t)((double)bytes.length * part));
    free(bytes.data);
    return path;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

struct result {
    motet_status opened, ended;
    int rate, channels;
    int64_t frames, repaired;
    size_t count;
    float *samples; /* freed by the caller */
};

/* Reads to the end in pieces of odd sizes. */
static struct result read_audio(const char *path, const motet_audio_options *options)
{
    struct result result = {0};
    motet_audio *audio;
    result.opened = motet_audio_open(path, options, &audio);
    if (result.opened != MOTET_OK) return assert_null(audio), result;
    const motet_audio_info *info = motet_audio_describe(audio);
    result.rate = info->rate;
    result.channels = info->channels;
    result.frames = info->frames;
    assert_non_null(info->format);
    size_t capacity = 0, got = 1;
    while (got > 0) {
        size_t piece = 1 + result.count * 7 % 4999;
        if (result.count + piece > capacity) {
            capacity = (result.count + piece) * 2;
            result.samples = realloc(result.samples, capacity * sizeof *result.samples);
            assert_non_null(result.samples);
        }
        result.ended = motet_audio_read(audio, result.samples + result.count, piece, &got);
        assert_true(got <= piece && (got == 0 || result.ended == MOTET_OK));
        result.count += got;
    }
    assert_int_equal(motet_audio_read(audio, result.samples, 1, &got), result.ended); /* the end stays the end */
    assert_int_equal(got, 0);
    result.repaired = motet_audio_repaired(audio);
    motet_audio_close(audio);
    return result;
}

struct feeder {
    int output;
    struct bytes bytes;
};

static void *feed(void *context)
{
    struct feeder *feeder = context;
    for (size_t at = 0; at < feeder->bytes.length;) {
        size_t piece = 1 + at * 13 % 60000, left = feeder->bytes.length - at;
        ssize_t written = write(feeder->output, feeder->bytes.data + at, piece < left ? piece : left);
        if (written <= 0) break; /* the reader has given up */
        at += (size_t)written;
    }
    close(feeder->output);
    return NULL;
}

/* The same through a pipe on standard input. */
static struct result read_piped(const char *path, const motet_audio_options *options)
{
    int ends[2], before = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    struct feeder feeder = {ends[1], read_bytes(path)};
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed, &feeder), 0);
    struct result result = read_audio("-", options);
    if (before < 0)
        close(STDIN_FILENO);
    else
        dup2(before, STDIN_FILENO), close(before);
    pthread_join(thread, NULL);
    free(feeder.bytes.data);
    return result;
}

static void assert_message(const char *part)
{
    if (!strstr(motet_error_message(), part)) fail_msg("\"%s\" is not in \"%s\"", part, motet_error_message());
}

static void assert_refused(const char *path, motet_status wanted, const char *message)
{
    struct result result = read_audio(path, NULL);
    assert_int_equal(result.opened, wanted);
    assert_message(message);
}

/* The mean of all channels at sample `i`. */
static double mixed_sample(size_t i, int channels, int rate)
{
    double sum = 0;
    for (int c = 0; c < channels; c++) sum += (double)sample_of(i, c, rate);
    return sum / channels;
}

static void assert_mixed(const struct result *result, size_t frames, double tolerance)
{
    assert_int_equal(result->opened, MOTET_OK);
    if (result->ended != MOTET_OK) fail_msg("%s", motet_error_message());
    assert_int_equal(result->count, frames);
    for (size_t i = 0; i < frames; i++) {
        double error = fabs((double)result->samples[i] - mixed_sample(i, result->channels, result->rate));
        if (error > tolerance) fail_msg("sample %zu is off by %g", i, error);
    }
}

/* --- formats ------------------------------------------------------------------------------------------------- */

static void every_format_from_file_and_pipe(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int format;
        int rate;
        double tolerance; /* 0: lossy, only the length is held to */
    } kinds[] = {
        {"u8.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 0.01},
        {"s16.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1e-4},
        {"s24.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 48000, 1e-6},
        {"s32.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 22050, 1e-6},
        {"float.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1e-7},
        {"double.wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 16000, 1e-7},
        {"alaw.wav", SF_FORMAT_WAV | SF_FORMAT_ALAW, 8000, 0.02},
        {"ulaw.wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 0.02},
        {"big.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG, 16000, 1e-4},
        {"wavex.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 96000, 1e-6},
        {"rf64.wav", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16000, 1e-4},
        {"w64.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16, 16000, 1e-4},
        {"au.au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 16000, 1e-4},
        {"caf.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16, 16000, 1e-4},
        {"aiff.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 44100, 1e-4},
        {"flac.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1e-4},
        {"flac24.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 96000, 1e-6},
        {"vorbis.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 0},
        {"opus.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 0},
        {"mp3.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 16000, 0},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t frames = (size_t)kinds[k].rate * 3 / 2;
        SF_INFO info = {.format = kinds[k].format, .samplerate = kinds[k].rate, .channels = 2};
        if (!sf_format_check(&info)) {
            print_message("%s: left out, this libsndfile cannot write it\n", kinds[k].name);
            continue;
        }
        const char *path = write_audio(kinds[k].name, kinds[k].format, kinds[k].rate, 2, frames);
        struct result file = read_audio(path, NULL), piped = read_piped(path, NULL);
        assert_int_equal(file.opened, MOTET_OK);
        assert_int_equal(file.rate, kinds[k].rate);
        assert_int_equal(file.channels, 2);
        assert_int_equal(file.frames, frames);
        assert_mixed(&file, frames, kinds[k].tolerance > 0 ? kinds[k].tolerance : INFINITY);
        if (piped.opened != MOTET_OK || piped.ended != MOTET_OK) fail_msg("%s: %s", path, motet_error_message());
        assert_int_equal(piped.count, file.count);
        assert_memory_equal(piped.samples, file.samples, file.count * sizeof *file.samples);
        free(piped.samples);
        free(file.samples);
    }
}

/* Long enough for a pipe to forget its beginning, with a chunk behind the sound. */
static void long_pipes(void **state)
{
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM,
                                  SF_FORMAT_AIFF | SF_FORMAT_PCM_24, SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
                                  SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const char *path = write_audio("long", formats[k], 48000, 2, 1500000);
        struct result file = read_audio(path, NULL), piped = read_piped(path, NULL);
        assert_int_equal(file.ended, MOTET_OK);
        assert_int_equal(piped.opened, MOTET_OK);
        assert_int_equal(piped.ended, MOTET_OK);
        assert_int_equal(piped.count, file.count);
        assert_memory_equal(piped.samples, file.samples, file.count * sizeof *file.samples);
        free(piped.samples);
        free(file.samples);
        unlink(path);
    }
}

/* A variable-rate MP3 whose first frame (the one that says how long it is) is gone. */
static void an_mp3_without_a_length_is_read_to_its_end(void **state)
{
    (void)state;
    enum { RATE = 16000, FRAMES = RATE * 10 };
    SF_INFO info = {.format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, .samplerate = RATE, .channels = 1};
    if (!sf_format_check(&info)) skip();
    const char *path = in_folder("variable.mp3");
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    int mode = SF_BITRATE_MODE_VARIABLE;
    sf_command(file, SFC_SET_BITRATE_MODE, &mode, sizeof mode);
    for (size_t i = 0; i < FRAMES; i++) { /* silence first: frames that mislead who guesses from them */
        float value = i < FRAMES / 2 ? 0 : sample_of(i, 0, RATE) + sample_of(i * i, 1, RATE);
        assert_int_equal(sf_write_float(file, &value, 1), 1);
    }
    assert_int_equal(sf_close(file), 0);
    struct bytes bytes = read_bytes(path);
    size_t second = 2;
    while (memcmp(bytes.data + second, bytes.data, 2) != 0) second++;
    path = write_bytes("unmeasured.mp3", bytes.data + second, bytes.length - second);
    free(bytes.data);
    struct result whole = read_audio(path, NULL), piped = read_piped(path, NULL);
    assert_int_equal(whole.opened, MOTET_OK);
    assert_int_equal(whole.ended, MOTET_OK);
    assert_in_range(whole.count, FRAMES - RATE / 10, FRAMES + RATE / 2);
    assert_int_equal(piped.count, whole.count);
    free(whole.samples);
    free(piped.samples);
}

static void raw_samples(void **state)
{
    (void)state;
    const char *path = write_audio("raw", SF_FORMAT_RAW | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE, 11025, 2, 30000);
    motet_audio_options options;
    motet_audio_options_init(&options);
    options.raw_rate = 11025;
    options.raw_channels = 2;
    struct result file = read_audio(path, &options), piped = read_piped(path, &options);
    assert_int_equal(file.frames, 30000);
    assert_int_equal(piped.frames, -1);
    assert_mixed(&file, 30000, 1e-4);
    assert_mixed(&piped, 30000, 1e-4);
    free(piped.samples);
    free(file.samples);
    options.raw_channels = 0;
    assert_int_equal(read_audio(path, &options).opened, MOTET_ERROR_ARGUMENT);
    options.raw_channels = 1;
    options.raw_rate = -1;
    assert_int_equal(read_audio(path, &options).opened, MOTET_ERROR_ARGUMENT);
}

/* --- WAVE with an open length -------------------------------------------------------------------------------- */

static void put32(unsigned char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) bytes[i] = (unsigned char)(value >> 8 * i);
}

static void lengths_left_open(void **state)
{
    (void)state;
    static const uint32_t lengths[][2] = {{0xffffffff, 0xffffffff}, /* ffmpeg: of the file, of the sound */
                                          {0x7ffff024, 0x7ffff000}, /* sox */
                                          {0x80000024, 0x80000000}, /* arecord */
                                          {0, 0},
                                          {36, 0},
                                          {0xffffffff, 0}};
    enum { FRAMES = 50000 };
    const char *path = write_audio("closed.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, FRAMES);
    struct bytes bytes = read_bytes(path);
    assert_int_equal(bytes.length, WAV_HEADER + 2 * FRAMES);
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        put32(bytes.data + 4, lengths[k][0]);
        put32(bytes.data + 40, lengths[k][1]);
        path = write_bytes("open.wav", bytes.data, bytes.length);
        struct result file = read_audio(path, NULL), piped = read_piped(path, NULL);
        assert_int_equal(file.frames, FRAMES);
        assert_int_equal(piped.frames, -1);
        assert_mixed(&file, FRAMES, 1e-4);
        assert_mixed(&piped, FRAMES, 1e-4);
        free(piped.samples);
        free(file.samples);
    }
    free(bytes.data);
}

/* What came through the pipe is handed on though its writer has not finished. */
static void live_samples_are_handed_on(void **state)
{
    (void)state;
    enum { RATE = 16000, FRAMES = 8000 };
    const char *path = write_audio("live.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, 1, FRAMES);
    struct bytes bytes = read_bytes(path);
    put32(bytes.data + 40, UINT32_MAX);
    path = in_folder("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    int writer = open(path, O_RDWR); /* does not wait for a reader */
    assert_true(writer >= 0);
    assert_int_equal(write(writer, bytes.data, bytes.length), bytes.length);
    motet_audio *audio;
    float samples[FRAMES];
    size_t count;
    assert_int_equal(motet_audio_open(path, NULL, &audio), MOTET_OK);
    assert_int_equal(motet_audio_describe(audio)->frames, -1);
    assert_int_equal(motet_audio_read(audio, samples, FRAMES, &count), MOTET_OK);
    assert_int_equal(count, FRAMES);
    close(writer);
    assert_int_equal(motet_audio_read(audio, samples, FRAMES, &count), MOTET_OK);
    assert_int_equal(count, 0);
    motet_audio_close(audio);
    free(bytes.data);
}

/* --- channels and odd samples -------------------------------------------------------------------------------- */

static void channels(void **state)
{
    (void)state;
    enum { RATE = 96000, FRAMES = 20000, CHANNELS = 8 };
    const char *path = write_audio("eight.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, RATE, CHANNELS, FRAMES);
    struct result mixed = read_audio(path, NULL);
    assert_int_equal(mixed.channels, CHANNELS);
    assert_mixed(&mixed, FRAMES, 1e-6);
    free(mixed.samples);
    motet_audio_options options;
    motet_audio_options_init(&options);
    for (int c = 0; c < CHANNELS; c++) {
        options.channel = c;
        struct result one = read_audio(path, &options);
        assert_int_equal(one.count, FRAMES);
        for (size_t i = 0; i < FRAMES; i++) assert_true(one.samples[i] == sample_of(i, c, RATE));
        free(one.samples);
    }
    options.channel = CHANNELS;
    assert_int_equal(read_audio(path, &options).opened, MOTET_ERROR_ARGUMENT);
    assert_message("eight.wav: no channel 8");
    options.channel = -2;
    assert_int_equal(read_audio(path, &options).opened, MOTET_ERROR_ARGUMENT);
}

static const char *write_floats(const char *name, const float *samples, size_t count, int channels)
{
    const char *path = in_folder(name);
    SF_INFO info = {.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT, .samplerate = 16000, .channels = channels};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    assert_int_equal(sf_write_float(file, samples, (sf_count_t)count), count);
    assert_int_equal(sf_close(file), 0);
    return path;
}

static void what_is_no_number_becomes_silence(void **state)
{
    (void)state;
    static const float samples[] = {0.5f, NAN, INFINITY, -INFINITY, -0.25f, FLT_MAX, FLT_MAX, 1};
    static const float mixed[] = {0.25f, 0, FLT_MAX / 2 - 0.125f, FLT_MAX / 2 + 0.5f};
    struct result mono = read_audio(write_floats("nan.wav", samples, 8, 1), NULL);
    assert_int_equal(mono.count, 8);
    assert_int_equal(mono.repaired, 3);
    for (size_t i = 0; i < 8; i++) assert_true(mono.samples[i] == (isfinite(samples[i]) ? samples[i] : 0));
    struct result stereo = read_audio(write_floats("nan2.wav", samples, 8, 2), NULL);
    assert_int_equal(stereo.count, 4);
    assert_int_equal(stereo.repaired, 3);
    assert_true(stereo.samples[0] == mixed[0] && stereo.samples[1] == mixed[1]);
    for (size_t i = 0; i < 4; i++) assert_true(isfinite(stereo.samples[i]));
    free(stereo.samples);
    free(mono.samples);
}

static void short_sounds(void **state)
{
    (void)state;
    for (size_t frames = 0; frames <= 160; frames += 80) {
        struct result result =
            read_audio(write_audio("short.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, frames), NULL);
        assert_mixed(&result, frames, 1e-4);
        free(result.samples);
    }
}

/* --- what is cut off or damaged ------------------------------------------------------------------------------ */

static void truncated_files_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int format;
        bool length_known, piped_too;
    } kinds[] = {
        {"cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, true, true},
        {"cutx.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, true, true},
        {"cut.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, true, true},
        {"cut.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, true, true},
        {"cut.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, false, true},
        {"cut.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, false, true},
    };
    enum { RATE = 48000, SECONDS = 10 };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const char *path = write_audio("whole", kinds[k].format, RATE, 1, RATE * SECONDS);
        path = cut(path, kinds[k].name, 0.6);
        for (int piped = 0; piped < 2; piped++) {
            struct result result = piped ? read_piped(path, NULL) : read_audio(path, NULL);
            assert_int_equal(result.opened, MOTET_OK);
            assert_int_equal(result.ended, MOTET_ERROR_FORMAT);
            assert_in_range(result.count, RATE * 3, RATE * 7);
            char where[64];
            snprintf(where, sizeof where, "%s: damaged or truncated after", piped ? "standard input" : kinds[k].name);
            assert_message(where);
            if (kinds[k].length_known) assert_message("of 10.00 s");
            free(result.samples);
        }
    }
}

static void reading_stops_at_damage(void **state)
{
    (void)state;
    enum { RATE = 16000, SECONDS = 10 };
    const char *path = write_audio("sound.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 1, RATE * SECONDS);
    struct bytes bytes = read_bytes(path);
    for (size_t i = bytes.length / 2; i < bytes.length / 2 + 100; i++) bytes.data[i] ^= 0x5a;
    struct result result = read_audio(write_bytes("hurt.flac", bytes.data, bytes.length), NULL);
    assert_int_equal(result.opened, MOTET_OK);
    assert_int_equal(result.ended, MOTET_ERROR_FORMAT);
    assert_message("hurt.flac: damaged or truncated after");
    assert_in_range(result.count, RATE * 4, RATE * 6);
    free(result.samples);
    free(bytes.data);
}

static void what_is_no_audio_is_refused(void **state)
{
    (void)state;
    static const char text[] = "This is not a sound. It only has the name of one.\n";
    static const unsigned char zeros[5000];
    assert_refused(write_bytes("text.wav", text, sizeof text - 1), MOTET_ERROR_FORMAT, "text.wav: not audio");
    assert_refused(write_bytes("zeros.wav", zeros, sizeof zeros), MOTET_ERROR_FORMAT, "zeros.wav: not audio");
    assert_refused(write_bytes("empty.wav", "", 0), MOTET_ERROR_FORMAT, "empty.wav: empty");
    assert_refused(write_bytes("one.wav", "R", 1), MOTET_ERROR_FORMAT, "one.wav: not audio");
    assert_refused(in_folder("missing.wav"), MOTET_ERROR_IO, "missing.wav: No such file");
    assert_refused(folder, MOTET_ERROR_IO, "is a directory");
    struct result piped = read_piped(in_folder("text.wav"), NULL);
    assert_int_equal(piped.opened, MOTET_ERROR_FORMAT);
    assert_message("standard input: not audio");
    piped = read_piped(in_folder("empty.wav"), NULL);
    assert_int_equal(piped.opened, MOTET_ERROR_FORMAT);
    assert_message("standard input: empty");
}

static void a_file_without_permission_is_refused(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        print_message("left out: root may read everything\n");
        skip();
    }
    const char *path = write_bytes("secret.wav", "RIFF", 4);
    assert_int_equal(chmod(path, 0), 0);
    assert_refused(path, MOTET_ERROR_IO, "secret.wav: Permission denied");
}

/* --- headers that lie ---------------------------------------------------------------------------------------- */

static void lying_wave_headers(void **state)
{
    (void)state;
    static const struct {
        size_t offset, length;
        uint32_t value;
    } lies[] = {
        {16, 4, 0xffffffff}, {16, 4, 0},      {16, 4, 2},          {20, 2, 0xfffe}, {22, 2, 0},
        {22, 2, 1024},       {22, 2, 0xffff}, {24, 4, 0},          {24, 4, 1},      {24, 4, 0xffffffff},
        {24, 4, 768001},     {32, 2, 0},      {32, 2, 0xffff},     {34, 2, 0},      {34, 2, 7},
        {34, 2, 0xffff},     {36, 4, 0},      {40, 4, 0x7ffeffff}, {40, 4, 1},      {4, 4, 0},
    };
    struct bytes bytes = read_bytes(write_audio("true.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 5000));
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        unsigned char before[4];
        memcpy(before, bytes.data + lies[k].offset, 4);
        for (size_t i = 0; i < lies[k].length; i++) {
            bytes.data[lies[k].offset + i] = (unsigned char)(lies[k].value >> 8 * i);
        }
        const char *path = write_bytes("lie.wav", bytes.data, bytes.length);
        memcpy(bytes.data + lies[k].offset, before, 4);
        for (int piped = 0; piped < 2; piped++) {
            struct result result = piped ? read_piped(path, NULL) : read_audio(path, NULL);
            assert_true(result.count <= 10000);
            if (result.opened == MOTET_OK) {
                assert_in_range(result.rate, 1, 768000);
                assert_in_range(result.channels, 1, 1024);
            } else {
                assert_int_equal(result.opened, MOTET_ERROR_FORMAT);
                assert_message(piped ? "standard input" : "lie.wav");
            }
            free(result.samples);
        }
    }
    free(bytes.data);
}

/* Files with a few bytes changed, most of them near the beginning. */
static void spoilt_files_do_no_harm(void **state)
{
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16,  SF_FORMAT_WAVEX | SF_FORMAT_FLOAT,
                                  SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                                  SF_FORMAT_OGG | SF_FORMAT_VORBIS,  SF_FORMAT_OGG | SF_FORMAT_OPUS};
    enum { TRIALS = 25, CHANGES = 3 };
    uint32_t seed = 1;
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        struct bytes bytes = read_bytes(write_audio("good", formats[k], 48000, 2, 4800));
        for (int trial = 0; trial < TRIALS; trial++) {
            unsigned char *spoilt = malloc(bytes.length);
            assert_non_null(spoilt);
            memcpy(spoilt, bytes.data, bytes.length);
            for (int i = 0; i < CHANGES; i++) {
                seed = seed * 1664525u + 1013904223u;
                size_t range = i == 0 ? bytes.length : 200;
                spoilt[(seed >> 8) % (range < bytes.length ? range : bytes.length)] = (unsigned char)(seed >> 3);
            }
            const char *path = write_bytes("spoilt", spoilt, bytes.length);
            struct result file = read_audio(path, NULL), piped = read_piped(path, NULL);
            free(piped.samples);
            free(file.samples);
            free(spoilt);
        }
        free(bytes.data);
    }
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    const char *path = write_audio("memory.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, 1000);
    for (int piped = 0; piped < 2; piped++) {
        long n = 0;
        for (motet_status status = MOTET_ERROR_MEMORY; status != MOTET_OK; n++) {
            mt_memory_fail_at(n);
            struct result result = piped ? read_piped(path, NULL) : read_audio(path, NULL);
            mt_memory_fail_at(-1);
            status = result.opened;
            assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
            free(result.samples);
        }
        assert_true(n > 3);
    }
}

/* --- the conversations --------------------------------------------------------------------------------------- */

static void real_recordings_are_read_whole(void **state)
{
    (void)state;
    const char *data = getenv("MOTET_DATA");
    char path[PATH_BYTES * 2];
    snprintf(path, sizeof path, "%s/conversations/ami_trn00.flac", data ? data : MOTET_SOURCE_DIR "/../shared/data");
    if (access(path, R_OK) != 0) {
        print_message("left out: no %s (set MOTET_DATA)\n", path);
        skip();
    }
    struct result result = read_audio(path, NULL);
    assert_int_equal(result.opened, MOTET_OK);
    assert_int_equal(result.ended, MOTET_OK);
    assert_int_equal(result.count, result.frames);
    free(result.samples);
}

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/motet-audio-XXXXXX", base ? base : "/tmp");
    signal(SIGPIPE, SIG_IGN);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_from_file_and_pipe),
        cmocka_unit_test(long_pipes),
        cmocka_unit_test(an_mp3_without_a_length_is_read_to_its_end),
        cmocka_unit_test(raw_samples),
        cmocka_unit_test(lengths_left_open),
        cmocka_unit_test(live_samples_are_handed_on),
        cmocka_unit_test(channels),
        cmocka_unit_test(what_is_no_number_becomes_silence),
        cmocka_unit_test(short_sounds),
        cmocka_unit_test(truncated_files_say_where),
        cmocka_unit_test(reading_stops_at_damage),
        cmocka_unit_test(what_is_no_audio_is_refused),
        cmocka_unit_test(a_file_without_permission_is_refused),
        cmocka_unit_test(lying_wave_headers),
        cmocka_unit_test(spoilt_files_do_no_harm),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(real_recordings_are_read_whole),
    };
    return cmocka_run_group_tests_name("audio", tests, make_folder, remove_folder);
}
