// Faults on request: calls of the system that fail in this process, on one file, once or from then on. And a recording
// of what is written to a file and when it is synced, from which the file can be made as a power cut would leave it.
//
// The module defines the functions of the C library that LMDB and the store write through. They are linked into the
// program that tests run in, so that the dynamic linker finds them before those of the C library. Without a request
// they only pass the call on. Use it in a process of its own: a request holds for all threads.
#pragma once
#include <stdint.h>

/// Lets calls fail from now on.
///
/// @param call  "pwrite", "writev", "write", "fdatasync", "fsync", "open", "fallocate", "ftruncate", "msync" or "mmap";
///              "meta" is a pwrite through a descriptor with O_DSYNC, as LMDB writes its meta pages; "any" is all of
///              them
/// @param file  the last part of the file's path, such as "data.mdb"
/// @param first which call fails first, counted from 1
/// @param count how many calls fail from there on; 0 is all
/// @param error the errno of a call that fails; 0 lets a write come back short instead, and -1 lets a write
///              do nothing and report success, as a disk that lies
void cfaults_fail(const char *call, const char *file, int first, int count, int error);

/// Lets no call fail any more.
void cfaults_stop(void);

/// How many calls have failed since the last `cfaults_fail`.
int cfaults_failed(void);

/// How many calls the request was about so far, failed or not.
int cfaults_seen(void);

/// What an entry of a recording is.
enum {
    /// `length` bytes written at `offset`; the bytes follow.
    CFAULTS_WRITE = 1,
    /// A sync of all that was written before.
    CFAULTS_SYNC = 2,
    /// The file was given this length.
    CFAULTS_LENGTH = 3,
    /// Room for `length` bytes at `offset` was allocated: the file is at least as long.
    CFAULTS_ROOM = 4,
    /// `cfaults_mark` was called with `offset`.
    CFAULTS_MARK = 5,
};

/// The head of an entry.
typedef struct {
    uint32_t kind;
    /// Whether a write was on the disk when it returned (O_DSYNC).
    uint32_t is_synced;
    uint64_t offset;
    uint64_t length;
} cfaults_entry;

/// Records from now on what is done to the files whose path ends with `file`, into a new file `log`. Returns 0, or -1
/// when the log cannot be made.
int cfaults_record(const char *file, const char *log);

/// Puts a mark into the recording.
void cfaults_mark(uint64_t number);

/// Ends the recording.
void cfaults_record_stop(void);
