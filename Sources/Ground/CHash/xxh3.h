// XXH3-64 compiled once for each instruction set. Every one gives the same number, and goes on with the sums of
// another.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "chash.h"

uint64_t chash_xxh3_portable(const void *bytes, size_t size, uint64_t seed);
void chash_xxh3_advance_portable(chash_run *run, size_t until);
#if defined(__x86_64__)
uint64_t chash_xxh3_avx2(const void *bytes, size_t size, uint64_t seed);
void chash_xxh3_advance_avx2(chash_run *run, size_t until);
uint64_t chash_xxh3_avx512(const void *bytes, size_t size, uint64_t seed);
void chash_xxh3_advance_avx512(chash_run *run, size_t until);
#endif
