// See the header. Each function asks the kernel itself, so that nothing has to be looked up in the C library.
#define _GNU_SOURCE
#include "cfaults.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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

int cfaults_seen(void) { return atomic_load(&request.seen); }

/// The recording. The lock is held during each call that is recorded, so that the order of the entries is the order in
/// which the kernel saw the calls.
static struct {
    atomic_int is_on;
    char file[64];
    int log;
    pthread_mutex_t lock;
} recording = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int is_file(int file, const char *end);

static void append(const void *bytes, size_t count) {
    const char *rest = bytes;
    while (count > 0) {
        ssize_t written = syscall(SYS_write, recording.log, rest, count);
        // A log that is not whole would make false images: the run ends.
        if (written <= 0) abort();
        rest += written;
        count -= (size_t)written;
    }
}

static void enter(uint32_t kind, uint32_t is_synced, uint64_t offset, uint64_t length) {
    cfaults_entry entry = {kind, is_synced, offset, length};
    append(&entry, sizeof entry);
}

int cfaults_record(const char *file, const char *log) {
    recording.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (recording.log < 0) return -1;
    snprintf(recording.file, sizeof recording.file, "%s", file);
    atomic_store(&recording.is_on, 1);
    return 0;
}

void cfaults_mark(uint64_t number) {
    pthread_mutex_lock(&recording.lock);
    enter(CFAULTS_MARK, 0, number, 0);
    pthread_mutex_unlock(&recording.lock);
}

void cfaults_record_stop(void) {
    pthread_mutex_lock(&recording.lock);
    atomic_store(&recording.is_on, 0);
    syscall(SYS_close, recording.log);
    pthread_mutex_unlock(&recording.lock);
}

/// Whether a call on this file is recorded; then the lock is held until `recorded`.
static int records(int file) {
    if (!atomic_load(&recording.is_on) || !is_file(file, recording.file)) return 0;
    pthread_mutex_lock(&recording.lock);
    if (atomic_load(&recording.is_on)) return 1;
    pthread_mutex_unlock(&recording.lock);
    return 0;
}

static void recorded(void) { pthread_mutex_unlock(&recording.lock); }

static int is_synced(int file) { return (syscall(SYS_fcntl, file, F_GETFL) & O_DSYNC) != 0; }

static int ends_with(const char *path, const char *end) {
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static int is_call(const char *call, int file) {
    if (strcmp(request.call, "any") == 0 || strcmp(request.call, call) == 0) return 1;
    if (strcmp(request.call, "meta") != 0 || strcmp(call, "pwrite") != 0) return 0;
    return (syscall(SYS_fcntl, file, F_GETFL) & O_DSYNC) != 0;
}

/// The path of an open file; 0 when there is none.
static int path_of(int file, char name[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, 4095);
    if (length <= 0) return 0;
    name[length] = 0;
    return 1;
}

static int is_file(int file, const char *end) {
    char name[4096];
    return path_of(file, name) && ends_with(name, end);
}

/// Whether this call fails.
static int fails(const char *call, int file, const char *path) {
    if (!atomic_load(&request.is_on) || !is_call(call, file)) return 0;
    char name[4096];
    if (path == NULL) {
        if (!path_of(file, name)) return 0;
        path = name;
    }
    if (!ends_with(path, request.file)) return 0;
    int number = atomic_fetch_add(&request.seen, 1) + 1;
    if (number < request.first || (request.count > 0 && number >= request.first + request.count)) return 0;
    atomic_fetch_add(&request.failed, 1);
    errno = request.error;
    return 1;
}

/// What a write that fails returns: an error, or for a disk that lies, success.
static ssize_t failed_write(size_t count) { return request.error > 0 ? -1 : (ssize_t)count; }

static size_t size_of(const struct iovec *parts, int count) {
    size_t size = 0;
    for (int index = 0; index < count; index++) size += parts[index].iov_len;
    return size;
}

/// Records what `count` bytes of `parts` became at `offset`.
static void enter_write(int file, const struct iovec *parts, uint64_t offset, ssize_t count) {
    if (count <= 0) return;
    enter(CFAULTS_WRITE, (uint32_t)is_synced(file), offset, (uint64_t)count);
    size_t left = (size_t)count;
    for (; left > 0; parts++) {
        size_t part = parts->iov_len < left ? parts->iov_len : left;
        append(parts->iov_base, part);
        left -= part;
    }
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    if (fails("pwrite", file, NULL)) {
        if (request.error != 0) return failed_write(count);
        count /= 2;
    }
    if (!records(file)) return syscall(SYS_pwrite64, file, bytes, count, offset);
    ssize_t written = syscall(SYS_pwrite64, file, bytes, count, offset);
    struct iovec part = {(void *)bytes, count};
    enter_write(file, &part, (uint64_t)offset, written);
    recorded();
    return written;
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (fails("write", file, NULL)) {
        if (request.error != 0) return failed_write(count);
        count /= 2;
    }
    if (!records(file)) return syscall(SYS_write, file, bytes, count);
    uint64_t offset = (uint64_t)syscall(SYS_lseek, file, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_write, file, bytes, count);
    struct iovec part = {(void *)bytes, count};
    enter_write(file, &part, offset, written);
    recorded();
    return written;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (fails("writev", file, NULL)) {
        if (request.error != 0) return failed_write(size_of(parts, count));
        count = 1;
    }
    if (!records(file)) return syscall(SYS_writev, file, parts, count);
    uint64_t offset = (uint64_t)syscall(SYS_lseek, file, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_writev, file, parts, count);
    enter_write(file, parts, offset, written);
    recorded();
    return written;
}

/// Makes a call that writes no bytes, and records it when it succeeds.
static int called(int file, uint32_t kind, uint64_t offset, uint64_t length, long number, long b, long c, long d) {
    if (!records(file)) return (int)syscall(number, file, b, c, d);
    int status = (int)syscall(number, file, b, c, d);
    if (status == 0) enter(kind, 0, offset, length);
    recorded();
    return status;
}

int fdatasync(int file) {
    return fails("fdatasync", file, NULL) ? -1 : called(file, CFAULTS_SYNC, 0, 0, SYS_fdatasync, 0, 0, 0);
}

int fsync(int file) { return fails("fsync", file, NULL) ? -1 : called(file, CFAULTS_SYNC, 0, 0, SYS_fsync, 0, 0, 0); }

int msync(void *address, size_t length, int flags) {
    if (fails("msync", -1, request.file)) return -1;
    // The store maps its file for reading: what a map would write is not recorded, so a sync of one means nothing.
    return (int)syscall(SYS_msync, address, length, flags);
}

int ftruncate(int file, off_t length) {
    if (fails("ftruncate", file, NULL)) return -1;
    return called(file, CFAULTS_LENGTH, 0, (uint64_t)length, SYS_ftruncate, length, 0, 0);
}

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
    if (fails("fallocate", file, NULL)) return -1;
    // Room that is allocated without a longer file holds nothing that an image must have.
    if (mode != 0 || !records(file)) return (int)syscall(SYS_fallocate, file, mode, offset, length);
    int status = (int)syscall(SYS_fallocate, file, mode, offset, length);
    if (status == 0) enter(CFAULTS_ROOM, 0, (uint64_t)offset, (uint64_t)length);
    recorded();
    return status;
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
