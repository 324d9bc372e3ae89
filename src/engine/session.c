/* A session holds what all its runs share - the mapped file, the model, the plan, what follows from the shapes of
 * inputs that it has seen (mt_shapes), the thread pool, the memory of outputs (mt_stock) - and a number of working
 * memories (mt_run). A run takes one of them, or makes one, so any number of threads can run at once, each in memory of
 * its own and without a lock but for taking and giving back. */
#include "motet/session.h"

#include <pthread.h>
#include <string.h>

#include "core/memory.h"
#include "core/pool.h"
#include "core/status.h"
#include "engine/denormals.h"
#include "engine/evaluate.h"
#include "engine/operators.h"
#include "engine/plan.h"
#include "engine/run.h"
#include "engine/session.h"
#include "engine/shapes.h"
#include "engine/stock.h"
#include "engine/transfer.h"
#include "graph/build.h"
#include "graph/passes/passes.h"
#include "onnx/file.h"

struct motet_session {
    char *name; /* for messages */
    bool reference, any_shape;
    mt_pass_set without; /* passes */
    mt_file *file;
    mt_model *model;
    mt_cache *cache; /* of packed weights, or NULL */
    mt_plan *plan;
    mt_pool *pool;
    bool owns_pool;
    pthread_mutex_t lock; /* guards `idle` */
    mt_run *idle;
    mt_stock *stock;  /* of outputs */
    mt_shapes shapes; /* what is known for shapes that runs had; made with the plan */
};

void motet_session_options_init(motet_session_options *options)
{
    *options = (motet_session_options){
        .threads = 0, .reference = false, .any_shape = false, .shared = NULL, .cache = NULL, .without = NULL};
}

/* --- threads -------------------------------------------------------------------------------------------------- */

struct motet_threads {
    mt_pool *pool;
};

static motet_status create_pool(int threads, mt_pool **out)
{
    unsigned control = mt_denormals_off(); /* which the pool's threads take over */
    motet_status status = mt_pool_create(threads ? threads : mt_cpu_count(), out);
    mt_denormals_restore(control);
    return status;
}

motet_status motet_threads_create(int threads, motet_threads **out)
{
    mt_pool *pool;
    *out = NULL;
    MT_TRY(create_pool(threads, &pool));
    *out = mt_alloc(sizeof **out);
    if (!*out) {
        mt_pool_destroy(pool);
        return mt_fail_memory(sizeof **out);
    }
    (*out)->pool = pool;
    return MOTET_OK;
}

void motet_threads_destroy(motet_threads *threads)
{
    if (!threads) return;
    mt_pool_destroy(threads->pool);
    mt_free(threads);
}

/* --- opening -------------------------------------------------------------------------------------------------- */

static motet_status simplify(motet_session *session)
{
    MT_TRY(mt_pass_gradient(session->model));
    MT_TRY(mt_pass_dead(session->model)); /* a missing operator matters only where it is used */
    MT_TRY(mt_find_operators(session->model));
    MT_TRY(mt_simplify(session->model, session->without, mt_evaluate, &session->reference));
    if (session->reference) return MOTET_OK;
    MT_TRY(mt_fuse(session->model, session->without, mt_evaluate, &session->reference));
    return mt_find_operators(session->model);
}

static motet_status settle(const mt_model *model, int value)
{
    motet_tensor *constant = value == MT_NO_VALUE ? NULL : model->values[value].tensor;
    return constant ? mt_tensor_settle(constant) : MOTET_OK;
}

/* Of the constants that the file shows at odd addresses, settles those that are not only packed. */
static motet_status settle_graph(const mt_model *model, const mt_graph *graph)
{
    for (int i = 0; i < graph->output_count; i++) MT_TRY(settle(model, graph->outputs[i]));
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(settle_graph(model, node->attributes[k].graph));
        for (int k = 0; k < node->input_count; k++) {
            const motet_tensor *constant =
                node->inputs[k] == MT_NO_VALUE ? NULL : model->values[node->inputs[k]].tensor;
            if (constant && !mt_op_only_packs(node, k, constant)) MT_TRY(settle(model, node->inputs[k]));
        }
    }
    return MOTET_OK;
}

