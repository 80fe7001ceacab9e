// Which instruction set the kernels use.
#include "cplanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

cplanes_level cplanes_supported_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("popcnt") || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2"))
        return CPLANES_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2"))
        return CPLANES_AVX512;
    return CPLANES_AVX2;
#else
    return CPLANES_PORTABLE;
#endif
}

static cplanes_level chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void) {
    chosen = cplanes_supported_level();
    const char *name = getenv("PFX_CPU");
    cplanes_level asked = chosen;
    if (name && !strcmp(name, "portable")) asked = CPLANES_PORTABLE;
    if (name && !strcmp(name, "avx2")) asked = CPLANES_AVX2;
    if (asked < chosen) chosen = asked;
}

cplanes_level cplanes_chosen_level(void) {
    pthread_once(&once, choose);
    return chosen;
}
