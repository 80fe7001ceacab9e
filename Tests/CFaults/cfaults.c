// See the header. Each function asks the kernel itself, so that nothing has to be looked up in the C library.
#define _GNU_SOURCE
#include "cfaults.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    atomic_int is_on;
    char call[16];
    char file[64];
    int first, count, error;
    atomic_int seen, failed;
} request;

void cfaults_fail(const char *call, const char *file, int first, int count, int error) {
    atomic_store(&request.is_on, 0);
    snprintf(request.call, sizeof request.call, "%s", call);
    snprintf(request.file, sizeof request.file, "%s", file);
    request.first = first;
    request.count = count;
    request.error = error;
    atomic_store(&request.seen, 0);
    atomic_store(&request.failed, 0);
    atomic_store(&request.is_on, 1);
}

void cfaults_stop(void) { atomic_store(&request.is_on, 0); }

int cfaults_failed(void) { return atomic_load(&request.failed); }

static int ends_with(const char *path, const char *end) {
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static int is_call(const char *call, int file) {
    if (strcmp(request.call, "any") == 0 || strcmp(request.call, call) == 0) return 1;
    if (strcmp(request.call, "meta") != 0 || strcmp(call, "pwrite") != 0) return 0;
    return (syscall(SYS_fcntl, file, F_GETFL) & O_DSYNC) != 0;
}

/// Whether this call fails.
static int fails(const char *call, int file, const char *path) {
    if (!atomic_load(&request.is_on) || !is_call(call, file)) return 0;
    char link[64], name[4096];
    if (path == NULL) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, name, sizeof name - 1);
        if (length <= 0) return 0;
        name[length] = 0;
        path = name;
    }
    if (!ends_with(path, request.file)) return 0;
    int number = atomic_fetch_add(&request.seen, 1) + 1;
    if (number < request.first || (request.count > 0 && number >= request.first + request.count)) return 0;
    atomic_fetch_add(&request.failed, 1);
    errno = request.error;
    return 1;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    if (fails("pwrite", file, NULL)) {
        if (request.error != 0) return -1;
        count /= 2;
    }
    return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (fails("write", file, NULL)) {
        if (request.error != 0) return -1;
        count /= 2;
    }
    return syscall(SYS_write, file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (fails("writev", file, NULL)) {
        if (request.error != 0) return -1;
        count = 1;
    }
    return syscall(SYS_writev, file, parts, count);
}

int fdatasync(int file) { return fails("fdatasync", file, NULL) ? -1 : (int)syscall(SYS_fdatasync, file); }

int fsync(int file) { return fails("fsync", file, NULL) ? -1 : (int)syscall(SYS_fsync, file); }

int ftruncate(int file, off_t length) {
    return fails("ftruncate", file, NULL) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
    return fails("fallocate", file, NULL) ? -1 : (int)syscall(SYS_fallocate, file, mode, offset, length);
}

int open(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    if (fails("open", -1, path)) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && fails("mmap", file, NULL)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}
