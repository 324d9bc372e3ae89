/* What a live session needs of the diarizer beside its public face: to look at each window as it goes on record, to
 * leave one out when there is no time for it, and to see something before the first window is full. */
#ifndef MT_DIARIZE_DIARIZER_H
#define MT_DIARIZE_DIARIZER_H

#include "diarize/record.h"
#include "diarize/snapshot.h"
#include "diarize/speakers.h"
#include "diarize/turns.h"
#include "motet/diarize.h"

/* Called when a window has gone on record, as the last one of mt_diarizer_record. */
typedef motet_status (*mt_follower)(void *user, const motet_chunk *chunk);

/* From now on `follower` sees every window, and leave_out, asked before each, may have it left out by answering other
 * than 0. Until the first window is full, the follower also sees every hop the window that begins with the recording,
 * as far as it has come and padded (chunk->start is where it would begin if it were full); it goes off the record again
 * before the next one, so that the end result knows nothing of it. Errors: MEMORY. */
motet_status mt_diarizer_follow(motet_diarizer *diarizer, mt_follower follower, int (*leave_out)(void *user),
                                void *user);

/* The end of the samples: the windows that are left go on record. motet_diarizer_finish then has only the global pass
 * to do. */
motet_status mt_diarizer_complete(motet_diarizer *diarizer);

mt_record *mt_diarizer_record(motet_diarizer *diarizer);
const mt_speaker_rules *mt_diarizer_rules(const motet_diarizer *diarizer);

/* The global pass on what is on record so far, for a thread of its own: copies of what it changes, and the rest, which
 * is in files and does not move, as it is. The diarizer may go on meanwhile, but not be reset. */
motet_status mt_snapshot_take(const motet_diarizer *diarizer, mt_snapshot *out);

/* Seconds beyond the end of a window that must have been heard before it can be encoded. */
double mt_diarizer_lookahead(const motet_diarizer *diarizer);

/* The rules for turns on what has come in so far. */
mt_turn_rules mt_diarizer_turn_rules(const motet_diarizer *diarizer);

#endif
