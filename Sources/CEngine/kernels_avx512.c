// The kernels for AVX-512.

#if defined(__x86_64__)

#define PATH_NAME ce_kernels_avx512
#define PATH_TEXT "avx512"
#define TILE_VECTORS 4
#define HAS_F16C 1

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "kernels_impl.h"
#pragma clang attribute pop

#endif
