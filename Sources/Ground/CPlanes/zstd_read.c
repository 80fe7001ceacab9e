// Decodes zstd frames that hold nothing but one block of Huffman-coded literals (RFC 8878), which is what PageCodec
// makes of exponents.
#include "cplanes.h"
#include "huffman.h"

#include <string.h>

#if defined(__x86_64__)
static uint32_t little(const uint8_t *bytes, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

// Bytes of the header of a frame of `count` bytes in a single segment, without a dictionary or a checksum; 0 for any
// other.
static size_t header_bytes(const uint8_t *source, size_t size, size_t count) {
    if (size < 9 || little(source, 4) != 0xFD2FB528u || (source[4] & 0x2F) != 0x20) return 0;
    switch (source[4] >> 6) {
    case 0:
        return little(source + 5, 1) == count ? 6 : 0;
    case 1:
        return little(source + 5, 2) + 256 == count ? 7 : 0;
    case 2:
        return little(source + 5, 4) == count ? 9 : 0;
    default:
        return 0;
    }
}
#endif

int cplanes_zstd_literals(clevel level, const uint8_t *source, size_t size, uint8_t *target, size_t count,
                          const uint8_t *ahead, size_t ahead_size) {
#if defined(__x86_64__)
    if (level == CLEVEL_PORTABLE) return 0;
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
    size_t described = cplanes_huffman_read_code(at, coded, &code);
    if (described == 0 || coded < described + 6) return 0;
    at += described;
    size_t streams[4] = {little(at, 2), little(at + 2, 2), little(at + 4, 2), 0};
    at += 6;
    size_t first = streams[0] + streams[1] + streams[2];
    if ((size_t)(end - at) < first) return 0;
    streams[3] = (size_t)(end - at) - first;
    return cplanes_huffman_decode4_bmi2(&code, at, streams, target, count, ahead, ahead + ahead_size);
#else
    (void)level, (void)source, (void)size, (void)target, (void)count, (void)ahead, (void)ahead_size;
    return 0;
#endif
}
