// Copy and merge past the caches: a cold destination is not read before it is overwritten, which saves a third of the traffic.
#include "avx512.h"
#include "cold.h"

#if defined(__x86_64__)
#include <string.h>

AVX512 void cold_copy_avx512(const uint8_t *source, size_t size, uint8_t *target) {
    size_t i = 0;
    for (; i + 256 <= size; i += 256) {
        __m512i a = _mm512_loadu_si512(source + i), b = _mm512_loadu_si512(source + i + 64);
        __m512i c = _mm512_loadu_si512(source + i + 128), d = _mm512_loadu_si512(source + i + 192);
        _mm512_stream_si512((void *)(target + i), a);
        _mm512_stream_si512((void *)(target + i + 64), b);
        _mm512_stream_si512((void *)(target + i + 128), c);
        _mm512_stream_si512((void *)(target + i + 192), d);
    }
    _mm_sfence();
    memcpy(target + i, source + i, size - i);
}

AVX512 size_t cold_merge16_avx512(const uint8_t *top, const uint8_t *low, size_t count, uint8_t *target) {
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        __m512i first, last;
        join(_mm512_loadu_si512(low + i), _mm512_loadu_si512(top + i), &first, &last);
        _mm512_stream_si512((void *)(target + 2 * i), first);
        _mm512_stream_si512((void *)(target + 2 * i + 64), last);
    }
    _mm_sfence();
    return i;
}
#endif
