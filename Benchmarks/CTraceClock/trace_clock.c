// The functions of a program come before those of glibc: this one asks the kernel for every clock but the wall clock.
#define _GNU_SOURCE

#include "trace_clock.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t shown;

void trace_clock_set(int64_t milliseconds) { atomic_store(&shown, milliseconds); }

int clock_gettime(clockid_t clock, struct timespec *time) {
    int64_t now = atomic_load(&shown);
    if (clock != CLOCK_REALTIME || now == 0) return (int)syscall(SYS_clock_gettime, clock, time);
    time->tv_sec = now / 1000;
    time->tv_nsec = now % 1000 * 1000000;
    return 0;
}
