/* Reading sound: libsndfile decodes; this mixes, mends, and finds out whether the end was the end.
 *
 * Everything reaches libsndfile through its virtual I/O over an mt_source, pipes too. A WAVE that came through a pipe,
 * or whose header leaves its length open, is handed over as headerless samples from where its sound starts. A fixed
 * block of samples is all that is decoded at a time, whatever a header says. */
#include "motet/audio.h"

#include <math.h>
#include <sndfile.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "audio/container.h"
#include "audio/source.h"
#include "core/memory.h"
#include "core/number.h"
#include "core/status.h"

enum {
    BLOCK_SAMPLES = 16384, /* decoded at a time, all channels together */
    MOST_CHANNELS = 1024,  /* libsndfile's own limit */
    HIGHEST_RATE = 768000,
    REASON_BYTES = 128,
};

/* "Endless" for libsndfile, with room to add offsets; and the most frames that are believed. */
static const int64_t endless = INT64_MAX / 4;
static const int64_t most_frames = (int64_t)1 << 48;

/* The stretch of a source that libsndfile takes for its file. */
struct view {
    mt_source *source;
    int64_t base, length, position;
};

struct motet_audio {
    motet_audio_info info;
    int channel;
    struct view view;
    SNDFILE *decoder;
    int64_t expected;  /* frames that should come; -1 when nothing says so */
    int64_t delivered; /* frames read so far */
    int64_t repaired;  /* samples that were no numbers */
    bool ogg;
    bool ended;                   /* the decoder has no more */
    char complaint[REASON_BYTES]; /* of the decoder, or "" */
    float block[BLOCK_SAMPLES];   /* interleaved, as decoded */
};

/* --- libsndfile's view of a source --------------------------------------------------------------------------- */

static sf_count_t view_length(void *data)
{
    return ((struct view *)data)->length;
}

static sf_count_t view_seek(sf_count_t offset, int whence, void *data)
{
    struct view *view = data;
    if (whence == SEEK_END && view->length == endless) return -1; /* decoders then read on to the end as it comes */
    int64_t from = whence == SEEK_CUR ? view->position : whence == SEEK_END ? view->length : 0, target;
    if (__builtin_add_overflow(from, offset, &target) || target < 0 || target > endless) return -1;
    view->position = target;
    return target;
}

static sf_count_t view_read(void *bytes, sf_count_t count, void *data)
{
    struct view *view = data;
    int64_t left = view->length - view->position;
    if (left <= 0 || count <= 0) return 0;
    size_t got =
        mt_source_read(view->source, view->base + view->position, bytes, (size_t)(count < left ? count : left));
    view->position += (int64_t)got;
    return (sf_count_t)got;
}

static sf_count_t view_write(const void *bytes, sf_count_t count, void *data)
{
    (void)bytes, (void)count, (void)data;
    return 0;
}

