/* Resampling, measured: what passes, what is kept out, where time zero is, and that cutting changes nothing.
 *
 * Tones and sweeps are known exactly at every output sample, so each is fitted (sine and cosine, least squares, in
 * double) over blocks of the output: the fit's amplitude is the pass-band, its phase the delay, and what the fit leaves
 * is everything that should not be there: images, aliases, rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/audio.h"

enum { TO = 16000, EDGE = 2000, BLOCK = 400 }; /* output samples: left out at both ends, and of one fit */

static const double amplitude = 0.5;
static const int measured_rates[] = {44100, 48000, 22050, 8000, 11025, 32000, 96000, 44056, 192000};
enum { MEASURED_RATES = sizeof measured_rates / sizeof *measured_rates };

/* A tone (slope 0) or a linear sweep: phase 2 pi (start t + slope t^2 / 2). */
struct probe {
    double start, slope;
};

static double phase_at(struct probe probe, double t)
{
    return 2 * M_PI * (probe.start + probe.slope * t / 2) * t;
}

static float *make_probe(struct probe probe, int rate, size_t count)
{
    float *samples = malloc(count * sizeof *samples);
    assert_non_null(samples);
    for (size_t i = 0; i < count; i++) samples[i] = (float)(amplitude * sin(phase_at(probe, (double)i / rate)));
    return samples;
}

static float *make_noise(size_t count)
{
    float *samples = malloc((count + 1) * sizeof *samples);
    uint32_t state = 7;
    assert_non_null(samples);
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        samples[i] = (float)((double)(state >> 8) / 16777216 - 0.5);
    }
    return samples;
}

/* The size of the next piece: `piece`, or for 0 one of 1 to 9,999. */
static size_t next_piece(size_t piece, uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return piece ? piece : (*seed >> 8) % 9999 + 1;
}

static float *resample(int from, int to, const float *samples, size_t count, size_t piece, size_t *out_count)
{
    motet_resampler *resampler;
    assert_int_equal(motet_resampler_create(from, to, &resampler), MOTET_OK);
    size_t capacity = (size_t)((double)count * to / from) + 16, done = 0, got;
    float *all = malloc(capacity * sizeof *all);
    assert_non_null(all);
    const float *out;
    uint32_t seed = (uint32_t)count;
    for (size_t at = 0; at < count;) {
        size_t take = next_piece(piece, &seed);
        if (take > count - at) take = count - at;
        assert_int_equal(motet_resampler_push(resampler, samples + at, take, &out, &got), MOTET_OK);
        at += take;
        assert_true(done + got <= capacity);
        if (got) memcpy(all + done, out, got * sizeof *all);
        done += got;
    }
    assert_int_equal(motet_resampler_finish(resampler, &out, &got), MOTET_OK);
    assert_true(done + got <= capacity);
    if (got) memcpy(all + done, out, got * sizeof *all);
    *out_count = done + got;
    motet_resampler_destroy(resampler);
    return all;
}

/* --- measuring ----------------------------------------------------------------------------------------------- */

typedef struct fit {
    double gain_db, phase, rest_db; /* rest: against the probe's own level */
} fit;

static double decibel(double ratio)
{
    return 20 * log10(ratio > 1e-12 ? ratio : 1e-12);
}

/* Fits sine and cosine of the probe to `count` output samples from `first`. */
static fit fit_block(struct probe probe, const float *out, size_t first, size_t count)
{
    double ss = 0, sc = 0, cc = 0, xs = 0, xc = 0, rest = 0;
    for (size_t i = first; i < first + count; i++) {
        double phase = phase_at(probe, (double)i / TO), s = sin(phase), c = cos(phase);
        ss += s * s, sc += s * c, cc += c * c, xs += (double)out[i] * s, xc += (double)out[i] * c;
    }
    double determinant = ss * cc - sc * sc, a = (xs * cc - xc * sc) / determinant,
           b = (xc * ss - xs * sc) / determinant;
    for (size_t i = first; i < first + count; i++) {
        double phase = phase_at(probe, (double)i / TO), left = (double)out[i] - a * sin(phase) - b * cos(phase);
        rest += left * left;
    }
    return (fit){.gain_db = decibel(hypot(a, b) / amplitude),
                 .phase = atan2(b, a),
                 .rest_db = decibel(sqrt(2 * rest / (double)count) / amplitude)};
}

