/* Preloaded into a Python process: gives its packages the random bytes and the time that a script
 * chooses, so that what they make of them can be compared byte by byte.
 *
 * The script finds the functions `fixed_*` in its own process. Until it calls them, and for
 * randomness asked for with flags (hash tables, which have nothing to do with the results), the
 * real ones answer. Running out of chosen bytes is an error of the call that wanted more.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

static const unsigned char *bytes;
static size_t bytes_left;
static int bytes_chosen;

static struct timespec clock_value;
static int clock_chosen;

void fixed_random(const unsigned char *from, size_t count) {
    bytes = from;
    bytes_left = count;
    bytes_chosen = from != NULL;
}

size_t fixed_random_left(void) {
    return bytes_left;
}

void fixed_clock(long long seconds, long nanoseconds) {
    clock_value.tv_sec = seconds;
    clock_value.tv_nsec = nanoseconds;
    clock_chosen = 1;
}

void real_clock(void) {
    clock_chosen = 0;
}

/* Whether chosen bytes answer; then `result` is what the call returns. */
static int answered(void *buffer, size_t count, unsigned int flags, long *result) {
    if (!bytes_chosen || flags != 0) {
        return 0;
    }
    if (count > bytes_left) {
        errno = EIO;
        *result = -1;
        return 1;
    }
    if (count > 0) {
        memcpy(buffer, bytes, count);
    }
    bytes += count;
    bytes_left -= count;
    *result = (long)count;
    return 1;
}

ssize_t getrandom(void *buffer, size_t count, unsigned int flags) {
    static ssize_t (*real)(void *, size_t, unsigned int);
    long result;
    if (answered(buffer, count, flags, &result)) {
        return (ssize_t)result;
    }
    if (!real) {
        real = dlsym(RTLD_NEXT, "getrandom");
    }
    return real(buffer, count, flags);
}

/* Rust's packages ask the kernel by number. */
long syscall(long number, ...) {
    static long (*real)(long, ...);
    long arguments[6], result;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        arguments[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_getrandom && answered((void *)arguments[0], (size_t)arguments[1],
                                            (unsigned int)arguments[2], &result)) {
        return result;
    }
    if (!real) {
        real = dlsym(RTLD_NEXT, "syscall");
    }
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

int clock_gettime(clockid_t which, struct timespec *value) {
    static int (*real)(clockid_t, struct timespec *);
    if (clock_chosen && which == CLOCK_REALTIME) {
        *value = clock_value;
        return 0;
    }
    if (!real) {
        real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    return real(which, value);
}
