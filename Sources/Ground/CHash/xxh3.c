// XXH3-64 in the instructions that every CPU has, and the choice between the three.
#include "xxh3.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chash_unit.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t xxh3_portable(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}

void xxh3_advance_portable(chash_run *run, size_t until) { chash_units(run, until); }

// The functions of one instruction set.
typedef struct {
    uint64_t (*hash)(const void *bytes, size_t size, uint64_t seed);
    void (*advance)(chash_run *run, size_t until);
} build;

static const build portable = {xxh3_portable, xxh3_advance_portable};
#if defined(__x86_64__)
static const build avx2 = {xxh3_avx2, xxh3_advance_avx2}, avx512 = {xxh3_avx512, xxh3_advance_avx512};
#endif

// What this CPU has, lowered by PFX_CPU (portable, avx2) as for the kernels of CPlanes.
static const build *fastest(void) {
#if defined(__x86_64__)
    const char *name = getenv("PFX_CPU");
    __builtin_cpu_init();
    if (name && !strcmp(name, "portable")) return &portable;
    if (__builtin_cpu_supports("avx512f") && !(name && !strcmp(name, "avx2"))) return &avx512;
    if (__builtin_cpu_supports("avx2")) return &avx2;
#endif
    return &portable;
}

static const build *chosen(void) {
    static const build *_Atomic remembered;
    const build *found = atomic_load_explicit(&remembered, memory_order_relaxed);
    if (!found) {
        found = fastest();
        atomic_store_explicit(&remembered, found, memory_order_relaxed);
    }
    return found;
}

uint64_t chash_xxh3(const void *bytes, size_t size, uint64_t seed) {
    // Short inputs never reach the vector code, and need no look at the CPU.
    if (size <= XXH3_MIDSIZE_MAX) return xxh3_portable(bytes, size, seed);
    return chosen()->hash(bytes, size, seed);
}

// The library hashes the end of a run, more than a stripe of it: then it never looks back into its buffer, which a run leaves
// empty.
enum { LEAST_TAIL = CHASH_STRIPE + 1 };

void chash_run_begin(chash_run *run, const void *bytes, size_t size, uint64_t seed) {
    run->start = bytes;
    run->size = size;
    run->seed = seed;
    run->hashed = 0;
    // Runs shorter than a block are left to the library: the shortest are hashed in another way.
    run->limit = size < CHASH_BLOCK ? 0 : (size - LEAST_TAIL) / CHASH_UNIT * CHASH_UNIT;
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    memcpy(run->sums, state.acc, sizeof run->sums);
    memcpy(run->secret, state.extSecret ? state.extSecret : state.customSecret, sizeof run->secret);
}

void chash_run_advance(chash_run *run, size_t until) { chosen()->advance(run, until); }

uint64_t chash_run_finish(chash_run *run) {
    if (!run->limit) return chash_xxh3(run->start, run->size, run->seed);
    chash_run_advance(run, run->limit);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, run->seed);
    memcpy(state.acc, run->sums, sizeof run->sums);
    state.nbStripesSoFar = run->hashed % CHASH_BLOCK / CHASH_STRIPE;
    state.totalLen = run->hashed;
    XXH3_64bits_update(&state, run->start + run->hashed, run->size - run->hashed);
    return XXH3_64bits_digest(&state);
}

uint64_t chash_xxh3_at(int level, const void *bytes, size_t size, uint64_t seed) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level >= 2 && __builtin_cpu_supports("avx512f")) return xxh3_avx512(bytes, size, seed);
    if (level >= 1 && __builtin_cpu_supports("avx2")) return xxh3_avx2(bytes, size, seed);
#else
    (void)level;
#endif
    return xxh3_portable(bytes, size, seed);
}

void chash_run_advance_at(int level, chash_run *run, size_t until) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level >= 2 && __builtin_cpu_supports("avx512f")) return xxh3_advance_avx512(run, until);
    if (level >= 1 && __builtin_cpu_supports("avx2")) return xxh3_advance_avx2(run, until);
#else
    (void)level;
#endif
    xxh3_advance_portable(run, until);
}