static motet_status take_pool(motet_session *session, const motet_session_options *options)
{
    session->owns_pool = !options->shared;
    if (session->owns_pool) return create_pool(options->threads, &session->pool);
    session->pool = options->shared->pool;
    return MOTET_OK;
}

static motet_status prepare(motet_session *session, const motet_session_options *options)
{
    MT_TRY(mt_pass_set_read(options->without, &session->without));
    session->file->loose = !session->reference;
    if (!session->model) MT_TRY(mt_model_build(session->file, &session->model));
    mt_file_forget_structure(session->file);
    MT_TRY(simplify(session));
    MT_TRY(settle_graph(session->model, session->model->main));
    mt_file_let_go_of_all(session->file); /* most of the pages that were looked at were looked at for good */
    if (options->cache) MT_TRY(mt_cache_open(options->cache, &session->cache));
    MT_TRY(mt_plan_create(session->model, session->file, session->cache, &session->plan));
    mt_shapes_init(&session->shapes, session->plan);
    MT_TRY(mt_stock_create(&session->stock));
    return take_pool(session, options);
}

motet_status mt_session_open_model(const char *name, const motet_session_options *options, mt_file *file,
                                   mt_model *model, motet_session **out)
{
    motet_session_options defaults;
    *out = NULL;
    motet_session_options_init(&defaults);
    if (!options) options = &defaults;
    motet_session *session = mt_alloc_zero(1, sizeof *session);
    if (!session) {
        mt_model_destroy(model);
        mt_file_close(file);
        return mt_fail_memory(sizeof *session);
    }
    session->file = file;
    session->model = model;
    session->reference = options->reference;
    session->any_shape = options->any_shape;
    pthread_mutex_init(&session->lock, NULL);
    session->name = mt_copy_string(name);
    unsigned control = mt_denormals_off();
    motet_status status = session->name ? prepare(session, options) : mt_fail_memory(strlen(name));
    mt_denormals_restore(control);
    if (status == MOTET_OK)
        *out = session;
    else
        motet_session_close(session);
    return status;
}

motet_status motet_session_open(const char *path, const motet_session_options *options, motet_session **out)
{
    mt_file *file;
    *out = NULL;
    if (!path) return mt_fail(MOTET_ERROR_ARGUMENT, "no path of a model is given");
    MT_TRY_AS(mt_file_open(path, &file), "%s", path);
    MT_TRY_AS(mt_session_open_model(path, options, file, NULL, out), "%s", path);
    return MOTET_OK;
}

motet_status motet_session_open_memory(const void *bytes, size_t size, const motet_session_options *options,
                                       motet_session **out)
{
    static const char name[] = "model in memory";
    mt_file *file;
    *out = NULL;
    MT_TRY_AS(mt_file_open_memory(bytes, size, &file), "%s", name);
    MT_TRY_AS(mt_session_open_model(name, options, file, NULL, out), "%s", name);
    return MOTET_OK;
}

void motet_session_close(motet_session *session)
{
    if (!session) return;
    while (session->idle) {
        mt_run *run = session->idle;
        session->idle = run->next;
        mt_run_destroy(run);
    }
    if (session->owns_pool) mt_pool_destroy(session->pool);
    if (session->plan) mt_shapes_clear(&session->shapes);
    mt_stock_leave(session->stock);
    mt_plan_destroy(session->plan);
    mt_cache_close(session->cache);
    mt_model_destroy(session->model);
    mt_file_close(session->file);
    pthread_mutex_destroy(&session->lock);
    mt_free(session->name);
    mt_free(session);
}

/* --- what the file declares ----------------------------------------------------------------------------------- */

size_t motet_session_input_count(const motet_session *session)
{
    return (size_t)session->model->main->input_count;
}

