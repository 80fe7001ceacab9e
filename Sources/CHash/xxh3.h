// XXH3-64 compiled once for each instruction set. Every one gives the same number.
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_portable(const void *bytes, size_t size, uint64_t seed);
#if defined(__x86_64__)
uint64_t xxh3_avx2(const void *bytes, size_t size, uint64_t seed);
uint64_t xxh3_avx512(const void *bytes, size_t size, uint64_t seed);
#endif
