/* See fbank.h. The plan is FFTW's estimate and always works on the same buffers, as in mel.c. */
#include "dsp/fbank.h"

#include <fftw3.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "dsp/planner.h"

enum { HIGHEST_RATE = 768000, MOST_BINS = 1024, LONGEST_FRAME = 1 << 16 };

static const float PREEMPHASIS = 0.97f;
static const float NEMO_GUARD = 1.0f / (1 << 24); /* added to the power before the logarithm */

struct mt_fbank {
    mt_fbank_options options;
    size_t fft;
    float *window;  /* [frame_length] */
    float *weights; /* [bins][fft / 2 + 1] */
    float *input;   /* [fft] */
    fftwf_complex *spectrum;
    float *power; /* [fft / 2 + 1] */
    fftwf_plan plan;
};

static motet_status check_options(const mt_fbank_options *o)
{
    if (o->sample_rate < 1 || o->sample_rate > HIGHEST_RATE)
        return mt_fail(MOTET_ERROR_FORMAT, "filter bank: a sample rate of %d Hz", o->sample_rate);
    if (o->bins < 1 || o->bins > MOST_BINS) return mt_fail(MOTET_ERROR_FORMAT, "filter bank: %d bins", o->bins);
    if (o->frame_length < 2 || o->frame_length > LONGEST_FRAME)
        return mt_fail(MOTET_ERROR_FORMAT, "filter bank: frames of %d samples", o->frame_length);
    if (o->frame_step < 1 || o->frame_step > o->frame_length)
        return mt_fail(MOTET_ERROR_FORMAT, "filter bank: steps of %d samples between frames of %d", o->frame_step,
                       o->frame_length);
    if (!(o->low_hz >= 0 && o->low_hz < o->high_hz && o->high_hz <= o->sample_rate / 2.0))
        return mt_fail(MOTET_ERROR_FORMAT, "filter bank: a band from %g to %g Hz at %d Hz", o->low_hz, o->high_hz,
                       o->sample_rate);
    if (!(o->scale > 0 && o->scale <= 1e9))
        return mt_fail(MOTET_ERROR_FORMAT, "filter bank: samples times %g", o->scale);
    return MOTET_OK;
}

static size_t points_of(const mt_fbank *f)
{
    return f->fft / 2 + 1;
}

/* All symmetric: they end on the value they begin with. */
static void fill_window(mt_fbank *f)
{
    int last = f->options.frame_length - 1;
    for (int i = 0; i <= last; i++) {
        double c = cos(2 * M_PI * i / last);
        switch (f->options.window) {
        case MT_WINDOW_HAMMING: f->window[i] = (float)(0.54 - 0.46 * c); break;
        case MT_WINDOW_POVEY: f->window[i] = (float)pow(0.5 - 0.5 * c, 0.85); break;
        case MT_WINDOW_HANN: f->window[i] = (float)(0.5 - 0.5 * c); break;
        }
    }
}

static double kaldi_mel(double hz)
{
    return 1127 * log(1 + hz / 700);
}

/* Slaney 1998, Auditory Toolbox: linear below 1 kHz, logarithmic above. */
static double slaney_mel(double hz)
{
    return hz < 1000 ? hz * 3 / 200 : 15 + 27 * log(hz / 1000) / log(6.4);
}

