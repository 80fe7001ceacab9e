// Makes zstd frames that hold nothing but one block of Huffman-coded literals (RFC 8878).
#include "cplanes.h"
#include "huffman.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

static void put_little(uint8_t *bytes, uint64_t value, int size) {
    for (int i = 0; i < size; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

// Adds up how often every byte occurs in the first 64 of every `step` bytes.
static void count_sample(const uint8_t *source, size_t count, size_t step, uint32_t counts[256]) {
    enum { SAMPLE = 64 };
    // Four counters a value, since the same value often comes again before its counter is written.
    uint32_t counters[4][256] = {{0}};
    for (size_t start = 0; start < count; start += step) {
        size_t end = start + SAMPLE < count ? start + SAMPLE : count;
        size_t i = start;
        for (; i + 4 <= end; i += 4)
            for (size_t j = 0; j < 4; j++) counters[j][source[i + j]]++;
        for (; i < end; i++) counters[0][source[i]]++;
    }
    for (int value = 0; value < 256; value++)
        counts[value] = counters[0][value] + counters[1][value] + counters[2][value] + counters[3][value];
}

// The least and the greatest of the bytes; `count` is at least 32.
BMI2 static void find_range(const uint8_t *source, size_t count, int *least, int *greatest) {
    __m256i low = _mm256_set1_epi8(-1), high = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 32) {
        // The last step begins early rather than end late.
        __m256i bytes = _mm256_loadu_si256((const void *)(source + (i + 32 <= count ? i : count - 32)));
        low = _mm256_min_epu8(low, bytes);
        high = _mm256_max_epu8(high, bytes);
    }
    uint8_t lows[32], highs[32];
    _mm256_storeu_si256((void *)lows, low);
    _mm256_storeu_si256((void *)highs, high);
    *least = 255, *greatest = 0;
    for (int i = 0; i < 32; i++) {
        if (lows[i] < *least) *least = lows[i];
        if (highs[i] > *greatest) *greatest = highs[i];
    }
}

// How often every byte occurs. Exponents have a few dozen values, nearly always close together. Then a quarter of the
// bytes tells enough, and every value between the least and the greatest is counted once more, lest one that only the
// others have be left without a code. Returns 0 when there are many values: counting and coding them is no faster than
// zstd.
static int count_bytes(const uint8_t *source, size_t count, uint32_t counts[256]) {
    enum { MANY = 48, ALL = 64, QUARTER = 256 };
    int least, greatest;
    find_range(source, count, &least, &greatest);
    count_sample(source, count, QUARTER, counts);
    int values = 0;
    for (int value = 0; value < 256; value++) values += counts[value] > 0;
    if (values >= MANY) return 0;
    if (greatest - least >= MANY) {
        count_sample(source, count, ALL, counts);
    } else {
        for (int value = least; value <= greatest; value++) counts[value]++;
    }
    return 1;
}
#endif

size_t cplanes_zstd_compress_literals(clevel level, const uint8_t *source, size_t count, uint8_t *target, size_t room) {
#if defined(__x86_64__)
    enum { LEAST = 1024, MOST = 128 << 10, HEAD = 9 + 3 + 5, DESCRIPTION = 129, JUMPS = 6 };
    if (level == CLEVEL_PORTABLE || count < LEAST || count > MOST || room < HEAD + DESCRIPTION + JUMPS + 1) return 0;
    uint32_t counts[256];
    huffman_code code;
    uint8_t description[DESCRIPTION];
    if (!count_bytes(source, count, counts) || !cplanes_huffman_build_code(counts, &code)) return 0;
    size_t described = cplanes_huffman_write_code(&code, description);
    if (described == 0) return 0;
    // The streams are written where they end up when all sizes are wide, and what comes before them then.
    size_t sizes[4], wide_size = count < 256 + 65536 ? 2 : 4;
    uint8_t *streams = target + 5 + wide_size + 3 + 5 + described + JUMPS;
    size_t coded =
        cplanes_huffman_encode4_bmi2(&code, source, count, streams, (size_t)(target + room - 1 - streams), sizes);
    if (coded == 0 || sizes[0] > 0xFFFF || sizes[1] > 0xFFFF || sizes[2] > 0xFFFF) return 0;
    size_t section = described + JUMPS + coded;
    if (section >= count) return 0;
    int is_wide = count >= 1 << 14;
    uint8_t *at = target;
    put_little(at, 0xFD2FB528u, 4);
    at[4] = wide_size == 2 ? 0x60 : 0xA0;
    put_little(at + 5, wide_size == 2 ? count - 256 : count, (int)wide_size);
    at += 5 + wide_size;
    // The last block, compressed: literals with a code of their own in four streams, and no sequences.
    size_t literals_head = is_wide ? 5 : 4;
    put_little(at, (literals_head + section + 1) << 3 | 5, 3);
    at += 3;
    put_little(at, (uint64_t)section << (is_wide ? 22 : 18) | (uint64_t)count << 4 | (is_wide ? 3 : 2) << 2 | 2,
               (int)literals_head);
    at += literals_head;
    memcpy(at, description, described);
    at += described;
    for (int i = 0; i < 3; i++) put_little(at + 2 * i, sizes[i], 2);
    at += JUMPS;
    memmove(at, streams, coded);
    at += coded;
    *at++ = 0;
    return (size_t)(at - target);
#else
    (void)level, (void)source, (void)count, (void)target, (void)room;
    return 0;
#endif
}
