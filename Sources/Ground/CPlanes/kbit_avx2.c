// The k-bit kernels for AVX2, for codes of at most 4 bits: 64 elements a step, escapes one by one.
#include "aside.h"
#include "kbit.h"
#include "planes_portable.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))

// Bit i of `bits` becomes byte i, 0 or -1.
AVX2_INLINE __m256i spread(uint32_t bits) {
    const __m256i byte_of = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3,
                                             3, 3, 3, 3, 3, 3, 3);
    const __m256i bit_of = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), byte_of);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of), bit_of);
}

AVX2_INLINE __m256i values32(const uint8_t *codes, int k, __m256i table) {
    __m256i code = _mm256_setzero_si256();
    for (int j = 0; j < k; j++) {
        uint32_t bits;
        memcpy(&bits, codes + 8 * j, 4);
        code = _mm256_or_si256(code, _mm256_and_si256(spread(bits), _mm256_set1_epi8((char)(1 << j))));
    }
    return _mm256_shuffle_epi8(table, code);
}

AVX2_INLINE void unpack64(const uint8_t *codes, int k, const uint8_t table[64], uint8_t top[64]) {
    __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
    _mm256_storeu_si256((void *)top, values32(codes, k, values));
    _mm256_storeu_si256((void *)(top + 32), values32(codes + 4, k, values));
}

AVX2_INLINE int next_group(kbit_codes *in, size_t lanes, uint8_t top[65]) {
    return kbit_next_group(in, lanes, top, unpack64);
}

// 32 low bytes and 32 top bytes to elements, rotated back.
AVX2_INLINE void join(const uint8_t *low, const uint8_t *top, uint8_t *target, const int cold) {
    __m256i lows = _mm256_loadu_si256((const void *)low), tops = _mm256_loadu_si256((const void *)top);
    __m256i even = _mm256_unpacklo_epi8(lows, tops), odd = _mm256_unpackhi_epi8(lows, tops);
    even = _mm256_or_si256(_mm256_srli_epi16(even, 1), _mm256_slli_epi16(even, 15));
    odd = _mm256_or_si256(_mm256_srli_epi16(odd, 1), _mm256_slli_epi16(odd, 15));
    __m256i first = _mm256_permute2x128_si256(even, odd, 0x20), last = _mm256_permute2x128_si256(even, odd, 0x31);
    if (cold) {
        _mm256_stream_si256((void *)target, first);
        _mm256_stream_si256((void *)(target + 32), last);
    } else {
        _mm256_storeu_si256((void *)target, first);
        _mm256_storeu_si256((void *)(target + 32), last);
    }
}

AVX2_INLINE int merge16(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target, const int cold,
                        const cplanes_aside *aside) {
    kbit_codes rest = *in;
    uint8_t group[65];
    size_t i = 0;
    aside_work work;
    aside_begin(&work, aside, count / 64);
    for (; i + 64 <= count; i += 64) {
        if (!next_group(&rest, 64, group)) return 0;
        join(low + i, group, target + 2 * i, cold);
        join(low + i + 32, group + 32, target + 2 * i + 64, cold);
        aside_step(&work);
    }
    if (i < count) {
        if (!next_group(&rest, count - i, group)) return 0;
        planes_merge16(group, low + i, count - i, target + 2 * i);
    }
    aside_end(&work, aside);
    kbit_advance(in, &rest);
    return 1;
}

// Codes of 32 values: one comparison a value that has a code.
AVX2_INLINE __m256i codes32(__m256i value, int k, const uint8_t *values) {
    int escape = (1 << k) - 1;
    __m256i code = _mm256_set1_epi8((char)escape);
    for (int c = escape - 1; c >= 0; c--) {
        __m256i equal = _mm256_cmpeq_epi8(value, _mm256_set1_epi8((char)values[c]));
        code = _mm256_blendv_epi8(code, _mm256_set1_epi8((char)c), equal);
    }
    return code;
}

AVX2 size_t cplanes_kbit_pack_avx2(const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                                   uint8_t *escapes) {
    uint8_t *next = escapes;
    for (size_t i = 0; i < count; i += 64) {
        uint8_t group[64] = {0};
        size_t lanes = count - i < 64 ? count - i : 64;
        memcpy(group, top + i, lanes);
        uint64_t valid = _bzhi_u64(~0ull, (unsigned)lanes), escaped = valid;
        __m256i first = codes32(_mm256_loadu_si256((const void *)group), k, values);
        __m256i last = codes32(_mm256_loadu_si256((const void *)(group + 32)), k, values);
        for (int j = 0; j < k; j++) {
            uint32_t lower = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(first, 7 - j));
            uint32_t upper = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(last, 7 - j));
            uint64_t bits = ((uint64_t)upper << 32 | lower) & valid;
            memcpy(codes + 8 * j, &bits, 8);
            escaped &= bits;
        }
        codes += 8 * k;
        uint8_t *end = next + _mm_popcnt_u64(escaped);
        // As in kbit_next_group: the first few without a branch. There is room for 64 more when the group is whole.
        if (lanes == 64)
            for (int j = 0; j < KBIT_FEW; j++, escaped &= escaped - 1) next[j] = group[_tzcnt_u64(escaped) & 63];
        for (uint8_t *at = next + (lanes == 64 ? KBIT_FEW : 0); at < end; escaped &= escaped - 1)
            *at++ = group[__builtin_ctzll(escaped)];
        next = end;
    }
    return (size_t)(next - escapes);
}

AVX2 int cplanes_kbit_unpack_avx2(const kbit_codes *in, size_t count, uint8_t *top) {
    return kbit_unpack_groups(in, count, top, unpack64);
}

AVX2 int cplanes_kbit_merge16_avx2(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target, int cold,
                                   const cplanes_aside *aside) {
    if (cold && (uintptr_t)target % 32 == 0) return merge16(in, low, count, target, 1, aside);
    return merge16(in, low, count, target, 0, aside);
}
#endif
