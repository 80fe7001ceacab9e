// XXH3-64 compiled once for each instruction set. Every one gives the same number, and goes on with the state of another.
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_portable(const void *bytes, size_t size, uint64_t seed);
void xxh3_update_portable(void *state, const void *bytes, size_t size);
#if defined(__x86_64__)
uint64_t xxh3_avx2(const void *bytes, size_t size, uint64_t seed);
void xxh3_update_avx2(void *state, const void *bytes, size_t size);
uint64_t xxh3_avx512(const void *bytes, size_t size, uint64_t seed);
void xxh3_update_avx512(void *state, const void *bytes, size_t size);
#endif
