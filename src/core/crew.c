/* One slice that is lost now and then is no reason: half the workers gone for as long as it takes to try them would
 * cost more. A pause grows with each trial that fails and each wait that is lost, so that a worker beside a busy
 * process costs next to nothing, and shrinks again while all is well. */
#include "core/crew.h"

/* Seconds. */
static const double grace = 50e-6;   /* beyond what a block takes, before waiting counts as lost */
static const double window = 0.02;   /* of work, after which the account is looked at, or as soon as that is lost */
static const double part_lost = 0.2; /* of a window that makes one worker fewer */
static const double trial_length = 0.01, trial_loss = 2e-3; /* more, and less, than a slice of the usual schedulers */
static const double first_pause = 0.01, longest_pause = 0.25;
static const double growth = 2; /* of the pause, each time */
static const double calm = 0.8; /* by which a window with everybody and without loss shortens it */

void mt_crew_init(mt_crew *crew, int size)
{
    *crew = (mt_crew){.size = size, .joining = size, .pause = first_pause};
}

static void rest(mt_crew *crew, double time)
{
    crew->next_trial = time + crew->pause;
    crew->pause = crew->pause < longest_pause / growth ? growth * crew->pause : longest_pause;
}

static void close_window(mt_crew *crew, bool held_up, double time)
{
    if (held_up && crew->joining > 0) {
        crew->joining--;
        rest(crew, time);
    } else if (!held_up && crew->joining == crew->size) {
        crew->pause = crew->pause > first_pause / calm ? calm * crew->pause : first_pause;
    }
    crew->worked = crew->lost = 0;
}

/* What of the loop's time counts as lost: of a crowded one all. */
static double lost_in(const mt_loop_account *loop)
{
    double waited = loop->time - loop->end;
    if (loop->crowded) return loop->time - loop->start;
    return loop->done > 0 && waited > grace + 2 * (loop->end - loop->start) / (double)loop->done ? waited : 0;
}

void mt_crew_account(mt_crew *crew, const mt_loop_account *loop)
{
    crew->worked += loop->time - loop->start;
    crew->lost += lost_in(loop);
    bool held_up = crew->lost > part_lost * window;
    if (held_up || crew->worked > window) close_window(crew, held_up, loop->time);
}

bool mt_crew_wants_trial(const mt_crew *crew, double time)
{
    return crew->joining < crew->size && time >= crew->next_trial;
}

void mt_crew_judge(mt_crew *crew, bool passed, double time)
{
    if (passed && crew->joining < crew->size) crew->joining++;
    if (!passed) rest(crew, time);
}

void mt_trial_init(mt_trial *trial, double start)
{
    *trial = (mt_trial){start, start, 0};
}

mt_trial_state mt_trial_look(mt_trial *trial, double time)
{
    double gap = time - trial->seen;
    trial->seen = time;
    if (gap > grace) trial->lost += gap;
    if (trial->lost > trial_loss) return MT_TRIAL_FAILED;
    return time >= trial->start + trial_length ? MT_TRIAL_PASSED : MT_TRIAL_GOES_ON;
}
