/* See mel.h. One frame is computed at a time, always by the same plan on the same buffers, whatever came with it: that
 * makes the bytes independent of the cutting. The triangles are kept as their few weights that are not zero. */
#include "dsp/mel.h"

#include <fftw3.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "dsp/planner.h"

enum {
    HIGHEST_RATE = 768000,
    MOST_BINS = 1024,
    LONGEST_TRANSFORM = 1 << 16,
    STEPS_HELD = 32, /* frames that the buffer of samples makes room for beyond one */
};

struct triangle {
    int first, count; /* points of the spectrum */
};

struct mt_mel {
    mt_mel_options options;
    float *window;              /* [frame_length] */
    struct triangle *triangles; /* [bins] */
    float *weights;             /* of all triangles, one after the other */
    float *input;               /* [fft], zeros behind the frame */
    fftwf_complex *spectrum;
    float *power; /* [fft / 2 + 1] */
    fftwf_plan plan;

    float *held; /* samples of the stream that frames to come need */
    size_t held_count, held_capacity;
    uint64_t samples, frames; /* of this stream so far */

    float *out;
    size_t out_count, out_capacity; /* frames */
};

static bool within(int value, int low, int high)
{
    return value >= low && value <= high;
}

static motet_status check_options(const mt_mel_options *o)
{
    if (!within(o->sample_rate, 1, HIGHEST_RATE)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: a sample rate of %d Hz", o->sample_rate);
    }
    if (!within(o->bins, 1, MOST_BINS)) return mt_fail(MOTET_ERROR_FORMAT, "log-mel: %d bins", o->bins);
    if (!within(o->fft, 2, LONGEST_TRANSFORM)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: a transform of %d points", o->fft);
    }
    if (!within(o->frame_length, 1, o->fft)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: frames of %d samples in a transform of %d", o->frame_length,
                       o->fft);
    }
    if (!within(o->frame_step, 1, o->frame_length)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: steps of %d samples between frames of %d", o->frame_step,
                       o->frame_length);
    }
    if (!(o->low_hz >= 0 && o->low_hz < o->high_hz && o->high_hz <= o->sample_rate / 2.0)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: a band from %g to %g Hz at %d Hz", o->low_hz, o->high_hz,
                       o->sample_rate);
    }
    if (!(o->floor >= (double)FLT_MIN && o->floor <= 1)) {
        return mt_fail(MOTET_ERROR_FORMAT, "log-mel: a floor of %g", o->floor);
    }
    return MOTET_OK;
}

static size_t spectrum_points(const mt_mel *mel)
{
    return (size_t)mel->options.fft / 2 + 1;
}

static size_t lead(const mt_mel *mel)
{
    return (size_t)(mel->options.frame_length - mel->options.frame_step) / 2;
}

/* The periodic Hann window. */
static void fill_window(mt_mel *mel)
{
    int length = mel->options.frame_length;
    for (int i = 0; i < length; i++) mel->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / length));
}

/* Edge `i` of the bins + 2 that are equally spaced on the HTK mel scale. */
static double edge_hz(const mt_mel_options *o, int i)
{
    double low = 2595 * log10(1 + o->low_hz / 700), high = 2595 * log10(1 + o->high_hz / 700);
    return 700 * (pow(10, (low + (high - low) * i / (o->bins + 1)) / 2595) - 1);
}

/* No point of the spectrum lies inside more than two triangles, which bounds the weights. */
static void fill_triangles(mt_mel *mel)
{
    const mt_mel_options *o = &mel->options;
    float *weight = mel->weights;
    for (int bin = 0; bin < o->bins; bin++) {
        double left = edge_hz(o, bin), centre = edge_hz(o, bin + 1), right = edge_hz(o, bin + 2);
        struct triangle *triangle = &mel->triangles[bin];
        for (int point = 0; point < (int)spectrum_points(mel); point++) {
            double hz = (double)point * o->sample_rate / o->fft;
            double height = fmin((hz - left) / (centre - left), (right - hz) / (right - centre));
            if (!(height > 0)) continue;
            if (triangle->count++ == 0) triangle->first = point;
            *weight++ = (float)height;
        }
    }
}

static motet_status allocate(mt_mel *mel)
{
    const mt_mel_options *o = &mel->options;
    size_t points = spectrum_points(mel), fft = (size_t)o->fft;
    mel->held_capacity = (size_t)o->frame_length + STEPS_HELD * (size_t)o->frame_step;
    mel->window = mt_alloc_array((size_t)o->frame_length, sizeof *mel->window);
    mel->triangles = mt_alloc_zero((size_t)o->bins, sizeof *mel->triangles);
    mel->weights = mt_alloc_array(2 * points, sizeof *mel->weights);
    mel->input = mt_alloc_aligned(fft * sizeof *mel->input);
    mel->spectrum = mt_alloc_aligned(points * sizeof *mel->spectrum);
    mel->power = mt_alloc_aligned(points * sizeof *mel->power);
    mel->held = mt_alloc_array(mel->held_capacity, sizeof *mel->held);
    if (!mel->window || !mel->triangles || !mel->weights || !mel->input || !mel->spectrum || !mel->power ||
        !mel->held) {
        return mt_fail_memory(fft * sizeof *mel->input);
    }
    return MOTET_OK;
}

static motet_status make_plan(mt_mel *mel)
{
    mel->plan = mt_fft_plan(mel->options.fft, mel->input, mel->spectrum);
    return mel->plan ? MOTET_OK : mt_fail(MOTET_ERROR_MEMORY, "log-mel: no plan for %d points", mel->options.fft);
}

