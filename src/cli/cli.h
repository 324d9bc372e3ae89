/* The motet command. Results go to stdout, everything else to stderr. It uses the public API alone. */
#ifndef MOTET_CLI_H
#define MOTET_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSE = 2, EXIT_PARTLY = 3 };

/* One function a command: argv[0] is the command's name. Returns the exit status. */
int cli_diarize(int argc, char **argv);
int cli_enroll(int argc, char **argv);
int cli_identify(int argc, char **argv);
int cli_score(int argc, char **argv);
int cli_tune(int argc, char **argv);
int cli_model(int argc, char **argv);
int cli_live(int argc, char **argv);
int cli_devices(int argc, char **argv);

/* "motet diarize: text" on stderr. */
void cli_say(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same and "Try 'motet diarize --help'."; returns EXIT_MISUSE. */
int cli_misuse(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Replaces control characters by '?'. */
void cli_make_printable(char *text);

/* Numbers from the command line, whole and in range; false (with a message) when they are not. */
bool cli_int(const char *command, const char *option, const char *text, long low, long high, int *out);
bool cli_number(const char *command, const char *option, const char *text, double low, double high, double *out);

/* A length of time: "90", "90s", "30m", "1h30m". */
bool cli_duration(const char *command, const char *option, const char *text, double *out);

/* Writes to stdout and makes sure that it arrived. */
bool cli_print(const char *command, const char *text, size_t length);

/* Makes a folder and the folders above it. */
bool cli_make_folder(const char *command, const char *path);

/* The path of a model that is shipped, in `path`; false when it is nowhere. */
bool cli_find_model(const char *name, char *path, size_t size);

/* Where no diarizer model is given: $MOTET_MODEL, or the default one, its path in `path`. NULL (and said) when it is
 * nowhere. */
const char *cli_choose_model(const char *command, const char *given, char *path, size_t size);

/* The network for voices: the one that is given, or $MOTET_EMBEDDING, its path in `path` where it is shipped; or NULL for
 * the model's own voices. */
const char *cli_choose_embedding(const char *given, char *path, size_t size);

/* ^C, SIGTERM and SIGHUP: the first asks to stop, which cli_interrupted tells; the second kills. cli_die_of_signal ends
 * the process the way an interrupted one should end, so that a shell loop stops too. */
void cli_catch_signals(void);
bool cli_interrupted(void);
int cli_die_of_signal(void);

/* What the second signal writes to stderr before it kills, to leave a terminal in order; NULL: nothing. It is kept by
 * reference. */
void cli_before_dying(const char *text);

#endif
