// The kernels for AVX2 with FMA and F16C.

#if defined(__x86_64__)

#define PATH_NAME cengine_kernels_avx2
#define PATH_TEXT "avx2"
#define TILE_VECTORS 1
#define HAS_F16C 1

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "kernels_impl.h"
#pragma clang attribute pop

#endif
