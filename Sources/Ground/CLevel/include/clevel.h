/// Which instruction sets the kernels of this process use: one answer for hashing, codec and engine.
#pragma once

/// Ascending; each has what those before it have.
typedef enum {
    CLEVEL_PORTABLE = 0,
    /// AVX2, FMA, F16C, BMI, BMI2 and POPCNT: x86-64 CPUs since 2013.
    CLEVEL_AVX2 = 1,
    /// AVX-512 F, BW, DQ and VL.
    CLEVEL_AVX512 = 2,
    /// Those, and VBMI and VBMI2.
    CLEVEL_AVX512_VBMI2 = 3,
} clevel;

/// The highest level that this CPU has.
clevel clevel_supported(void);

/// The level to use: that of the CPU, or what the environment variable PFX_CPU lowers it to: `portable`, `avx2`, or
/// `avx512` for both of its levels. Read once per process; any other value lowers nothing.
clevel clevel_chosen(void);

/// The value of PFX_CPU if it is not one of the three, otherwise null. A program should refuse it by name.
const char *clevel_unknown_name(void);
