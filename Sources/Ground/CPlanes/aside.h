// How a kernel does its aside: a unit of hashing and four cache lines to be asked for, as often as keeps pace.
#pragma once
#include <string.h>

#include <chash_unit.h>

#include "cplanes.h"

// Streams that are asked for at the same time: one core reads four runs of bytes faster than one. Measured on Emerald
// Rapids: kbit decodes at 10.5, 11.7, 13.0 and 12.6 GB/s with 1, 2, 4 and 8.
enum { ASIDE_STREAMS = 4 };

// A unit falls due when `due` reaches this.
enum { ASIDE_DUE = 1 << 16 };

typedef struct {
    chash_lanes sums;
    const uint8_t *secret, *bytes;
    size_t at, end;
    const uint8_t *ahead;
    // Bytes of a stream, and how many were asked for.
    size_t stream, asked;
    size_t due, rate;
} aside_work;

/// Begins the aside of a kernel that will take `steps` steps.
CHASH_INLINE void aside_begin(aside_work *work, const cplanes_aside *aside, size_t steps) {
    memcpy(&work->sums, aside->run->sums, sizeof work->sums);
    work->secret = aside->run->secret;
    work->bytes = aside->run->start;
    work->at = aside->run->hashed;
    work->end = aside->until < aside->run->limit ? aside->until : aside->run->limit;
    work->ahead = aside->ahead;
    work->stream = aside->ahead_size / ASIDE_STREAMS & ~(size_t)63;
    work->asked = 0;
    size_t units = work->end > work->at ? (work->end - work->at) / CHASH_UNIT : 0;
    work->rate = steps ? units * ASIDE_DUE / steps + 1 : 0;
    work->due = 0;
}

CHASH_INLINE void aside_unit(aside_work *work) {
    chash_unit(&work->sums, work->secret, work->bytes + work->at, work->at);
    work->at += CHASH_UNIT;
    if (work->asked >= work->stream) return;
    for (int i = 0; i < ASIDE_STREAMS; i++)
        __builtin_prefetch(work->ahead + (size_t)i * work->stream + work->asked, 0, 2);
    work->asked += 64;
}

/// One step.
CHASH_INLINE void aside_step(aside_work *work) {
    work->due += work->rate;
    for (; work->due >= ASIDE_DUE; work->due -= ASIDE_DUE)
        if (work->at + CHASH_UNIT <= work->end) aside_unit(work);
}

/// Does what is left, and gives the sums back.
CHASH_INLINE void aside_end(aside_work *work, const cplanes_aside *aside) {
    while (work->at + CHASH_UNIT <= work->end) aside_unit(work);
    memcpy(aside->run->sums, &work->sums, sizeof work->sums);
    aside->run->hashed = work->at;
}

/// The hashing of an aside before the kernel's own work, for kernels that have no steps.
static inline void aside_first(const cplanes_aside *aside) { chash_run_advance(aside->run, aside->until); }