/* Before the stream there are zeros. */
static void begin_stream(mt_mel *mel)
{
    mel->samples = mel->frames = 0;
    mel->held_count = lead(mel);
    memset(mel->held, 0, mel->held_count * sizeof *mel->held);
}

motet_status mt_mel_create(const mt_mel_options *options, mt_mel **out)
{
    *out = NULL;
    MT_TRY(check_options(options));
    mt_mel *mel = mt_alloc_zero(1, sizeof *mel);
    if (!mel) return mt_fail_memory(sizeof *mel);
    mel->options = *options;
    motet_status status = allocate(mel);
    if (status == MOTET_OK) status = make_plan(mel);
    if (status != MOTET_OK) {
        mt_mel_destroy(mel);
        return status;
    }
    memset(mel->input, 0, (size_t)options->fft * sizeof *mel->input);
    fill_window(mel);
    fill_triangles(mel);
    begin_stream(mel);
    *out = mel;
    return MOTET_OK;
}

void mt_mel_destroy(mt_mel *mel)
{
    if (!mel) return;
    mt_fft_forget(mel->plan);
    mt_free(mel->window);
    mt_free(mel->triangles);
    mt_free(mel->weights);
    mt_free(mel->input);
    mt_free(mel->spectrum);
    mt_free(mel->power);
    mt_free(mel->held);
    mt_free(mel->out);
    mt_free(mel);
}

/* One frame: frame_length samples to `bins` logarithms. Samples so large that their power is none give the ends of the
 * range, never an infinity. */
static void compute_frame(mt_mel *mel, const float *samples, float *out)
{
    const mt_mel_options *o = &mel->options;
    for (int i = 0; i < o->frame_length; i++) mel->input[i] = samples[i] * mel->window[i];
    fftwf_execute(mel->plan);
    for (size_t i = 0; i < spectrum_points(mel); i++) {
        float re = mel->spectrum[i][0], im = mel->spectrum[i][1];
        mel->power[i] = re * re + im * im;
    }
    const float *weight = mel->weights;
    float floor = (float)o->floor;
    for (int bin = 0; bin < o->bins; bin++) {
        const float *power = mel->power + mel->triangles[bin].first;
        float sum = 0;
        for (int i = 0; i < mel->triangles[bin].count; i++) sum += *weight++ * power[i];
        sum = sum > floor ? sum : floor;
        out[bin] = logf(sum < FLT_MAX ? sum : FLT_MAX);
    }
}

static motet_status make_room(mt_mel *mel, size_t frames)
{
    if (frames <= mel->out_capacity) return MOTET_OK;
    size_t floats;
    if (!mt_mul(frames, (size_t)mel->options.bins, &floats)) return mt_fail_memory(SIZE_MAX);
    float *grown = mt_grow(mel->out, floats, sizeof *grown);
    if (!grown) return mt_fail_memory(floats * sizeof *grown);
    mel->out = grown;
    mel->out_capacity = frames;
    return MOTET_OK;
}

/* Computes the frames that the held samples complete, and lets go of what they alone needed. */
static void drain(mt_mel *mel)
{
    size_t length = (size_t)mel->options.frame_length, step = (size_t)mel->options.frame_step, start = 0;
    while (mel->held_count - start >= length) {
        compute_frame(mel, mel->held + start, mel->out + mel->out_count * (size_t)mel->options.bins);
        mel->out_count++;
        mel->frames++;
        start += step;
    }
    mel->held_count -= start;
    memmove(mel->held, mel->held + start, mel->held_count * sizeof *mel->held);
}

/* Appends `count` samples, zeros for NULL, and computes what they complete. */
static motet_status feed(mt_mel *mel, const float *samples, size_t count)
{
    mel->out_count = 0;
    MT_TRY(make_room(mel, (mel->held_count + count) / (size_t)mel->options.frame_step + 1));
    while (count > 0) {
        size_t room = mel->held_capacity - mel->held_count, take = count < room ? count : room;
        if (samples) {
            memcpy(mel->held + mel->held_count, samples, take * sizeof *samples);
            samples += take;
        } else {
            memset(mel->held + mel->held_count, 0, take * sizeof *mel->held);
        }
        mel->held_count += take;
        count -= take;
        drain(mel);
    }
    return MOTET_OK;
}

motet_status mt_mel_push(mt_mel *mel, const float *samples, size_t count, const float **frames, size_t *frame_count)
{
    *frame_count = 0;
    MT_TRY(feed(mel, samples, count));
    mel->samples += count;
    *frames = mel->out;
    *frame_count = mel->out_count;
    return MOTET_OK;
}

/* No frame of the stream reaches more than a frame's length beyond its end; what lies wholly beyond it is dropped. */
motet_status mt_mel_finish(mt_mel *mel, const float **frames, size_t *frame_count)
{
    uint64_t step = (uint64_t)mel->options.frame_step, left = (mel->samples + step - 1) / step - mel->frames;
    *frame_count = 0;
    MT_TRY(feed(mel, NULL, (size_t)mel->options.frame_length));
    begin_stream(mel);
    *frames = mel->out;
    *frame_count = mel->out_count < left ? mel->out_count : (size_t)left;
    return MOTET_OK;
}

void mt_mel_reset(mt_mel *mel)
{
    begin_stream(mel);
}

motet_status mt_mel_window(mt_mel *mel, const float *samples, size_t count, float *frames)
{
    const float *some;
    size_t came, bins = (size_t)mel->options.bins;
    begin_stream(mel);
    MT_TRY(mt_mel_push(mel, samples, count, &some, &came));
    memcpy(frames, some, came * bins * sizeof *frames);
    frames += came * bins;
    MT_TRY(mt_mel_finish(mel, &some, &came));
    memcpy(frames, some, came * bins * sizeof *frames);
    return MOTET_OK;
}
