/// The step of a `chash_run`, for kernels that hash while they do other work. Compiled for the instruction set of
/// the code that inlines it; every one gives the same sums.
#pragma once
#include <string.h>

#include "chash.h"

#define CHASH_INLINE static inline __attribute__((always_inline))

/// XXH3's eight accumulators, and a stripe of bytes.
typedef uint64_t chash_lanes __attribute__((vector_size(64)));

CHASH_INLINE void chash_load(chash_lanes *lanes, const uint8_t *bytes) { memcpy(lanes, bytes, CHASH_STRIPE); }

/// Adds the unit at `bytes`, which begins `at` bytes into the run, to `sums`. The algorithm is that of XXH3_accumulate
/// and XXH3_scrambleAcc in xxhash.h (BSD 2-clause; its specification: doc/xxhash_spec.md there).
CHASH_INLINE void chash_unit(chash_lanes *sums, const uint8_t *secret, const uint8_t *bytes, size_t at) {
    chash_lanes key, data;
    // The secret moves on by 8 bytes a stripe, and begins again with every block.
    const uint8_t *keys = secret + at % CHASH_BLOCK / CHASH_STRIPE * 8;
    for (int stripe = 0; stripe < CHASH_UNIT / CHASH_STRIPE; stripe++) {
        chash_load(&data, bytes + CHASH_STRIPE * stripe);
        chash_load(&key, keys + 8 * stripe);
        key ^= data;
        *sums += __builtin_shufflevector(data, data, 1, 0, 3, 2, 5, 4, 7, 6);
        *sums += (key & 0xFFFFFFFFu) * (key >> 32);
    }
    if ((at + CHASH_UNIT) % CHASH_BLOCK == 0) {
        chash_load(&key, secret + 128);
        *sums = (*sums ^ *sums >> 47 ^ key) * 0x9E3779B1u;
    }
}

/// Units from `run->hashed` to `until` bytes, by the instruction set of the code that inlines it.
CHASH_INLINE void chash_units(chash_run *run, size_t until) {
    chash_lanes sums;
    memcpy(&sums, run->sums, sizeof sums);
    size_t end = until < run->limit ? until : run->limit, at = run->hashed;
    for (; at + CHASH_UNIT <= end; at += CHASH_UNIT) chash_unit(&sums, run->secret, run->start + at, at);
    run->hashed = at;
    memcpy(run->sums, &sums, sizeof sums);
}
