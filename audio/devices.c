/* The list of sources: a short visit to the sound server. */
#include <pulse/pulseaudio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/text.h"
#include "motet/capture.h"

typedef struct visit {
    pa_mainloop *loop;
    pa_context *context;
    motet_devices *devices;
    char *default_source, *default_monitor;
    bool failed, no_memory, done;
    size_t capacity;
} visit;

static void on_state(pa_context *context, void *user)
{
    visit *v = user;
    pa_context_state_t state = pa_context_get_state(context);
    v->failed = state == PA_CONTEXT_FAILED || state == PA_CONTEXT_TERMINATED;
}

/* One round of the loop; false when the server is gone or memory out. */
static bool turn(visit *v)
{
    return pa_mainloop_iterate(v->loop, 1, NULL) >= 0 && !v->failed && !v->no_memory;
}

static bool wait_for(visit *v, pa_operation *operation)
{
    v->done = false;
    while (operation && !v->done && turn(v)) continue;
    if (operation) pa_operation_unref(operation);
    return v->done;
}

static void on_server(pa_context *context, const pa_server_info *info, void *user)
{
    visit *v = user;
    mt_text name = {0}, monitor = {0};
    (void)context;
    mt_text_add(&name, "%s %s", info->server_name, info->server_version);
    mt_text_add(&monitor, "%s.monitor", info->default_sink_name ? info->default_sink_name : "");
    v->no_memory = mt_text_take(&name, &v->devices->server, NULL) != MOTET_OK;
    v->no_memory |= mt_text_take(&monitor, &v->default_monitor, NULL) != MOTET_OK;
    v->default_source = mt_copy_string(info->default_source_name ? info->default_source_name : "");
    v->no_memory |= !v->default_source;
    v->done = true;
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *user)
{
    visit *v = user;
    motet_devices *d = v->devices;
    (void)context;
    v->done = end != 0;
    if (end || v->no_memory) return;
    if (!mt_reserve((void **)&d->items, d->count, &v->capacity, sizeof *d->items)) {
        v->no_memory = true;
        return;
    }
    motet_device *device = &d->items[d->count++];
    *device =
        (motet_device){.name = mt_copy_string(info->name),
                       .description = mt_copy_string(info->description),
                       .monitor = info->monitor_of_sink != PA_INVALID_INDEX,
                       .chosen = !strcmp(info->name, v->default_source) || !strcmp(info->name, v->default_monitor),
                       .rate = (int)info->sample_spec.rate,
                       .channels = info->sample_spec.channels};
    v->no_memory = !device->name || !device->description;
}

static bool ask(visit *v)
{
    v->loop = pa_mainloop_new();
    v->context = v->loop ? pa_context_new(pa_mainloop_get_api(v->loop), "motet") : NULL;
    if (!v->context) return false;
    pa_context_set_state_callback(v->context, on_state, v);
    if (pa_context_connect(v->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0) return false;
    while (pa_context_get_state(v->context) != PA_CONTEXT_READY)
        if (!turn(v)) return false;
    return wait_for(v, pa_context_get_server_info(v->context, on_server, v)) && !v->no_memory &&
           wait_for(v, pa_context_get_source_info_list(v->context, on_source, v)) && !v->no_memory;
}

static void leave(visit *v)
{
    if (v->context) {
        pa_context_set_state_callback(v->context, NULL, NULL);
        pa_context_disconnect(v->context);
        pa_context_unref(v->context);
    }
    if (v->loop) pa_mainloop_free(v->loop);
    mt_free(v->default_source);
    mt_free(v->default_monitor);
}

motet_status motet_devices_list(motet_devices **out)
{
    *out = NULL;
    visit v = {.devices = mt_alloc_zero(1, sizeof *v.devices)};
    if (!v.devices) return mt_fail_memory(sizeof *v.devices);
    bool told = ask(&v);
    int error = v.context ? pa_context_errno(v.context) : PA_ERR_INTERNAL;
    leave(&v);
    if (!told) {
        motet_devices_destroy(v.devices);
        return v.no_memory ? mt_fail_memory(sizeof *v.devices)
                           : mt_fail(MOTET_ERROR_IO, "no sound server can be reached: %s", pa_strerror(error));
    }
    *out = v.devices;
    return MOTET_OK;
}

void motet_devices_destroy(motet_devices *devices)
{
    if (!devices) return;
    for (size_t i = 0; i < devices->count; i++) {
        mt_free(devices->items[i].name);
        mt_free(devices->items[i].description);
    }
    mt_free(devices->items);
    mt_free(devices->server);
    mt_free(devices);
}
