/* FFTW makes and forgets plans in global tables; only running them is free of locks. Plans are FFTW's estimate, for a
 * measured plan may differ from run to run, and its roundings with it. */
#ifndef MT_DSP_PLANNER_H
#define MT_DSP_PLANNER_H

#include <fftw3.h>

/* A real transform of `points` points from `input` to `spectrum`; NULL when there is no memory for it. */
fftwf_plan mt_fft_plan(int points, float *input, fftwf_complex *spectrum);
void mt_fft_forget(fftwf_plan plan); /* NULL is allowed */

#endif
