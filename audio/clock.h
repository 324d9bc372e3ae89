/* The time line of a device whose samples come when they come. It begins with the first of them.
 *
 * Samples are counted from an anchor, the moment at which the first of them was captured; that count is exact as long as
 * the device's clock agrees with the machine's and nothing is lost on the way. Whether it does shows in how far the
 * moments at which blocks were captured run away from the count. Single moments scatter, so the median of the last ones
 * is taken, and corrected when it is 20 ms. */
#ifndef MT_AUDIO_CLOCK_H
#define MT_AUDIO_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { MT_CLOCK_MOMENTS = 64 };

typedef struct mt_clock {
    int rate;
    bool begun;
    double zero;       /* monotonic seconds at which the time line began */
    int64_t next;      /* the sample that comes next */
    bool adrift;       /* the next block says anew where it stands */
    double anchored;   /* when the anchor was captured */
    int64_t counted;   /* samples since then */
    double moments[MT_CLOCK_MOMENTS]; /* how far they were from the count, seconds */
    int moment_count;
    double moment_at; /* when the last one was taken */
    double drift_ppm;
} mt_clock;

void mt_clock_init(mt_clock *clock, int rate);

/* From here on the count is not to be trusted: samples may be missing. */
void mt_clock_unmoor(mt_clock *clock);

/* Takes a block of `count` samples, the first of them captured at `captured`. Returns where it begins; what lies before
 * clock->next was there already. */
int64_t mt_clock_take(mt_clock *clock, int count, double captured);

/* Nothing has come until `now`: the time line goes on to there, and *start is set, when it was behind. With no block yet,
 * it begins there. */
bool mt_clock_pass(mt_clock *clock, double now, int64_t *start);

#endif
