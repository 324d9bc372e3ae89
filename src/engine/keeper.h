/* What operators make of constants once and for all (mt_keep): packed weights. They lie close together in large blocks,
 * and what they were made of leaves memory as it is no longer read.
 *
 * To make them costs more than a run: every page of theirs is new to the process. So the large ones that an operator
 * can do without are made behind the first runs, by a thread of the keeper's own, which ends when nothing is left to
 * make. A process that runs a model once never pays for them; one that runs on is a little slower until they are there.
 * Their memory is asked for in the first run all the same, and lies in huge pages: those cost a load too much, but
 * not a thread that nobody waits for, and runs are some percent faster with them. Only where a session may have more
 * than one thread, so that none gets company beside its single one, and there is no cache to fill. */
#ifndef MT_ENGINE_KEEPER_H
#define MT_ENGINE_KEEPER_H

#include "engine/cache.h"
#include "onnx/file.h"
#include "ops/op.h"

typedef struct mt_keeper mt_keeper;

/* `file` holds the constants and must outlive the keeper; NULL: they are elsewhere, and stay. `cache`, this
 * keeper's alone, must outlive it too; NULL: nothing is kept on the disk. */
motet_status mt_keeper_create(const mt_file *file, mt_cache *cache, mt_keeper **out);
void mt_keeper_destroy(mt_keeper *keeper); /* NULL is allowed */

/* Finds *place filled in or makes what belongs there of `constant` (NULL: of a node's attributes). Any number of
 * threads may ask at once; one of them makes it, and those that want something else of the keeper meanwhile wait.
 * *out is NULL if that is to be made later. Errors: MEMORY. */
motet_status mt_keeper_find(mt_keeper *keeper, mt_pool *pool, const motet_tensor *constant, const mt_layout *layout,
                            _Atomic(const void *) *place, const void **out);

/* What has been made so, or NULL. */
const void *mt_keeper_look(_Atomic(const void *) *place);

/* To be called after every run: what was put off is begun. */
void mt_keeper_go_on(mt_keeper *keeper);

#endif