size_t motet_session_output_count(const motet_session *session)
{
    return (size_t)session->model->main->output_count;
}

const motet_value_info *motet_session_input(const motet_session *session, size_t index)
{
    return index < motet_session_input_count(session) ? &session->model->inputs[index] : NULL;
}

const motet_value_info *motet_session_output(const motet_session *session, size_t index)
{
    return index < motet_session_output_count(session) ? &session->model->outputs[index] : NULL;
}

const char *motet_session_metadata(const motet_session *session, const char *key)
{
    for (size_t i = 0; i < session->model->metadata_count; i++)
        if (strcmp(session->model->metadata[i].key, key) == 0) return session->model->metadata[i].value;
    return NULL;
}

/* --- running -------------------------------------------------------------------------------------------------- */

static motet_status take_run(motet_session *session, mt_run **out)
{
    pthread_mutex_lock(&session->lock);
    mt_run *run = session->idle;
    if (run) session->idle = run->next;
    pthread_mutex_unlock(&session->lock);
    *out = run;
    return run ? MOTET_OK : mt_run_create(session->plan, session->pool, session->stock, session->reference, out);
}

static void give_run(motet_session *session, mt_run *run)
{
    mt_run_reset(run);
    mt_stock_trim(session->stock);
    pthread_mutex_lock(&session->lock);
    run->next = session->idle;
    session->idle = run;
    pthread_mutex_unlock(&session->lock);
    mt_keeper_go_on(session->plan->keeper);
}

/* Runs what has been fed, with what is known for its shapes; the first run on them finds out. */
static motet_status run_on_shapes(motet_session *session, mt_run *run)
{
    if (session->plan->known_count == 0) return mt_run_main(run);
    run->known = mt_shapes_find(&session->shapes, run->inputs);
    run->learning = !run->known;
    if (run->learning) run->known = mt_known_create(session->plan, run->inputs);
    if (!run->known) return mt_fail_memory(sizeof *run->known);
    motet_status status = mt_run_main(run);
    if (run->learning && status == MOTET_OK) mt_shapes_add(&session->shapes, run->known);
    mt_shapes_leave(&session->shapes, run->known);
    run->known = NULL;
    return status;
}

static motet_status run_once(motet_session *session, mt_run *run, const mt_transfer *transfer,
                             const motet_run_options *options)
{
    run->cancel = options->cancel;
    run->profile = options->profile;
    run->nested_seconds = 0;
    MT_TRY(mt_feed_inputs(run, transfer));
    MT_TRY(run_on_shapes(session, run));
    return mt_take_outputs(run, transfer);
}

void motet_run_options_init(motet_run_options *options)
{
    *options = (motet_run_options){.cancel = NULL, .profile = NULL};
}

motet_status motet_session_run_with(motet_session *session, const motet_run_options *options,
                                    const char *const *input_names, const motet_tensor *const *inputs,
                                    size_t input_count, const char *const *output_names, motet_tensor **outputs,
                                    size_t output_count)
{
    static const motet_run_options none = {NULL, NULL};
    mt_transfer transfer = {session->model, session->any_shape, input_names, inputs,
                            input_count,    output_names,       outputs,     output_count};
    mt_run *run;
    for (size_t i = 0; i < output_count; i++) outputs[i] = NULL;
    MT_TRY_AS(take_run(session, &run), "%s", session->name);
    unsigned control = mt_denormals_off();
    motet_status status = run_once(session, run, &transfer, options ? options : &none);
    mt_denormals_restore(control);
    give_run(session, run);
    return status == MOTET_OK ? status : mt_fail_in(status, "%s", session->name);
}

motet_status motet_session_run(motet_session *session, const char *const *input_names,
                               const motet_tensor *const *inputs, size_t input_count, const char *const *output_names,
                               motet_tensor **outputs, size_t output_count)
{
    return motet_session_run_with(session, NULL, input_names, inputs, input_count, output_names, outputs, output_count);
}
