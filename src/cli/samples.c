/* Nobody knows how many samples there will be, and few are to be kept: once there are too many, every second one of
 * those kept goes, and from then on every second one of those that come. */
#include "samples.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "motet/audio.h"
#include "motet/diarize.h"
#include "motet/tensor_file.h"
#include "recording.h"

enum { RATE = 16000, BLOCK = 4096 };

static bool say_failure(const samples *s)
{
    if (!cli_interrupted()) cli_say(s->command, "%s", motet_error_message());
    return false;
}

static bool say_memory(const samples *s)
{
    return cli_say(s->command, "out of memory"), false;
}

/* --- keeping -------------------------------------------------------------------------------------------------- */

static void drop_every_second(samples *s)
{
    size_t left = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (i % 2)
            motet_tensor_destroy(s->kept[i]);
        else
            s->kept[left++] = s->kept[i];
    }
    s->count = left;
    s->stride *= 2;
}

/* A copy of `values`, if it is its turn. */
static bool keep(samples *s, int rank, const int64_t *dims, const float *values)
{
    if (s->seen++ % s->stride) return true;
    if (s->count == (size_t)s->most) {
        drop_every_second(s);
        if ((s->seen - 1) % s->stride) return true;
    }
    motet_tensor *copy;
    if (motet_tensor_create(MOTET_FLOAT, rank, dims, &copy) != MOTET_OK) return say_failure(s);
    memcpy(motet_tensor_data(copy), values, (size_t)motet_tensor_count(copy) * sizeof *values);
    s->kept[s->count++] = copy;
    return true;
}

/* --- arrays --------------------------------------------------------------------------------------------------- */

/* Where the model leaves the first axis open, or says that it is 1, that is the axis of samples. */
static bool read_array(samples *s, const char *path, const motet_value_info *info)
{
    motet_tensor *array;
    int64_t dims[MOTET_MAX_RANK];
    if (motet_tensor_read(path, &array) != MOTET_OK) return say_failure(s);
    int rank = motet_tensor_rank(array);
    int64_t count = 1;
    bool good = motet_tensor_type(array) == MOTET_FLOAT;
    if (!good) cli_say(s->command, "%s: %s, not float32", path, motet_type_name(motet_tensor_type(array)));
    for (int i = 0; i < rank; i++) dims[i] = motet_tensor_dims(array)[i];
    if (rank > 1 && rank == info->rank && info->dims[0] <= 1) {
        count = dims[0];
        dims[0] = 1;
    }
    size_t step = count ? (size_t)(motet_tensor_count(array) / count) : 0;
    for (int64_t i = 0; good && i < count; i++)
        good = keep(s, rank, dims, (const float *)motet_tensor_const_data(array) + (size_t)i * step);
    motet_tensor_destroy(array);
    return good;
}

/* --- recordings ----------------------------------------------------------------------------------------------- */

typedef struct listener {
    samples *samples;
    motet_diarizer *diarizer; /* NULL: pieces of samples are taken */
    const motet_value_info *input;
    float *piece;
    size_t length, filled;
} listener;

static int on_chunk(void *user, motet_chunk *chunk)
{
    (void)chunk;
    listener *l = user;
    const motet_tensor *fed = motet_diarizer_input(l->diarizer);
    return !keep(l->samples, motet_tensor_rank(fed), motet_tensor_dims(fed), motet_tensor_const_data(fed));
}

static bool add_samples(listener *l, const float *values, size_t count)
{
    int64_t dims[MOTET_MAX_RANK];
    for (int i = 0; i < l->input->rank; i++) dims[i] = 1;
    dims[l->input->rank - 1] = (int64_t)l->length;
    for (size_t i = 0; i < count; i++) {
        l->piece[l->filled++] = values[i];
        if (l->filled < l->length) continue;
        l->filled = 0;
        if (!keep(l->samples, l->input->rank, dims, l->piece)) return false;
    }
    return true;
}

static bool cut(listener *l, motet_audio *audio, motet_resampler *resampler)
{
    for (size_t count = 1; count;) {
        float block[BLOCK];
        const float *resampled;
        size_t made;
        motet_status status = motet_audio_read(audio, block, BLOCK, &count);
        if (status == MOTET_OK)
            status = count ? motet_resampler_push(resampler, block, count, &resampled, &made)
                           : motet_resampler_finish(resampler, &resampled, &made);
        if (status != MOTET_OK) return say_failure(l->samples);
        if (!add_samples(l, resampled, made)) return false;
        if (cli_interrupted()) return false;
    }
    return true;
}