static double level_db(const float *samples, size_t first, size_t count)
{
    double sum = 0;
    for (size_t i = first; i < first + count; i++) sum += (double)samples[i] * (double)samples[i];
    return decibel(sqrt(2 * sum / (double)count) / amplitude);
}

static double lower_rate(int from)
{
    return from < TO ? from : TO;
}

static void tones_pass_unharmed(void **state)
{
    (void)state;
    for (int r = 0; r < MEASURED_RATES; r++) {
        int from = measured_rates[r];
        double top = lower_rate(from) * 7 / 16, ripple = 0, rest = -300, phase = 0;
        for (int step = 0; step <= 28; step++) {
            struct probe tone = {.start = step == 0 ? 50 : top * step / 28};
            size_t count;
            float *samples = make_probe(tone, from, (size_t)from), *out;
            out = resample(from, TO, samples, (size_t)from, 0, &count);
            fit found = fit_block(tone, out, EDGE, count - 2 * EDGE);
            ripple = fmax(ripple, fabs(found.gain_db));
            phase = fmax(phase, fabs(found.phase));
            rest = fmax(rest, found.rest_db);
            free(out);
            free(samples);
        }
        print_message("%6d Hz: tones to %.0f Hz within %.4f dB, %.1e rad; all else below %.1f dB\n", from, top, ripple,
                      phase, rest);
        assert_true(ripple < 0.1);
        assert_true(rest < -90);
        assert_true(phase < 1e-3);
    }
}

static void tones_above_are_kept_out(void **state)
{
    (void)state;
    for (int r = 0; r < MEASURED_RATES; r++) {
        int from = measured_rates[r];
        if (from <= TO) continue;
        double worst = -300, bottom = TO / 2.0, top = from / 2.0;
        for (int step = 0; step < 40; step++) {
            struct probe tone = {.start = bottom + (top - bottom) * step / 40};
            size_t count;
            float *samples = make_probe(tone, from, (size_t)from), *out;
            out = resample(from, TO, samples, (size_t)from, 0, &count);
            worst = fmax(worst, level_db(out, EDGE, count - 2 * EDGE));
            free(out);
            free(samples);
        }
        print_message("%6d Hz: tones from %.0f to %.0f Hz end up below %.1f dB\n", from, bottom, top, worst);
        assert_true(worst < -90);
    }
}

/* One sweep over all frequencies of the input in 8 seconds: it must pass up to 7/16 of the lower rate, and from half of
 * that rate on be gone; what lies between is the filter's own. */
static void sweeps_pass_and_are_cut_off(void **state)
{
    (void)state;
    for (int r = 0; r < MEASURED_RATES; r++) {
        int from = measured_rates[r];
        double seconds = 8, top = from / 2.0, pass = lower_rate(from) * 7 / 16, stop = lower_rate(from) / 2;
        double ripple = 0, rest = -300, kept = -300;
        struct probe sweep = {.start = 0, .slope = top / seconds};
        size_t count, input = (size_t)(from * seconds);
        float *samples = make_probe(sweep, from, input), *out = resample(from, TO, samples, input, 0, &count);
        for (size_t first = EDGE; first + BLOCK <= count - EDGE; first += BLOCK) {
            double low = sweep.slope * (double)first / TO, high = sweep.slope * (double)(first + BLOCK) / TO;
            fit found = fit_block(sweep, out, first, BLOCK);
            if (high <= pass) {
                ripple = fmax(ripple, fabs(found.gain_db));
                rest = fmax(rest, found.rest_db);
            } else if (low >= stop * 1.02 && from > TO) { /* past the filter's own length of the sweep */
                kept = fmax(kept, level_db(out, first, BLOCK));
            }
        }
        print_message("%6d Hz: sweep to %.0f Hz within %.4f dB, all else below %.1f dB\n", from, pass, ripple, rest);
        if (from > TO) print_message("%6d Hz: sweep from %.0f Hz on below %.1f dB\n", from, stop, kept);
        assert_true(ripple < 0.1);
        assert_true(rest < -90);
        assert_true(kept < -90);
        free(out);
        free(samples);
    }
}

static void time_zero_stays(void **state)
{
    (void)state;
    for (int r = 0; r < MEASURED_RATES; r++) {
        int from = measured_rates[r];
        size_t count, peak = 0, half = (size_t)from / 2;
        float *samples = calloc((size_t)from, sizeof *samples);
        assert_non_null(samples);
        samples[half] = 1;
        float *out = resample(from, TO, samples, (size_t)from, 0, &count);
        for (size_t i = 0; i < count; i++) {
            if (out[i] > out[peak]) peak = i;
        }
        assert_int_equal(peak, lround((double)half * TO / from));
        free(out);
        free(samples);
    }
}