static sf_count_t view_tell(void *data)
{
    return ((struct view *)data)->position;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

void motet_audio_options_init(motet_audio_options *options)
{
    *options = (motet_audio_options){.channel = MOTET_CHANNEL_MIX, .raw_channels = 1};
}

static motet_status check_options(const motet_audio_options *options)
{
    if (options->channel < MOTET_CHANNEL_MIX) return mt_fail(MOTET_ERROR_ARGUMENT, "no channel %d", options->channel);
    if (options->raw_rate < 0 || options->raw_rate > HIGHEST_RATE) {
        return mt_fail(MOTET_ERROR_ARGUMENT, "raw audio at %d Hz: wanted 1 to %d", options->raw_rate, HIGHEST_RATE);
    }
    if (options->raw_rate > 0 && (options->raw_channels < 1 || options->raw_channels > MOST_CHANNELS)) {
        return mt_fail(MOTET_ERROR_ARGUMENT, "raw audio of %d channels: wanted 1 to %d", options->raw_channels,
                       MOST_CHANNELS);
    }
    return MOTET_OK;
}

/* Narrows the view to the samples of a WAVE that libsndfile cannot follow by itself, and says what they are. */
static void bypass_header(motet_audio *audio, const mt_container *container, SF_INFO *format)
{
    int64_t size = mt_source_size(audio->view.source);
    audio->view.base = container->offset;
    audio->view.length = container->length >= 0 ? container->length : size >= 0 ? size - container->offset : endless;
    format->format = SF_FORMAT_RAW | container->encoding | (container->big_endian ? SF_ENDIAN_BIG : SF_ENDIAN_LITTLE);
    format->samplerate = container->rate;
    format->channels = container->channels;
}

/* ISO 14496-12: the first box of such a file is "ftyp". */
static bool is_mp4(motet_audio *audio)
{
    char first[8];
    return mt_source_read(audio->view.source, 0, first, sizeof first) == sizeof first && !memcmp(first + 4, "ftyp", 4);
}

static motet_status start_decoder(motet_audio *audio, SF_INFO *format)
{
    const char *name = mt_source_name(audio->view.source);
    SF_VIRTUAL_IO io = {view_length, view_seek, view_read, view_write, view_tell};
    audio->decoder = sf_open_virtual(&io, SFM_READ, format, &audio->view);
    int error = mt_source_error(audio->view.source);
    if (error) return mt_fail(mt_source_status(error), "%s: %s", name, strerror(error));
    if (!audio->decoder) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: not audio that can be read: %s%s", name, sf_strerror(NULL),
                       is_mp4(audio) ? " (an MP4 or M4A file: 'ffmpeg -i FILE -f wav -' can decode it into a pipe)" : "");
    }
    if (format->samplerate < 1 || format->samplerate > HIGHEST_RATE) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: a sample rate of %d Hz; expected 1 to %d", name, format->samplerate,
                       HIGHEST_RATE);
    }
    if (format->channels < 1 || format->channels > MOST_CHANNELS) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: %d channels; expected 1 to %d", name, format->channels, MOST_CHANNELS);
    }
    return MOTET_OK;
}

static const char *format_name(int format)
{
    SF_FORMAT_INFO about = {.format = format & SF_FORMAT_TYPEMASK};
    return sf_command(NULL, SFC_GET_FORMAT_INFO, &about, sizeof about) == 0 ? about.name : "unknown";
}

/* How many frames should come: libsndfile counts those that are there, a container's length all that there were. */
static int64_t expected_frames(const motet_audio *audio, const mt_container *container, int64_t frames)
{
    int64_t size = mt_source_size(audio->view.source);
    if (frames < 0 || frames > most_frames) return -1;
    if (size < 0 || container->length < 0 || container->offset == 0) return frames;
    int64_t there = size - container->offset;
    if (there >= container->length) return frames;
    return there > 0 ? (int64_t)llround((double)frames * (double)container->length / (double)there) : frames;
}

static motet_status check_channel(const motet_audio *audio, int channels)
{
    if (audio->channel < channels) return MOTET_OK;
    return mt_fail(MOTET_ERROR_ARGUMENT, "%s: no channel %d: there are %d, and the first is 0",
                   mt_source_name(audio->view.source), audio->channel, channels);
}

/* Looks at the first bytes: is there anything, and can libsndfile be told where it ends? An MP3 has no header, and
 * where it knows the size of the file, its decoder guesses a length from the first frames and stops there. */
static motet_status measure(motet_audio *audio)
{
    mt_source *source = audio->view.source;
    unsigned char first[3] = {0};
    if (mt_source_read(source, 0, first, sizeof first) == 0 && mt_source_error(source) == 0) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: empty", mt_source_name(source));
    }
    bool mpeg = (first[0] == 0xff && first[1] >= 0xe0) || memcmp(first, "ID3", 3) == 0;
    audio->view.length = mpeg || mt_source_size(source) < 0 ? endless : mt_source_size(source);
    return MOTET_OK;
}

