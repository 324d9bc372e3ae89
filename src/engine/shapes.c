/* Entries are counted, as a run may work with one that others have meanwhile driven out. */
#include "engine/shapes.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"

static const size_t bytes_allowed = 16 * 1024 * 1024; /* for one set of shapes */

void mt_shapes_init(mt_shapes *shapes, const mt_plan *plan)
{
    *shapes = (mt_shapes){.plan = plan};
    pthread_mutex_init(&shapes->lock, NULL);
}

static void forget_tensors(const mt_plan *plan, mt_known *s)
{
    for (int i = 0; s->tensors && i < plan->known_count; i++) mt_tensor_clear(&s->tensors[i]);
    s->bytes = 0;
}

static void destroy(const mt_plan *plan, mt_known *s)
{
    forget_tensors(plan, s);
    mt_free(s->tensors);
    mt_free(s->shapes);
    mt_free(s);
}

/* With the lock held. */
static void let_go(mt_shapes *shapes, mt_known *s)
{
    if (--s->references == 0) destroy(shapes->plan, s);
}

void mt_shapes_clear(mt_shapes *shapes)
{
    for (int i = 0; i < shapes->count; i++) let_go(shapes, shapes->entries[i]);
    pthread_mutex_destroy(&shapes->lock);
}

/* --- looking up ----------------------------------------------------------------------------------------------- */

static bool is_for(const mt_known *s, const motet_tensor *const *inputs, int count)
{
    const int64_t *at = s->shapes;
    for (int i = 0; i < count; i++) {
        const motet_tensor *in = inputs[i];
        if (*at++ != in->rank) return false;
        for (int k = 0; k < in->rank; k++)
            if (*at++ != in->dims[k]) return false;
    }
    return true;
}

static void move_to_front(mt_shapes *shapes, int index)
{
    mt_known *s = shapes->entries[index];
    memmove(shapes->entries + 1, shapes->entries, (size_t)index * sizeof s);
    shapes->entries[0] = s;
}

mt_known *mt_shapes_find(mt_shapes *shapes, const motet_tensor *const *inputs)
{
    mt_known *found = NULL;
    pthread_mutex_lock(&shapes->lock);
    for (int i = 0; i < shapes->count && !found; i++) {
        if (!is_for(shapes->entries[i], inputs, shapes->plan->model->main->input_count)) continue;
        found = shapes->entries[i];
        found->references++;
        move_to_front(shapes, i);
    }
    pthread_mutex_unlock(&shapes->lock);
    return found;
}

void mt_shapes_leave(mt_shapes *shapes, mt_known *known)
{
    if (!known) return;
    pthread_mutex_lock(&shapes->lock);
    let_go(shapes, known);
    pthread_mutex_unlock(&shapes->lock);
}

/* --- filling in ----------------------------------------------------------------------------------------------- */

mt_known *mt_known_create(const mt_plan *plan, const motet_tensor *const *inputs)
{
    int count = plan->model->main->input_count;
    mt_known *s = mt_alloc_zero(1, sizeof *s);
    if (!s) return NULL;
    s->references = 1;
    s->whole = true;
    for (int i = 0; i < count; i++) s->shapes_count += 1 + (size_t)inputs[i]->rank;
    s->shapes = mt_alloc_array(s->shapes_count, sizeof *s->shapes);
    s->tensors = mt_alloc_zero((size_t)plan->known_count, sizeof *s->tensors);
    if (!s->shapes || !s->tensors) {
        destroy(plan, s);
        return NULL;
    }
    int64_t *at = s->shapes;
    for (int i = 0; i < count; i++) {
        *at++ = inputs[i]->rank;
        for (int k = 0; k < inputs[i]->rank; k++) *at++ = inputs[i]->dims[k];
    }
    return s;
}

motet_status mt_known_keep(mt_known *known, const mt_plan *plan, int value, const motet_tensor *tensor)
{
    int place = plan->known_place[value];
    if (place < 0 || !known->whole) return MOTET_OK;
    known->bytes += mt_tensor_bytes(tensor);
    if (known->bytes <= bytes_allowed) return mt_tensor_copy(&known->tensors[place], tensor);
    known->whole = false;
    forget_tensors(plan, known);
    return MOTET_OK;
}

void mt_shapes_add(mt_shapes *shapes, mt_known *known)
{
    pthread_mutex_lock(&shapes->lock);
    if (shapes->count == MT_SHAPES_MOST) let_go(shapes, shapes->entries[--shapes->count]);
    known->references++;
    shapes->entries[shapes->count] = known;
    move_to_front(shapes, shapes->count++);
    pthread_mutex_unlock(&shapes->lock);
}
