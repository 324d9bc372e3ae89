/* What the one who reads from a capture sees of it. */
#include "audio/capture.h"

#include "core/memory.h"

void mt_capture_free(motet_capture *capture)
{
    mt_ring_destroy(capture->ring);
    mt_free(capture->name);
    mt_free(capture);
}

void motet_capture_close(motet_capture *capture)
{
    if (capture) capture->close(capture);
}

int motet_capture_rate(const motet_capture *capture)
{
    return capture->rate;
}

const char *motet_capture_name(const motet_capture *capture)
{
    return capture->name;
}

int motet_capture_descriptor(const motet_capture *capture)
{
    return mt_ring_descriptor(capture->ring);
}

bool motet_capture_read(motet_capture *capture, motet_block *block)
{
    return mt_ring_read(capture->ring, block);
}

void motet_capture_look(motet_capture *capture, motet_capture_state *state)
{
    const char *trouble = atomic_load(&capture->trouble);
    *state = (motet_capture_state){
        .connected = atomic_load(&capture->connected),
        .backlog = capture->plays || !capture->rate ? 0 : (double)mt_ring_waiting(capture->ring) / capture->rate,
        .drift_ppm = atomic_load(&capture->drift_ppm),
        .overwritten = mt_ring_overwritten(capture->ring),
        .trouble = trouble ? trouble : ""};
}

motet_status motet_capture_verdict(motet_capture *capture)
{
    motet_status status = (motet_status)atomic_load(&capture->status);
    return status == MOTET_OK ? status : mt_fail(status, "%s", capture->message);
}