static motet_status open_stream(motet_audio *audio, const motet_audio_options *options)
{
    mt_source *source = audio->view.source;
    SF_INFO format = {0};
    mt_container container = {0};
    int shown = 0;
    MT_TRY(measure(audio));
    if (options->raw_rate > 0) {
        format = (SF_INFO){.format = SF_FORMAT_RAW | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE,
                           .samplerate = options->raw_rate,
                           .channels = options->raw_channels};
    } else if (mt_container_read(source, &container) && container.encoding &&
               (mt_source_size(source) < 0 || container.length < 0)) {
        bypass_header(audio, &container, &format);
        shown = SF_FORMAT_WAV;
    }
    MT_TRY(start_decoder(audio, &format));
    MT_TRY(check_channel(audio, format.channels));
    audio->expected = expected_frames(audio, &container, format.frames);
    audio->ogg = (format.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_OGG;
    audio->info = (motet_audio_info){.rate = format.samplerate,
                                     .channels = format.channels,
                                     .frames = audio->expected,
                                     .format = format_name(shown ? shown : format.format)};
    return MOTET_OK;
}

motet_status motet_audio_open(const char *path, const motet_audio_options *options, motet_audio **out)
{
    *out = NULL;
    motet_audio_options defaults;
    motet_audio_options_init(&defaults);
    if (!options) options = &defaults;
    MT_TRY(check_options(options));
    motet_audio *audio = mt_alloc(sizeof *audio);
    if (!audio) return mt_fail_memory(sizeof *audio);
    memset(audio, 0, offsetof(motet_audio, block));
    audio->channel = options->channel;
    motet_status status = mt_source_open(path, options->interrupted, options->user, &audio->view.source);
    if (status == MOTET_OK) status = open_stream(audio, options);
    if (status != MOTET_OK) {
        motet_audio_close(audio);
        return status;
    }
    *out = audio;
    return MOTET_OK;
}

void motet_audio_close(motet_audio *audio)
{
    if (!audio) return;
    if (audio->decoder) sf_close(audio->decoder);
    mt_source_close(audio->view.source);
    mt_free(audio);
}

const motet_audio_info *motet_audio_describe(const motet_audio *audio)
{
    return &audio->info;
}

int64_t motet_audio_repaired(const motet_audio *audio)
{
    return audio->repaired;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

/* Interleaved frames to mono. The sum is made in double, so that it cannot overflow. */
static void mix(motet_audio *audio, size_t frames, float *samples)
{
    size_t channels = (size_t)audio->info.channels;
    size_t first = audio->channel < 0 ? 0 : (size_t)audio->channel, last = audio->channel < 0 ? channels : first + 1;
    for (size_t i = 0; i < frames; i++) {
        const float *frame = audio->block + i * channels;
        double sum = 0;
        for (size_t c = first; c < last; c++) {
            if (isfinite(frame[c])) {
                sum += (double)frame[c];
            } else {
                audio->repaired++;
            }
        }
        samples[i] = (float)(sum / (double)(last - first));
    }
}

/* Decodes up to `frames` frames that fit the block. A complaint is the end: a decoder that finds its way again has lost
 * an unknown stretch, and all that followed would stand at the wrong time. */
static size_t decode(motet_audio *audio, size_t frames)
{
    size_t most = BLOCK_SAMPLES / (size_t)audio->info.channels;
    sf_count_t got = sf_readf_float(audio->decoder, audio->block, (sf_count_t)(frames < most ? frames : most));
    if (sf_error(audio->decoder) != SF_ERR_NO_ERROR) {
        snprintf(audio->complaint, sizeof audio->complaint, ": %s", sf_strerror(audio->decoder));
    }
    audio->ended = got <= 0 || audio->complaint[0];
    return got > 0 ? (size_t)got : 0;
}

/* The decoder has no more: was that the end? */
static motet_status judge_end(const motet_audio *audio)
{
    const char *name = mt_source_name(audio->view.source);
    double rate = audio->info.rate, seconds = (double)audio->delivered / rate;
    int error = mt_source_error(audio->view.source);
    if (error) return mt_fail(mt_source_status(error), "%s: %s after %.2f s", name, strerror(error), seconds);
    char whole[32] = "";
    if (audio->expected >= 0) mt_format(whole, sizeof whole, " of %.2f s", (double)audio->expected / rate);
    if (audio->complaint[0] || audio->delivered < audio->expected) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: damaged or truncated after %.2f s%s%s", name, seconds, whole,
                       audio->complaint);
    }
    if (audio->ogg && !mt_ogg_complete(audio->view.source)) {
        return mt_fail(MOTET_ERROR_FORMAT, "%s: damaged or truncated after %.2f s: its last page is missing", name,
                       seconds);
    }
    return MOTET_OK;
}

motet_status motet_audio_read(motet_audio *audio, float *samples, size_t capacity, size_t *count)
{
    *count = 0;
    while (*count < capacity && !audio->ended) {
        size_t got = decode(audio, capacity - *count);
        mix(audio, got, samples + *count);
        *count += got;
        audio->delivered += (int64_t)got;
    }
    return *count == 0 && capacity > 0 ? judge_end(audio) : MOTET_OK;
}