/* --- lengths and cuttings ------------------------------------------------------------------------------------ */

static void lengths_are_rounded(void **state)
{
    (void)state;
    static const int pairs[][2] = {{44100, 16000}, {48000, 16000}, {22050, 16000}, {8000, 16000},
                                   {32000, 16000}, {16000, 44100}, {96000, 8000},  {16001, 16000}};
    float *samples = make_noise(70000);
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        int from = pairs[p][0], to = pairs[p][1];
        for (size_t n = 0; n < 70000; n += n < 300 ? 1 : 6997) {
            size_t count;
            free(resample(from, to, samples, n, 0, &count));
            assert_int_equal(count, llround((double)n * to / from));
        }
    }
    free(samples);
}

static void same_bytes(int from, const float *samples, size_t count, size_t piece, const float *wanted,
                       size_t wanted_count)
{
    size_t got_count;
    float *got = resample(from, TO, samples, count, piece, &got_count);
    assert_int_equal(got_count, wanted_count);
    assert_memory_equal(got, wanted, got_count * sizeof *got);
    free(got);
}

static void cutting_changes_nothing(void **state)
{
    (void)state;
    static const size_t pieces[] = {0, 1, 2, 3, 7, 160, 441, 1023, 1024, 4095, 4096, 4097, 8192, 9999};
    enum { LONG = 200001, SHORT = 9999 };
    float *samples = make_noise(LONG);
    for (int r = 0; r < MEASURED_RATES; r++) {
        int from = measured_rates[r];
        size_t count;
        float *wanted = resample(from, TO, samples, LONG, LONG, &count);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
            same_bytes(from, samples, LONG, pieces[i], wanted, count);
        free(wanted);
        wanted = resample(from, TO, samples, SHORT, SHORT, &count);
        for (size_t piece = 1; piece <= SHORT; piece += 97) same_bytes(from, samples, SHORT, piece, wanted, count);
        free(wanted);
    }
    free(samples);
}

static void equal_rates_pass_through(void **state)
{
    (void)state;
    size_t count;
    float *samples = make_noise(30000), *out = resample(TO, TO, samples, 30000, 0, &count);
    assert_int_equal(count, 30000);
    assert_memory_equal(out, samples, count * sizeof *out);
    free(out);
    free(samples);
}

/* --- misuse and memory --------------------------------------------------------------------------------------- */

static void impossible_rates_are_refused(void **state)
{
    (void)state;
    static const int pairs[][2] = {{7999, 16000}, {768001, 16000}, {16000, 7999}, {16000, 192001}, {0, 0}, {-1, 16000}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        motet_resampler *resampler;
        assert_int_equal(motet_resampler_create(pairs[i][0], pairs[i][1], &resampler), MOTET_ERROR_ARGUMENT);
        assert_null(resampler);
    }
}

static motet_status whole_stream(int from, const float *samples, size_t count)
{
    motet_resampler *resampler;
    const float *out;
    size_t got;
    motet_status status = motet_resampler_create(from, TO, &resampler);
    if (status == MOTET_OK) status = motet_resampler_push(resampler, samples, count / 8, &out, &got);
    if (status == MOTET_OK) status = motet_resampler_push(resampler, samples, count, &out, &got);
    if (status == MOTET_OK) status = motet_resampler_finish(resampler, &out, &got);
    motet_resampler_destroy(resampler);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    float *samples = make_noise(100000);
    for (int from = 8000; from <= 16000; from += 8000) {
        long n = 0;
        for (motet_status status = MOTET_ERROR_MEMORY; status != MOTET_OK; n++) {
            mt_memory_fail_at(n);
            status = whole_stream(from, samples, 100000);
            mt_memory_fail_at(-1);
            assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
        }
        assert_true(n > 2);
    }
    free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tones_pass_unharmed),
        cmocka_unit_test(tones_above_are_kept_out),
        cmocka_unit_test(sweeps_pass_and_are_cut_off),
        cmocka_unit_test(time_zero_stays),
        cmocka_unit_test(lengths_are_rounded),
        cmocka_unit_test(cutting_changes_nothing),
        cmocka_unit_test(equal_rates_pass_through),
        cmocka_unit_test(impossible_rates_are_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("resample", tests, NULL, NULL);
}
