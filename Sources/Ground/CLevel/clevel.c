// The one place that looks at the CPU, and at PFX_CPU.
#include "clevel.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

clevel clevel_supported(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c") ||
        !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt"))
        return CLEVEL_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return CLEVEL_AVX2;
    if (!__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2")) return CLEVEL_AVX512;
    return CLEVEL_AVX512_VBMI2;
#else
    return CLEVEL_PORTABLE;
#endif
}

static const struct {
    const char *name;
    clevel limit;
} names[] = {{"portable", CLEVEL_PORTABLE}, {"avx2", CLEVEL_AVX2}, {"avx512", CLEVEL_AVX512_VBMI2}};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static clevel chosen;
static const char *unknown;

static void choose(void) {
    chosen = clevel_supported();
    const char *asked = getenv("PFX_CPU");
    if (!asked) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(asked, names[i].name)) continue;
        if (names[i].limit < chosen) chosen = names[i].limit;
        return;
    }
    // A copy, because a later change of the environment frees the original.
    unknown = strdup(asked);
}

clevel clevel_chosen(void) {
    pthread_once(&once, choose);
    return chosen;
}

const char *clevel_unknown_name(void) {
    pthread_once(&once, choose);
    return unknown;
}
