/* The shipped model and the shipped conversation, decoded once for all tests of a program: give the two functions to
 * cmocka_run_group_tests. */
#ifndef MT_TESTS_CONVERSATION_H
#define MT_TESTS_CONVERSATION_H

#include <stdlib.h>

#include "motet/motet.h"

static const char model[] = MOTET_SOURCE_DIR "/models/motet-cnn.onnx";
static float *samples;
static size_t sample_count;

static int read_conversation(void **state)
{
    (void)state;
    motet_audio *audio;
    if (motet_audio_open(MOTET_SOURCE_DIR "/samples/conversation.flac", NULL, &audio) != MOTET_OK) return 1;
    size_t capacity = (size_t)motet_audio_describe(audio)->frames, count;
    samples = malloc(capacity * sizeof *samples);
    while (motet_audio_read(audio, samples + sample_count, capacity - sample_count, &count) == MOTET_OK && count)
        sample_count += count;
    motet_audio_close(audio);
    return sample_count == capacity ? 0 : 1;
}

static int free_conversation(void **state)
{
    (void)state;
    free(samples);
    return 0;
}

#endif
