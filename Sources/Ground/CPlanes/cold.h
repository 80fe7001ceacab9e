// Kernels that write past the caches.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cplanes.h"

#if defined(__x86_64__)
// All do `aside` meanwhile.

/// Copies `size` bytes to a target aligned to 64 bytes.
void cplanes_cold_copy_avx512(const uint8_t *source, size_t size, uint8_t *target, const cplanes_aside *aside);

/// Merges the first elements to a target aligned to 64 bytes; returns how many: a multiple of 64, less than 64 are
/// left.
size_t cplanes_cold_merge16_avx512(const uint8_t *top, const uint8_t *low, size_t count, uint8_t *target,
                                   const cplanes_aside *aside);

/// The same for elements of 32 bits with three low planes.
size_t cplanes_cold_merge32_avx512(const uint8_t *top, const uint8_t *low, size_t stride, size_t count, uint8_t *target,
                                   const cplanes_aside *aside);
#endif
