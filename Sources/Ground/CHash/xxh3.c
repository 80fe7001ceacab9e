// XXH3-64 in the instructions that every CPU has, and the choice between the three.
#include "xxh3.h"

#include <string.h>

#include "chash_unit.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

// A run goes on with the library's own state, whose fields have had these names and meanings in all of 0.8.
_Static_assert(XXH_VERSION_NUMBER >= 800 && XXH_VERSION_NUMBER < 900,
               "look at XXH3_state_t of this xxHash, then allow it");

uint64_t chash_xxh3_portable(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}

void chash_xxh3_advance_portable(chash_run *run, size_t until) { chash_units(run, until); }

// The functions of one instruction set.
typedef struct {
    uint64_t (*hash)(const void *bytes, size_t size, uint64_t seed);
    void (*advance)(chash_run *run, size_t until);
} build;

static const build portable = {chash_xxh3_portable, chash_xxh3_advance_portable};
#if defined(__x86_64__)
static const build avx2 = {chash_xxh3_avx2, chash_xxh3_advance_avx2},
                   avx512 = {chash_xxh3_avx512, chash_xxh3_advance_avx512};
#endif

static const build *at(clevel level) {
#if defined(__x86_64__)
    if (level >= CLEVEL_AVX512) return &avx512;
    if (level >= CLEVEL_AVX2) return &avx2;
#endif
    (void)level;
    return &portable;
}

static const build *chosen(void) { return at(clevel_chosen()); }

uint64_t chash_xxh3(const void *bytes, size_t size, uint64_t seed) {
    // Short inputs never reach the vector code, and need no look at the CPU.
    if (size <= XXH3_MIDSIZE_MAX) return chash_xxh3_portable(bytes, size, seed);
    return chosen()->hash(bytes, size, seed);
}

// The library hashes the end of a run, more than a stripe of it: then it never looks back into its buffer, which a run
// leaves empty.
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

static clevel possible(clevel level) { return level < clevel_supported() ? level : clevel_supported(); }

uint64_t chash_xxh3_at(clevel level, const void *bytes, size_t size, uint64_t seed) {
    return at(possible(level))->hash(bytes, size, seed);
}

void chash_run_advance_at(clevel level, chash_run *run, size_t until) { at(possible(level))->advance(run, until); }
