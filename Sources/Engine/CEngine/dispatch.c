// Chooses the build of the kernels once per process.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cengine.h"

extern const ce_kernels ce_kernels_portable;
#if defined(__x86_64__)
extern const ce_kernels ce_kernels_avx2, ce_kernels_avx512;
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const ce_kernels *chosen;

const ce_kernels *ce_kernels_named(const char *name) {
    if (strcmp(name, "portable") == 0) return &ce_kernels_portable;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        return &ce_kernels_avx2;
    if (strcmp(name, "avx512") == 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        return &ce_kernels_avx512;
#endif
    return NULL;
}

static void choose(void) {
    const char *wish = getenv("PFX_CPU");
    if (wish != NULL) chosen = ce_kernels_named(wish);
    if (chosen == NULL) chosen = ce_kernels_named("avx512");
    if (chosen == NULL) chosen = ce_kernels_named("avx2");
    if (chosen == NULL) chosen = &ce_kernels_portable;
}

const ce_kernels *ce_kernels_get(void) {
    pthread_once(&once, choose);
    return chosen;
}
