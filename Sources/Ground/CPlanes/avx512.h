// What the AVX-512 kernels share. Every function here needs the instruction sets that the macro names.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")))
#define AVX512_INLINE AVX512 static inline __attribute__((always_inline))

AVX512_INLINE __mmask64 first_lanes(size_t lanes) { return _bzhi_u64(~0ull, (unsigned)lanes); }

// Low bytes and top bytes to elements of 16 bits, rotated back: the first 32 and the last 32 of 64.
AVX512_INLINE void join(__m512i low, __m512i top, __m512i *first, __m512i *last) {
    const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i upper = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i even = _mm512_unpacklo_epi8(low, top), odd = _mm512_unpackhi_epi8(low, top);
    even = _mm512_shrdi_epi16(even, even, 1);
    odd = _mm512_shrdi_epi16(odd, odd, 1);
    *first = _mm512_permutex2var_epi64(even, lower, odd);
    *last = _mm512_permutex2var_epi64(even, upper, odd);
}
#endif
