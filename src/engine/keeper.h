/* What operators make of constants once and for all (mt_keep): packed weights. They lie close together in large blocks,
 * in pages as they come (mt_alloc_huge says why: a load is mostly their pages, and products read them in order), and
 * what they were made of leaves memory as it is no longer read. */
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
 * Errors: MEMORY. */
motet_status mt_keeper_find(mt_keeper *keeper, const motet_tensor *constant, const mt_layout *layout,
                            _Atomic(const void *) *place, const void **out);

#endif
