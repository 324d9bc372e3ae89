#include "dsp/planner.h"

#include <pthread.h>

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

fftwf_plan mt_fft_plan(int points, float *input, fftwf_complex *spectrum)
{
    pthread_mutex_lock(&planner);
    fftwf_plan plan = fftwf_plan_dft_r2c_1d(points, input, spectrum, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planner);
    return plan;
}

void mt_fft_forget(fftwf_plan plan)
{
    if (!plan) return;
    pthread_mutex_lock(&planner);
    fftwf_destroy_plan(plan);
    pthread_mutex_unlock(&planner);
}