static double slaney_hz(double mel)
{
    return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

static double height(double x, double left, double centre, double right)
{
    double h = x <= centre ? (x - left) / (centre - left) : (right - x) / (right - centre);
    return h > 0 ? h : 0;
}

/* Kaldi leaves the point at half the sample rate out. */
static void fill_kaldi(mt_fbank *f)
{
    const mt_fbank_options *o = &f->options;
    double low = kaldi_mel(o->low_hz), step = (kaldi_mel(o->high_hz) - low) / (o->bins + 1);
    for (int bin = 0; bin < o->bins; bin++)
        for (size_t p = 0; p + 1 < points_of(f); p++) {
            double mel = kaldi_mel((double)p * o->sample_rate / (double)f->fft), left = low + bin * step;
            f->weights[(size_t)bin * points_of(f) + p] = (float)height(mel, left, left + step, left + 2 * step);
        }
}

static void fill_nemo(mt_fbank *f)
{
    const mt_fbank_options *o = &f->options;
    double low = slaney_mel(o->low_hz), step = (slaney_mel(o->high_hz) - low) / (o->bins + 1);
    for (int bin = 0; bin < o->bins; bin++) {
        double left = slaney_hz(low + bin * step), centre = slaney_hz(low + (bin + 1) * step);
        double right = slaney_hz(low + (bin + 2) * step);
        for (size_t p = 0; p < points_of(f); p++) {
            double hz = (double)p * o->sample_rate / (double)f->fft;
            f->weights[(size_t)bin * points_of(f) + p] = (float)(height(hz, left, centre, right) * 2 / (right - left));
        }
    }
}

static motet_status allocate(mt_fbank *f)
{
    size_t points = points_of(f), weights;
    if (!mt_mul(points, (size_t)f->options.bins, &weights)) return mt_fail_memory(SIZE_MAX);
    f->window = mt_alloc_array((size_t)f->options.frame_length, sizeof *f->window);
    f->weights = mt_alloc_zero(weights, sizeof *f->weights);
    f->input = mt_alloc_aligned(f->fft * sizeof *f->input);
    f->spectrum = mt_alloc_aligned(points * sizeof *f->spectrum);
    f->power = mt_alloc_aligned(points * sizeof *f->power);
    if (!f->window || !f->weights || !f->input || !f->spectrum || !f->power)
        return mt_fail_memory(weights * sizeof *f->weights);
    f->plan = mt_fft_plan((int)f->fft, f->input, f->spectrum);
    return f->plan ? MOTET_OK : mt_fail(MOTET_ERROR_MEMORY, "filter bank: no plan for %zu points", f->fft);
}

motet_status mt_fbank_create(const mt_fbank_options *options, mt_fbank **out)
{
    *out = NULL;
    MT_TRY(check_options(options));
    mt_fbank *f = mt_alloc_zero(1, sizeof *f);
    if (!f) return mt_fail_memory(sizeof *f);
    f->options = *options;
    for (f->fft = 2; f->fft < (size_t)options->frame_length;) f->fft *= 2;
    motet_status status = allocate(f);
    if (status != MOTET_OK) {
        mt_fbank_destroy(f);
        return status;
    }
    fill_window(f);
    if (options->kind == MT_FBANK_KALDI)
        fill_kaldi(f);
    else
        fill_nemo(f);
    *out = f;
    return MOTET_OK;
}

void mt_fbank_destroy(mt_fbank *f)
{
    if (!f) return;
    mt_fft_forget(f->plan);
    mt_free(f->window);
    mt_free(f->weights);
    mt_free(f->input);
    mt_free(f->spectrum);
    mt_free(f->power);
    mt_free(f);
}

size_t mt_fbank_frames(const mt_fbank *f, size_t samples)
{
    size_t length = (size_t)f->options.frame_length, step = (size_t)f->options.frame_step;
    if (f->options.kind == MT_FBANK_NEMO) return samples / step;
    return samples < length ? 0 : 1 + (samples - length) / step;
}

size_t mt_fbank_centre(const mt_fbank *f)
{
    return f->options.kind == MT_FBANK_NEMO ? 0 : (size_t)f->options.frame_length / 2;
}

/* Kaldi's order: scale, mean, pre-emphasis within the frame (the first sample against itself), window. */
static void cut_kaldi(mt_fbank *f, const float *samples)
{
    size_t length = (size_t)f->options.frame_length;
    float *x = f->input, scale = (float)f->options.scale;
    double sum = 0;
    for (size_t i = 0; i < length; i++) sum += x[i] = samples[i] * scale;
    float mean = (float)(sum / (double)length);
    for (size_t i = 0; i < length; i++) x[i] -= mean;
    for (size_t i = length; i-- > 1;) x[i] -= PREEMPHASIS * x[i - 1];
    x[0] -= PREEMPHASIS * x[0];
    for (size_t i = 0; i < length; i++) x[i] *= f->window[i];
}

/* The frame centred on sample `centre`, zeros where the piece has none. */
static void cut_nemo(mt_fbank *f, const float *samples, size_t count, size_t centre)
{
    size_t length = (size_t)f->options.frame_length, before = length / 2;
    float scale = (float)f->options.scale;
    for (size_t i = 0; i < length; i++) {
        size_t at = centre + i; /* the sample's number, `before` more */
        float x = 0;
        if (at >= before && at - before < count) {
            x = samples[at - before];
            if (at > before) x -= PREEMPHASIS * samples[at - before - 1];
        }
        f->input[i] = x * scale * f->window[i];
    }
}

/* Where the frame lies in the transform does not change its power. */
static void take_power(mt_fbank *f)
{
    size_t length = (size_t)f->options.frame_length;
    memset(f->input + length, 0, (f->fft - length) * sizeof *f->input);
    fftwf_execute(f->plan);
    for (size_t p = 0; p < points_of(f); p++) {
        float re = f->spectrum[p][0], im = f->spectrum[p][1];
        f->power[p] = re * re + im * im;
    }
}

static void take_logarithms(const mt_fbank *f, float *out)
{
    const float *weights = f->weights;
    for (int bin = 0; bin < f->options.bins; bin++, weights += points_of(f)) {
        float sum = 0;
        for (size_t p = 0; p < points_of(f); p++) sum += weights[p] * f->power[p];
        sum = sum < FLT_MAX ? sum : FLT_MAX; /* samples that are no numbers too */
        out[bin] = logf(f->options.kind == MT_FBANK_NEMO ? sum + NEMO_GUARD : fmaxf(sum, FLT_EPSILON));
    }
}

void mt_fbank_compute(mt_fbank *f, const float *samples, size_t count, float *out)
{
    size_t frames = mt_fbank_frames(f, count), step = (size_t)f->options.frame_step;
    for (size_t i = 0; i < frames; i++, out += f->options.bins) {
        if (f->options.kind == MT_FBANK_NEMO)
            cut_nemo(f, samples, count, i * step);
        else
            cut_kaldi(f, samples + i * step);
        take_power(f);
        take_logarithms(f, out);
    }
}
