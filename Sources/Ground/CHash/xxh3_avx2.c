// XXH3-64 for AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "chash_unit.h"
#include "xxh3.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define XXH_VECTOR 2 // XXH_AVX2, which has no name before the header is read
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t chash_xxh3_avx2(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}
void chash_xxh3_advance_avx2(chash_run *run, size_t until) { chash_units(run, until); }
#pragma clang attribute pop
#endif
