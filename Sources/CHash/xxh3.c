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

typedef uint64_t hash(const void *bytes, size_t size, uint64_t seed);

// What this CPU has, lowered by PFX_CPU (portable, avx2) as for the kernels of CPlanes.
static hash *fastest(void) {
#if defined(__x86_64__)
    const char *name = getenv("PFX_CPU");
    __builtin_cpu_init();
    if (name && !strcmp(name, "portable")) return xxh3_portable;
    if (__builtin_cpu_supports("avx512f") && !(name && !strcmp(name, "avx2"))) return xxh3_avx512;
    if (__builtin_cpu_supports("avx2")) return xxh3_avx2;
#endif
    return xxh3_portable;
}

uint64_t chash_xxh3(const void *bytes, size_t size, uint64_t seed) {
    // Short inputs never reach the vector code, and need no look at the CPU.
    if (size <= XXH3_MIDSIZE_MAX) return xxh3_portable(bytes, size, seed);
    static hash *_Atomic chosen;
    hash *function = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!function) {
        function = fastest();
        atomic_store_explicit(&chosen, function, memory_order_relaxed);
    }
    return function(bytes, size, seed);
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
