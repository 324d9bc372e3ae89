/* Sessions on models that are not as their files have them. */
#ifndef MT_ENGINE_SESSION_H
#define MT_ENGINE_SESSION_H

#include "graph/graph.h"
#include "motet/session.h"
#include "onnx/file.h"

/* Opens a session on `file`: on `model`, which was made of it, or on what it holds where that is NULL. `name` is for
 * messages. File and model are the session's from now on, also when this fails. */
motet_status mt_session_open_model(const char *name, const motet_session_options *options, mt_file *file,
                                   mt_model *model, motet_session **out);

#endif
