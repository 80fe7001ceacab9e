// The kernels for AVX-512.

#if defined(__x86_64__)

#define PATH_NAME cengine_kernels_avx512
#define PATH_TEXT "avx512"
#define TILE_VECTORS 4
#define HAS_F16C 1

#define PATH_TARGET target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#pragma clang attribute push(__attribute__((PATH_TARGET)), apply_to = function)
#include "kernels_impl.h"
#pragma clang attribute pop

#endif
