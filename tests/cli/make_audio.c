/* Makes the recordings of tests/cli that something is wrong or odd with: make_audio FOLDER SAMPLE.flac SECONDS */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sndfile.h>

static const char *folder;

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
}

static void write_audio(const char *name, int format, int rate, int channels, sf_count_t frames, const float *samples)
{
    char path[4096];
    path_of(path, sizeof path, name);
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    if (!file || sf_writef_float(file, samples, frames) != frames) {
        fprintf(stderr, "make_audio: %s: %s\n", path, sf_strerror(file));
        exit(1);
    }
    sf_close(file);
}

static void copy_bytes(const char *from, const char *name, long count)
{
    char path[4096];
    path_of(path, sizeof path, name);
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");
    if (!in || !out) exit(1);
    for (int c; count-- > 0 && (c = fgetc(in)) != EOF;) fputc(c, out);
    fclose(in);
    fclose(out);
}

static void write_text(const char *name, const char *text)
{
    char path[4096];
    path_of(path, sizeof path, name);
    FILE *out = fopen(path, "wb");
    if (!out) exit(1);
    fputs(text, out);
    fclose(out);
}

/* `times` copies of each sample side by side in `channels`, times a gain: enough to stand for another rate or layout.
 */
static float *spread(const float *samples, sf_count_t count, int times, int channels, float gain)
{
    float *out = malloc(sizeof(float) * (size_t)count * (size_t)(times * channels));
    for (sf_count_t i = 0; i < count * times; i++)
        for (int c = 0; c < channels; c++) {
            float value = gain * samples[i / times];
            out[i * channels + c] = value > 1 ? 1 : value < -1 ? -1 : value;
        }
    return out;
}

/* Music without a voice: a chord of plucked strings every half second. */
static float *pluck(int rate, int count)
{
    static const double roots[] = {110, 146.83, 164.81, 123.47}, steps[] = {1, 1.25, 1.5, 2};
    float *out = calloc((size_t)count, sizeof *out);
    for (int i = 0; i < count; i++) {
        int chord = i / (rate / 2);
        double t = (double)(i % (rate / 2)) / rate, sum = 0;
        for (int note = 0; note < 4; note++)
            for (int partial = 1; partial <= 8; partial++)
                sum += sin(2 * M_PI * roots[chord % 4] * steps[note] * partial * t) * exp(-t * (2 + partial)) / partial;
        out[i] = (float)(0.08 * sum);
    }
    return out;
}

/* What a telephone leaves of speech: half the rate, 8-bit mu-law. */
static void write_telephone(const float *speech, int count)
{
    float *half = malloc(sizeof(float) * (size_t)(count / 2));
    for (int i = 0; i < count / 2; i++) half[i] = (speech[2 * i] + speech[2 * i + 1]) / 2;
    write_audio("telephone.wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, count / 2, half);
    free(half);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    folder = argv[1];
    SF_INFO info = {0};
    SNDFILE *file = sf_open(argv[2], SFM_READ, &info);
    enum { RATE = 16000 };
    const int COUNT = atoi(argv[3]) * RATE;
    float *speech = calloc((size_t)COUNT, sizeof *speech), *odd;
    if (!file || info.samplerate != RATE || info.channels != 1 || sf_readf_float(file, speech, COUNT) != COUNT)
        return 1;
    sf_close(file);
    const int wav = SF_FORMAT_WAV | SF_FORMAT_PCM_16, wav_float = SF_FORMAT_WAV | SF_FORMAT_FLOAT;

    write_audio("speech.wav", wav, RATE, 1, COUNT, speech);
    write_audio("no_samples.wav", wav, RATE, 1, 0, speech);
    write_audio("10ms.wav", wav, RATE, 1, RATE / 100, speech + RATE);
    write_audio("200ms.wav", wav, RATE, 1, RATE / 5, speech + RATE);
    write_audio("2s.wav", wav, RATE, 1, 2 * RATE, speech + RATE);
    write_audio("8k.wav", wav, 8000, 1, COUNT / 2, speech);
    odd = spread(speech, COUNT, 6, 8, 1);
    write_audio("96k_8ch.wav", wav, 96000, 8, COUNT * 6, odd);
    free(odd);
    odd = spread(speech, COUNT, 1, 1, 40);
    write_audio("clipped.wav", wav, RATE, 1, COUNT, odd);
    free(odd);
    odd = calloc((size_t)COUNT, sizeof *odd);
    write_audio("zero.wav", wav, RATE, 1, COUNT, odd);
    memcpy(odd, speech, (size_t)COUNT * sizeof *odd);
    for (int i = 0; i < COUNT; i += 1000) odd[i] = i % 2000 ? NAN : INFINITY;
    write_audio("nan.wav", wav_float, RATE, 1, COUNT, odd);
    free(odd);
    odd = pluck(RATE, COUNT);
    write_audio("music.wav", wav, RATE, 1, COUNT, odd);
    free(odd);
    odd = malloc((size_t)COUNT * sizeof *odd);
    for (int i = 0; i < COUNT; i++) odd[i] = speech[i] * 0.6f + 0.3f;
    write_audio("offset.wav", wav, RATE, 1, COUNT, odd);
    free(odd);
    write_telephone(speech, COUNT);
    copy_bytes(argv[2], "truncated.flac", COUNT * 3L / 2);
    write_text("empty.wav", "");
    write_text("text.wav", "This is not a recording, whatever its name says.\n");
    free(speech);
    return 0;
}
