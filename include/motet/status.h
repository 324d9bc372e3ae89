/* What a call came to, and why it failed.
 *
 * Every call that can fail returns a motet_status. When it is not MOTET_OK, motet_error_message() holds one line of
 * text that names the place: the file, node, operator, input or line, what was expected and what came. The message
 * belongs to the calling thread and lasts until that thread's next failing call. */
#ifndef MOTET_STATUS_H
#define MOTET_STATUS_H

#if defined(__GNUC__)
#define MOTET_API     __attribute__((visibility("default")))
#define MOTET_CHECKED __attribute__((warn_unused_result))
#else
#define MOTET_API
#define MOTET_CHECKED
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum motet_status {
    MOTET_OK = 0,
    MOTET_ERROR_ARGUMENT,    /* the caller passed something that cannot be */
    MOTET_ERROR_MEMORY,      /* an allocation failed */
    MOTET_ERROR_IO,          /* the operating system refused to read or write */
    MOTET_ERROR_FORMAT,      /* a file or stream is not what it should be: damaged, truncated, another format */
    MOTET_ERROR_UNSUPPORTED, /* well formed, but beyond what motet does: a missing operator, an unknown role */
    MOTET_ERROR_SHAPE,       /* tensors of types or shapes that do not fit together */
    MOTET_ERROR_LIMIT,       /* beyond a limit that guards against hostile input */
    MOTET_ERROR_CANCELLED,   /* stopped on request */
    MOTET_ERROR_DIFFERENT    /* compared things that are further apart than allowed */
} motet_status;

/* A short English name such as "out of memory"; never NULL. Static storage. */
MOTET_API const char *motet_status_name(motet_status status);

/* The message of this thread's last failure, "" when there was none. Owned by the library. */
MOTET_API const char *motet_error_message(void);

/* "0.1.0": the version of the library that runs, which may be newer than the headers. */
MOTET_API const char *motet_version(void);

/* Frees a text that the library handed out. NULL is allowed. */
MOTET_API void motet_string_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
