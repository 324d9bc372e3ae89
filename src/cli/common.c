/* What all commands share: messages, numbers, output, folders, signals, where the models are. */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* File names may hold anything; what would steer a terminal is shown as '?'. */
static void say(const char *command, const char *format, va_list arguments)
{
    char text[8192];
    vsnprintf(text, sizeof text, format, arguments);
    cli_make_printable(text);
    fprintf(stderr, "motet %s: %s\n", command, text);
}

void cli_make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
}

void cli_say(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(command, format, arguments);
    va_end(arguments);
}

int cli_misuse(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(command, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'motet %s --help'.\n", command);
    return EXIT_MISUSE;
}

bool cli_number(const char *command, const char *option, const char *text, double low, double high, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end != text && !*end && isfinite(*out) && *out >= low && *out <= high) return true;
    cli_misuse(command, "--%s %s: expected a number from %g to %g", option, text, low, high);
    return false;
}

bool cli_int(const char *command, const char *option, const char *text, long low, long high, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    *out = (int)value;
    if (end != text && !*end && !errno && value >= low && value <= high) return true;
    cli_misuse(command, "--%s %s: expected a whole number from %ld to %ld", option, text, low, high);
    return false;
}

bool cli_duration(const char *command, const char *option, const char *text, double *out)
{
    static const struct {
        char letter;
        double seconds;
    } units[] = {{'h', 3600}, {'m', 60}, {'s', 1}, {'\0', 1}};
    const char *at = text;
    *out = 0;
    for (size_t unit = 0; *at && unit < sizeof units / sizeof *units;) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || !(value >= 0 && value <= 1e7)) break;
        while (unit < sizeof units / sizeof *units && units[unit].letter != *end) unit++;
        if (unit == sizeof units / sizeof *units) break;
        *out += value * units[unit++].seconds;
        at = *end ? end + 1 : end;
    }
    if (!*at && *text && *out > 0) return true;
    cli_misuse(command, "--%s %s: expected a length of time such as 90s, 30m or 1h30m", option, text);
    return false;
}

bool cli_print(const char *command, const char *text, size_t length)
{
    if (fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0) return true;
    cli_say(command, "standard output: cannot write: %s", strerror(errno));
    return false;
}

bool cli_make_folder(const char *command, const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        cli_say(command, "%s: the name is too long", path);
        return false;
    }
    int why = 0;
    for (char *slash = part + 1; !why; slash++) {
        if (*slash && *slash != '/') continue;
        char ended = *slash;
        *slash = '\0';
        if (mkdir(part, 0777) && errno != EEXIST) why = errno;
        *slash = ended;
        if (!ended) break;
    }
    struct stat at;
    if (!why && stat(path, &at) == 0 && S_ISDIR(at.st_mode)) return true;
    cli_say(command, "%s: cannot make this folder: %s", path, strerror(why ? why : ENOTDIR));
    return false;
}

/* Beside the program when it is installed (bin/../share/motet/models) or built (build/PRESET/../../models), else where
 * the build was told to install to. */
bool cli_find_model(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"../share/motet/models", "../../models"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        char *slash = strrchr(program, '/');
        if (slash) *slash = '\0';
        for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
            if (snprintf(path, size, "%s/%s/%s", program, folders[i], name) < (int)size && access(path, R_OK) == 0)
                return true;
    }
    return snprintf(path, size, "%s/%s", MOTET_MODEL_DIR, name) < (int)size && access(path, R_OK) == 0;
}

/* A file, or the name of a model that comes with the program, like motet-cnn-int8; those of other people lie in a
 * folder of their own. */
static const char *named_model(const char *name, char *path, size_t size)
{
    static const char *const patterns[] = {"%s.onnx", "third-party/%s.onnx"};
    char file[NAME_MAX];
    if (strchr(name, '/') || access(name, F_OK) == 0) return name;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (snprintf(file, sizeof file, patterns[i], name) < (int)sizeof file && cli_find_model(file, path, size))
            return path;
    return name;
}

const char *cli_choose_model(const char *command, const char *given, char *path, size_t size)
{
    const char *set = getenv("MOTET_MODEL");
    if (given) return named_model(given, path, size);
    if (set && *set) return named_model(set, path, size);
    if (cli_find_model("motet-cnn.onnx", path, size)) return path;
    cli_say(command, "the default model motet-cnn.onnx is not installed in %s: give one with --model", MOTET_MODEL_DIR);
    return NULL;
}

const char *cli_choose_embedding(const char *given, char *path, size_t size)
{
    const char *set = getenv("MOTET_EMBEDDING");
    if (given) return named_model(given, path, size);
    return set && *set ? named_model(set, path, size) : NULL;
}

static volatile sig_atomic_t caught;

static const char *volatile last_words;

void cli_before_dying(const char *text)
{
    last_words = text;
}

static void on_signal(int number)
{
    if (caught) {
        const char *words = last_words;
        if (words) (void)!write(STDERR_FILENO, words, strlen(words));
        signal(number, SIG_DFL);
        raise(number);
    }
    caught = number;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool cli_interrupted(void)
{
    return caught != 0;
}

int cli_die_of_signal(void)
{
    signal(caught, SIG_DFL);
    raise(caught);
    return 128 + caught;
}
