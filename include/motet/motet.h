/* Everything motet offers, in one include. */
#ifndef MOTET_MOTET_H
#define MOTET_MOTET_H

#include "motet/audio.h"
#include "motet/capture.h"
#include "motet/compare.h"
#include "motet/diarize.h"
#include "motet/file.h"
#include "motet/latency.h"
#include "motet/live.h"
#include "motet/model.h"
#include "motet/quantize.h"
#include "motet/score.h"
#include "motet/session.h"
#include "motet/status.h"
#include "motet/tensor.h"
#include "motet/tensor_file.h"
#include "motet/voices.h"

#endif
