// zstd frames that hold nothing but one block of Huffman-coded literals (RFC 8878), which is what PageCodec makes of
// exponents: made and decoded without libzstd, several symbols a step.
#include "cplanes.h"
#include "huffman.h"

#include <string.h>

static uint32_t little(const uint8_t *bytes, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

// Bytes of the header of a frame of `count` bytes in a single segment, without a dictionary or a checksum; 0 for any other.
static size_t header_bytes(const uint8_t *source, size_t size, size_t count) {
    if (size < 9 || little(source, 4) != 0xFD2FB528u || (source[4] & 0x2F) != 0x20) return 0;
    switch (source[4] >> 6) {
    case 0: return little(source + 5, 1) == count ? 6 : 0;
    case 1: return little(source + 5, 2) + 256 == count ? 7 : 0;
    case 2: return little(source + 5, 4) == count ? 9 : 0;
    default: return 0;
    }
}

int cplanes_zstd_literals(cplanes_level level, const uint8_t *source, size_t size, uint8_t *target, size_t count) {
#if defined(__x86_64__)
    if (level == CPLANES_PORTABLE) return 0;
    size_t head = header_bytes(source, size, count);
    if (head == 0 || size < head + 3) return 0;
    // One block, the last, compressed.
    uint32_t block = little(source + head, 3);
    const uint8_t *at = source + head + 3, *end = source + size;
    if ((block & 7) != 5 || (size_t)(end - at) != block >> 3) return 0;
    // Literals with a code of their own in four streams; sizes of 14 or 18 bits.
    if (end - at < 5 || (at[0] & 3) != 2 || (at[0] >> 2 & 3) < 2) return 0;
    int wide = (at[0] >> 2 & 3) == 3, bits = wide ? 18 : 14;
    uint64_t sizes = ((uint64_t)little(at, 4) | (uint64_t)at[4] << 32) >> 4;
    size_t decoded = sizes & (((uint64_t)1 << bits) - 1), coded = sizes >> bits & (((uint64_t)1 << bits) - 1);
    at += wide ? 5 : 4;
    // After them one byte 0: there are no sequences.
    if (decoded != count || (size_t)(end - at) != coded + 1 || end[-1] != 0) return 0;
    end--;
    huffman_code code;
    size_t described = huffman_read_code(at, coded, &code);
    if (described == 0 || coded < described + 6) return 0;
    at += described;
    size_t streams[4] = {little(at, 2), little(at + 2, 2), little(at + 4, 2), 0};
    at += 6;
    size_t first = streams[0] + streams[1] + streams[2];
    if ((size_t)(end - at) < first) return 0;
    streams[3] = (size_t)(end - at) - first;
    return huffman_decode4_bmi2(&code, at, streams, target, count);
#else
    (void)level, (void)source, (void)size, (void)target, (void)count;
    return 0;
#endif
}

#if defined(__x86_64__)
static void put_little(uint8_t *bytes, uint64_t value, int size) {
    for (int i = 0; i < size; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

// How often every byte occurs. Exponents lie within a few dozen values; a quarter of them then says how often, and every value
// between the least and the greatest is counted once more, lest one that only the others have be left without a code.
__attribute__((target("avx2"))) static void count_bytes(const uint8_t *source, size_t count, uint32_t counts[256]) {
    enum { NARROW = 48, SAMPLE = 64, STEP = 256 };
    uint8_t least = 255, greatest = 0;
    for (size_t i = 0; i < count; i++) {
        least = source[i] < least ? source[i] : least;
        greatest = source[i] > greatest ? source[i] : greatest;
    }
    int is_narrow = greatest - least < NARROW;
    // Four counters a value, since the same value often comes again before its counter is written.
    uint32_t counters[4][256] = {{0}};
    for (size_t start = 0; start < count; start += is_narrow ? STEP : SAMPLE) {
        size_t end = start + SAMPLE < count ? start + SAMPLE : count;
        for (size_t i = start; i + 4 <= end; i += 4)
            for (size_t j = 0; j < 4; j++) counters[j][source[i + j]]++;
        for (size_t i = end - (end - start) % 4; i < end; i++) counters[0][source[i]]++;
    }
    for (int value = 0; value < 256; value++) {
        counts[value] = counters[0][value] + counters[1][value] + counters[2][value] + counters[3][value];
        if (is_narrow && value >= least && value <= greatest) counts[value]++;
    }
}
#endif

size_t cplanes_zstd_compress_literals(cplanes_level level, const uint8_t *source, size_t count, uint8_t *target,
                                      size_t room) {
#if defined(__x86_64__)
    enum { LEAST = 1024, MOST = 128 << 10, HEAD = 9 + 3 + 5, DESCRIPTION = 129, JUMPS = 6 };
    if (level == CPLANES_PORTABLE || count < LEAST || count > MOST || room < HEAD + DESCRIPTION + JUMPS + 1) return 0;
    uint32_t counts[256];
    huffman_code code;
    uint8_t description[DESCRIPTION];
    count_bytes(source, count, counts);
    if (!huffman_build_code(counts, &code)) return 0;
    size_t described = huffman_write_code(&code, description);
    if (described == 0) return 0;
    // The streams are written where they end up when all sizes are wide, and what comes before them then.
    size_t sizes[4], wide_size = count < 256 + 65536 ? 2 : 4;
    uint8_t *streams = target + 5 + wide_size + 3 + 5 + described + JUMPS;
    size_t coded = huffman_encode4_bmi2(&code, source, count, streams, (size_t)(target + room - 1 - streams), sizes);
    if (coded == 0 || sizes[0] > 0xFFFF || sizes[1] > 0xFFFF || sizes[2] > 0xFFFF) return 0;
    size_t section = described + JUMPS + coded;
    int is_wide = count >= 1 << 14 || section >= 1 << 14;
    if (section >= count) return 0;
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
