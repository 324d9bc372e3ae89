/* A line at most ten times a second, so that showing progress costs nothing. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double monotonic_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void progress_begin(progress *p, const char *name, double total, bool quiet)
{
    *p = (progress){.name = name, .total = total, .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1};
    p->began = monotonic_seconds();
    p->shown_at = p->began;
}

static const char *clock_text(double seconds, char *text, size_t size)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    return text;
}

static void print_state(const progress *p, double done, double elapsed)
{
    char a[32], b[32], c[32];
    double speed = elapsed > 0 ? done / elapsed : 0;
    fprintf(stderr, "%s: %s", p->name, clock_text(done, a, sizeof a));
    if (p->total > 0) {
        fprintf(stderr, " of %s (%.0f %%)", clock_text(p->total, b, sizeof b), 100 * done / p->total);
        if (speed > 0) fprintf(stderr, ", %s left", clock_text((p->total - done) / speed, c, sizeof c));
    }
    fprintf(stderr, ", %.0f x real time", speed);
}

void progress_show(progress *p, double done)
{
    double now = monotonic_seconds();
    if (p->quiet) return;
    if (p->total > 0 && done > p->total) done = p->total;
    if (p->terminal) {
        if (now - p->shown_at < 0.1) return;
        fputs("\r\033[K", stderr);
        print_state(p, done, now - p->began);
        fflush(stderr);
        p->drawn = true;
    } else {
        /* A tenth of the recording when its length is known, ten minutes of it when not; never more than one a second.
         */
        int tenths = (int)(p->total > 0 ? 10 * done / p->total : done / 600);
        if (tenths <= p->tenths || now - p->shown_at < 1) return;
        p->tenths = tenths;
        print_state(p, done, now - p->began);
        fputc('\n', stderr);
    }
    p->shown_at = now;
}

void progress_end(progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}
