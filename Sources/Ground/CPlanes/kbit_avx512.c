// The k-bit kernels for AVX-512 (F, BW, DQ, VL, VBMI, VBMI2): 64 elements a step.
#include "aside.h"
#include "avx512.h"
#include "kbit.h"

#if defined(__x86_64__)
// The 64 values of one group. Returns 0 when escapes are missing. No byte after the escapes is read.
AVX512_INLINE int next_group(kbit_codes *in, const int k, __mmask64 valid, __m512i table, __m512i *values) {
    __m512i code = _mm512_setzero_si512();
    uint64_t escaped = valid;
    for (int j = 0; j < k; j++) {
        uint64_t bits;
        memcpy(&bits, in->codes + 8 * j, 8);
        escaped &= bits;
        code = _mm512_mask_add_epi8(code, bits, code, _mm512_set1_epi8((char)(1 << j)));
    }
    size_t used = (size_t)_mm_popcnt_u64(escaped);
    if (used > in->escape_count) return 0;
    __m512i loaded = _mm512_maskz_loadu_epi8(first_lanes(used), in->escapes);
    *values = _mm512_mask_expand_epi8(_mm512_permutexvar_epi8(code, table), escaped, loaded);
    in->codes += 8 * k;
    in->escapes += used;
    in->escape_count -= used;
    return 1;
}

AVX512_INLINE int unpack(const kbit_codes *in, const int k, size_t count, uint8_t *top) {
    kbit_codes rest = *in;
    __m512i table = _mm512_loadu_si512(in->table), values;
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        if (!next_group(&rest, k, ~0ull, table, &values)) return 0;
        _mm512_storeu_si512(top + i, values);
    }
    if (i < count) {
        __mmask64 valid = first_lanes(count - i);
        if (!next_group(&rest, k, valid, table, &values)) return 0;
        _mm512_mask_storeu_epi8(top + i, valid, values);
    }
    return rest.escape_count == 0;
}

AVX512_INLINE int merge16(kbit_codes *in, const int k, const uint8_t *low, size_t count, uint8_t *target,
                          const int cold, const cplanes_aside *aside) {
    kbit_codes rest = *in;
    __m512i table = _mm512_loadu_si512(in->table), values, first, last;
    size_t i = 0;
    aside_work work;
    aside_begin(&work, aside, count / 64);
    for (; i + 64 <= count; i += 64) {
        if (!next_group(&rest, k, ~0ull, table, &values)) return 0;
        join(_mm512_loadu_si512(low + i), values, &first, &last);
        if (cold) {
            _mm512_stream_si512((void *)(target + 2 * i), first);
            _mm512_stream_si512((void *)(target + 2 * i + 64), last);
        } else {
            _mm512_storeu_si512(target + 2 * i, first);
            _mm512_storeu_si512(target + 2 * i + 64, last);
        }
        aside_step(&work);
    }
    if (i < count) {
        size_t lanes = count - i;
        __mmask64 valid = first_lanes(lanes);
        if (!next_group(&rest, k, valid, table, &values)) return 0;
        join(_mm512_maskz_loadu_epi8(valid, low + i), values, &first, &last);
        _mm512_mask_storeu_epi16(target + 2 * i, (__mmask32)valid, first);
        _mm512_mask_storeu_epi16(target + 2 * i + 64, (__mmask32)(valid >> 32), last);
    }
    aside_end(&work, aside);
    kbit_advance(in, &rest);
    return 1;
}

AVX512_INLINE size_t pack(const uint8_t *top, size_t count, const int k, const uint8_t *code_of, uint8_t *codes,
                          uint8_t *escapes) {
    __m512i table[4];
    for (int i = 0; i < 4; i++) table[i] = _mm512_loadu_si512(code_of + 64 * i);
    const __m512i escape = _mm512_set1_epi8((char)((1 << k) - 1));
    uint8_t *next = escapes;
    for (size_t i = 0; i < count; i += 64) {
        __mmask64 valid = first_lanes(count - i < 64 ? count - i : 64);
        __m512i value = _mm512_maskz_loadu_epi8(valid, top + i);
        __m512i below = _mm512_permutex2var_epi8(table[0], value, table[1]);
        __m512i above = _mm512_permutex2var_epi8(table[2], value, table[3]);
        __m512i code = _mm512_mask_blend_epi8(_mm512_movepi8_mask(value), below, above);
        for (int j = 0; j < k; j++) {
            uint64_t bits = _mm512_mask_test_epi8_mask(valid, code, _mm512_set1_epi8((char)(1 << j)));
            memcpy(codes + 8 * j, &bits, 8);
        }
        codes += 8 * k;
        __mmask64 escaped = _mm512_mask_cmpeq_epi8_mask(valid, code, escape);
        size_t used = (size_t)_mm_popcnt_u64(escaped);
        _mm512_mask_storeu_epi8(next, first_lanes(used), _mm512_maskz_compress_epi8(escaped, value));
        next += used;
    }
    return (size_t)(next - escapes);
}

// One copy of a kernel for every k, so that the loop over the bits of a code is unrolled.
#define FOR_EACH_K(k, call) \
    switch (k) { \
    case 1: \
        return call(1); \
    case 2: \
        return call(2); \
    case 3: \
        return call(3); \
    case 4: \
        return call(4); \
    case 5: \
        return call(5); \
    default: \
        return call(6); \
    }

AVX512 size_t cplanes_kbit_pack_avx512(const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                                       uint8_t *escapes) {
    uint8_t code_of[256];
    kbit_code_table(k, values, code_of);
#define PACK(K) pack(top, count, K, code_of, codes, escapes)
    FOR_EACH_K(k, PACK)
}

AVX512 int cplanes_kbit_unpack_avx512(const kbit_codes *in, size_t count, uint8_t *top){
#define UNPACK(K) unpack(in, K, count, top)
    FOR_EACH_K(in -> k, UNPACK)}

AVX512 int cplanes_kbit_merge16_avx512(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target, int cold,
                                       const cplanes_aside *aside) {
    if (cold && (uintptr_t)target % 64 == 0) {
#define MERGE_COLD(K) merge16(in, K, low, count, target, 1, aside)
        FOR_EACH_K(in->k, MERGE_COLD)
    }
#define MERGE(K) merge16(in, K, low, count, target, 0, aside)
    FOR_EACH_K(in->k, MERGE)
}
#endif
