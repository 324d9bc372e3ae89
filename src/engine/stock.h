/* The memory of tensors that leave a session with its callers, and comes back when they destroy them: from any thread,
 * whenever they like, also after the session is closed. */
#ifndef MT_ENGINE_STOCK_H
#define MT_ENGINE_STOCK_H

#include "core/tensor.h"

typedef struct mt_stock mt_stock;

motet_status mt_stock_create(mt_stock **out);

/* Lets go of the stock, which goes with the last tensor that is still out. NULL is allowed. */
void mt_stock_leave(mt_stock *stock);

/* As mt_tensor_alloc (not for strings). The buffer brings a tensor along that can be handed out: its `handle`. */
motet_status mt_stock_tensor(mt_stock *stock, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims);

/* To be called after every run: now and then frees what the runs since the last time did not need. */
void mt_stock_trim(mt_stock *stock);

#endif
