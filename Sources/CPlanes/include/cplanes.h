/// Kernels that take pages apart into byte planes and put them together again.
///
/// Every element is rotated left by one bit, so that its top byte is the exponent (bf16, fp32) or holds it (fp16). The top
/// bytes form one plane, which compresses; the other bytes form one plane each, which do not. Bit-exact for every pattern.
/// No kernel reads or writes outside the ranges named, and none needs any alignment. The level says which instructions
/// may be used; every level gives the same bytes.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Instruction sets, ascending.
typedef enum { CPLANES_PORTABLE = 0, CPLANES_AVX2 = 1, CPLANES_AVX512 = 2 } cplanes_level;

/// The highest level that this CPU has.
cplanes_level cplanes_supported_level(void);

/// The level to use: that of the CPU, or what the environment variable PFX_CPU (portable, avx2, avx512) lowers it to.
/// Read once a process; a name that is none of the three changes nothing.
cplanes_level cplanes_chosen_level(void);

/// Splits `count` 16-bit elements at `source` into `count` top bytes and `count` low bytes.
void cplanes_split16(cplanes_level level, const void *source, size_t count, uint8_t *top, uint8_t *low);

/// The inverse of `cplanes_split16`.
void cplanes_merge16(cplanes_level level, const uint8_t *top, const uint8_t *low, size_t count, void *target);

/// Splits `count` 32-bit elements at `source` into `count` top bytes and three planes of `count` bytes, the lowest first,
/// `stride` bytes apart; `stride` is at least `count`.
void cplanes_split32(cplanes_level level, const void *source, size_t count, uint8_t *top, uint8_t *low, size_t stride);

/// The inverse of `cplanes_split32`.
void cplanes_merge32(cplanes_level level, const uint8_t *top, const uint8_t *low, size_t stride, size_t count,
                     void *target);