static bool read_pieces(listener *l, const char *path)
{
    motet_audio *audio;
    motet_resampler *resampler = NULL;
    if (motet_audio_open(path, NULL, &audio) != MOTET_OK) return say_failure(l->samples);
    bool good = motet_resampler_create(motet_audio_describe(audio)->rate, RATE, &resampler) == MOTET_OK
                    ? cut(l, audio, resampler)
                    : say_failure(l->samples);
    motet_resampler_destroy(resampler);
    motet_audio_close(audio);
    return good;
}

static bool read_recording(listener *l, const char *path)
{
    motet_diarization *result;
    if (!l->diarizer) return read_pieces(l, path);
    bool good = recording_diarize(l->samples->command, path, l->diarizer, &result);
    motet_diarization_destroy(result);
    return good;
}

/* A diarizer for a model that is one; for another, how long its pieces are. */
static bool open_listener(samples *s, const char *path, const motet_session *session, listener *l)
{
    const char *role = motet_session_metadata(session, "motet.role");
    const motet_tensor *fed = s->inputs->tensors[0];
    *l = (listener){.samples = s, .input = motet_session_input(session, 0)};
    if (role && strcmp(role, "diarizer") == 0) {
        motet_diarize_options options;
        motet_diarize_options_init(&options);
        options.model = path;
        options.threads = s->threads;
        if (motet_diarizer_create(&options, &l->diarizer) != MOTET_OK) return say_failure(s);
        motet_diarizer_observe(l->diarizer, on_chunk, l);
        return true;
    }
    int rank = motet_tensor_rank(fed);
    l->length = rank ? (size_t)motet_tensor_dims(fed)[rank - 1] : 0;
    if (l->input->rank < 1 || motet_tensor_type(fed) != MOTET_FLOAT || l->length < 2)
        return cli_say(s->command, "input '%s' does not say how many samples it takes: give --shape", l->input->name),
               false;
    l->piece = malloc(l->length * sizeof *l->piece);
    return l->piece || say_memory(s);
}

/* --- files and folders ---------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *end)
{
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}

static bool is_array(const char *path)
{
    return ends_in(path, ".npy") || ends_in(path, ".pb");
}

static bool read_file(listener *l, const char *path)
{
    return is_array(path) ? read_array(l->samples, path, l->input) : read_recording(l, path);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* What libsndfile may read, as the labels beside recordings often are not. */
static bool is_sound(const char *path)
{
    static const char *const ends[] = {".wav",  ".flac", ".ogg", ".opus", ".mp3",
                                       ".aiff", ".aif",  ".au",  ".caf",  ".w64"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_in(path, ends[i])) return true;
    return false;
}

static bool read_folder(listener *l, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0) return cli_say(l->samples->command, "%s: cannot be read", folder), false;
    bool good = true;
    for (int i = 0; i < count; i++) {
        char path[4096];
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path;
        if (good && fits && (is_array(path) || is_sound(path))) good = read_file(l, path);
        free(entries[i]);
    }
    free(entries);
    return good;
}

bool samples_read(samples *s, const char *path, const motet_session *session, const model_values *inputs)
{
    listener l;
    s->inputs = inputs;
    s->stride = 1;
    if (!s->path_count) return true;
    if (!inputs->count) return cli_say(s->command, "%s: it has no input", path), false;
    s->kept = calloc((size_t)s->most, sizeof(motet_tensor *));
    bool good = s->kept ? open_listener(s, path, session, &l) : say_memory(s);
    for (size_t i = 0; good && i < s->path_count; i++) {
        struct stat about;
        bool folder = stat(s->paths[i], &about) == 0 && S_ISDIR(about.st_mode);
        l.filled = 0;
        good = folder ? read_folder(&l, s->paths[i]) : read_file(&l, s->paths[i]);
    }
    if (s->kept) {
        motet_diarizer_destroy(l.diarizer);
        free(l.piece);
    }
    if (good && !s->count) cli_say(s->command, "there is no sample in what is given to calibrate with");
    return good && s->count;
}

void samples_clear(samples *s)
{
    for (size_t i = 0; i < s->count; i++) motet_tensor_destroy(s->kept[i]);
    free(s->kept);
    s->kept = NULL;
    s->count = 0;
}

size_t samples_count(const samples *s)
{
    return s->count ? s->count : 1;
}

motet_status samples_take(void *context, size_t index, const motet_tensor **inputs)
{
    const samples *s = context;
    for (size_t i = 0; i < s->inputs->count; i++) inputs[i] = s->inputs->tensors[i];
    if (s->count) inputs[0] = s->kept[index];
    return MOTET_OK;
}
