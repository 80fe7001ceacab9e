// Copy and merge past the caches: a cold destination is not read before it is overwritten, which saves a third of the
// traffic.
#include "aside.h"
#include "avx512.h"
#include "cold.h"

#if defined(__x86_64__)
#include <string.h>

AVX512 void cplanes_cold_copy_avx512(const uint8_t *source, size_t size, uint8_t *target, const cplanes_aside *aside) {
    size_t i = 0;
    aside_work work;
    aside_begin(&work, aside, size / 256);
    for (; i + 256 <= size; i += 256) {
        __m512i a = _mm512_loadu_si512(source + i), b = _mm512_loadu_si512(source + i + 64);
        __m512i c = _mm512_loadu_si512(source + i + 128), d = _mm512_loadu_si512(source + i + 192);
        _mm512_stream_si512((void *)(target + i), a);
        _mm512_stream_si512((void *)(target + i + 64), b);
        _mm512_stream_si512((void *)(target + i + 128), c);
        _mm512_stream_si512((void *)(target + i + 192), d);
        aside_step(&work);
    }
    aside_end(&work, aside);
    memcpy(target + i, source + i, size - i);
}

AVX512 size_t cplanes_cold_merge16_avx512(const uint8_t *top, const uint8_t *low, size_t count, uint8_t *target,
                                          const cplanes_aside *aside) {
    size_t i = 0;
    aside_work work;
    aside_begin(&work, aside, count / 64);
    for (; i + 64 <= count; i += 64) {
        __m512i first, last;
        join(_mm512_loadu_si512(low + i), _mm512_loadu_si512(top + i), &first, &last);
        _mm512_stream_si512((void *)(target + 2 * i), first);
        _mm512_stream_si512((void *)(target + 2 * i + 64), last);
        aside_step(&work);
    }
    aside_end(&work, aside);
    return i;
}

AVX512 size_t cplanes_cold_merge32_avx512(const uint8_t *top, const uint8_t *low, size_t stride, size_t count,
                                          uint8_t *target, const cplanes_aside *aside) {
    size_t i = 0;
    aside_work work;
    aside_begin(&work, aside, count / 64);
    for (; i + 64 <= count; i += 64) {
        __m512i byte0 = _mm512_loadu_si512(low + i), byte1 = _mm512_loadu_si512(low + stride + i);
        __m512i byte2 = _mm512_loadu_si512(low + 2 * stride + i), byte3 = _mm512_loadu_si512(top + i);
        __m512i low_even = _mm512_unpacklo_epi8(byte0, byte1), low_odd = _mm512_unpackhi_epi8(byte0, byte1);
        __m512i high_even = _mm512_unpacklo_epi8(byte2, byte3), high_odd = _mm512_unpackhi_epi8(byte2, byte3);
        // Lane j of quarter q holds elements 16 j + 4 q and the three after it: transpose lanes and quarters.
        __m512i q0 = _mm512_unpacklo_epi16(low_even, high_even), q1 = _mm512_unpackhi_epi16(low_even, high_even);
        __m512i q2 = _mm512_unpacklo_epi16(low_odd, high_odd), q3 = _mm512_unpackhi_epi16(low_odd, high_odd);
        __m512i front01 = _mm512_shuffle_i32x4(q0, q1, 0x44), front23 = _mm512_shuffle_i32x4(q2, q3, 0x44);
        __m512i back01 = _mm512_shuffle_i32x4(q0, q1, 0xEE), back23 = _mm512_shuffle_i32x4(q2, q3, 0xEE);
        __m512i out[4] = {_mm512_shuffle_i32x4(front01, front23, 0x88), _mm512_shuffle_i32x4(front01, front23, 0xDD),
                          _mm512_shuffle_i32x4(back01, back23, 0x88), _mm512_shuffle_i32x4(back01, back23, 0xDD)};
        for (int j = 0; j < 4; j++) _mm512_stream_si512((void *)(target + 4 * i + 64 * j), _mm512_ror_epi32(out[j], 1));
        aside_step(&work);
    }
    aside_end(&work, aside);
    return i;
}
#endif
