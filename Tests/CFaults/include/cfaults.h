// Faults on request: calls of the system that fail in this process, on one file, once or from then on.
//
// The module defines the functions of the C library that LMDB and the store write through. They are linked into the
// program that tests run in, so that the dynamic linker finds them before those of the C library. Without a request
// they only pass the call on. Use it in a process of its own: a request holds for all threads.
#pragma once

/// Lets calls fail from now on.
///
/// @param call  "pwrite", "writev", "write", "fdatasync", "fsync", "open", "fallocate", "ftruncate" or "mmap"; "meta"
///              is a pwrite through a descriptor with O_DSYNC, as LMDB writes its meta pages; "any" is all of them
/// @param file  the last part of the file's path, such as "data.mdb"
/// @param first which call fails first, counted from 1
/// @param count how many calls fail from there on; 0 is all
/// @param error the errno of a call that fails; 0 lets a write come back short instead
void cfaults_fail(const char *call, const char *file, int first, int count, int error);

/// Lets no call fail any more.
void cfaults_stop(void);

/// How many calls have failed since the last `cfaults_fail`.
int cfaults_failed(void);
