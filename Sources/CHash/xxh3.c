// XXH3-64 in the instructions that every CPU has, and the choice between the three.
#include "xxh3.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chash.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t xxh3_portable(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}

void xxh3_update_portable(void *state, const void *bytes, size_t size) { XXH3_64bits_update(state, bytes, size); }

// The functions of one instruction set.
typedef struct {
    uint64_t (*hash)(const void *bytes, size_t size, uint64_t seed);
    void (*update)(void *state, const void *bytes, size_t size);
} build;

static const build portable = {xxh3_portable, xxh3_update_portable};
#if defined(__x86_64__)
static const build avx2 = {xxh3_avx2, xxh3_update_avx2}, avx512 = {xxh3_avx512, xxh3_update_avx512};
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

struct chash_xxh3_stream {
    XXH3_state_t state;
};

chash_xxh3_stream *chash_xxh3_new(void) { return (chash_xxh3_stream *)XXH3_createState(); }

void chash_xxh3_begin(chash_xxh3_stream *stream, uint64_t seed) { XXH3_64bits_reset_withSeed(&stream->state, seed); }

void chash_xxh3_update(chash_xxh3_stream *stream, const void *bytes, size_t size) {
    chosen()->update(&stream->state, bytes, size);
}

uint64_t chash_xxh3_finish(const chash_xxh3_stream *stream) { return XXH3_64bits_digest(&stream->state); }

void chash_xxh3_free(chash_xxh3_stream *stream) { XXH3_freeState(&stream->state); }

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
