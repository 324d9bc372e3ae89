/* What tests of front ends hear, and what the scripts beside the reference files made of it. */
#ifndef TESTS_REFERENCE_SIGNAL_H
#define TESTS_REFERENCE_SIGNAL_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, SAMPLES = 19200, TONE = 9600, SOUND = 16000, CLICK = 14000 };

/* The signal of data/mel_reference.py. */
static float *make_signal(void)
{
    float *samples = malloc(SAMPLES * sizeof *samples);
    assert_non_null(samples);
    uint32_t state = 1;
    for (int i = 0; i < SAMPLES; i++) {
        state = state * 1664525u + 1013904223u;
        double t = (double)i / RATE, value = 0.05 * ((double)(state >> 8) / 16777216 - 0.5);
        if (i < TONE) value += 0.4 * sin(2 * M_PI * (100 * t + 5000 * t * t));
        if (i == CLICK) value = 1;
        samples[i] = i < SOUND ? (float)value : 0;
    }
    return samples;
}

/* The [rows,columns] float32 array of data/NAME.npy (NumPy's format, version 1); freed by the caller. */
static float *read_reference(const char *name, size_t rows, size_t columns)
{
    char path[512], text[256] = "", shape[64];
    snprintf(path, sizeof path, MOTET_SOURCE_DIR "/tests/unit/data/%s.npy", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char head[10];
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    size_t length = head[8] | (size_t)head[9] << 8, count = rows * columns;
    assert_true(length < sizeof text);
    assert_int_equal(fread(text, 1, length, file), length);
    snprintf(shape, sizeof shape, "(%zu, %zu)", rows, columns);
    assert_non_null(strstr(text, "'<f4'"));
    assert_non_null(strstr(text, shape));
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    assert_int_equal(fread(values, sizeof *values, count, file), count);
    fclose(file);
    return values;
}

#endif
