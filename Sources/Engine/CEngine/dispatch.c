// The build of the kernels for each level.

#include <clevel.h>
#include <string.h>

#include "cengine.h"

extern const cengine_kernels cengine_kernels_portable;
#if defined(__x86_64__)
extern const cengine_kernels cengine_kernels_avx2, cengine_kernels_avx512;
#endif

static const cengine_kernels *at(clevel level) {
#if defined(__x86_64__)
    if (level >= CLEVEL_AVX512) return &cengine_kernels_avx512;
    if (level >= CLEVEL_AVX2) return &cengine_kernels_avx2;
#endif
    (void)level;
    return &cengine_kernels_portable;
}

const cengine_kernels *cengine_kernels_get(void) { return at(clevel_chosen()); }

const cengine_kernels *cengine_kernels_named(const char *name) {
    for (int level = CLEVEL_PORTABLE; level <= (int)clevel_supported(); level++)
        if (!strcmp(at((clevel)level)->name, name)) return at((clevel)level);
    return NULL;
}
