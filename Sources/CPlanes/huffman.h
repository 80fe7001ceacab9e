// Huffman codes as zstd stores them (RFC 8878, section 4.2): what parsing a frame and decoding its streams share.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Bits of the longest code that zstd makes, and bits of the decoding table's index.
enum { HUFFMAN_MAX_BITS = 11 };

/// A complete prefix code: the bits of every symbol's code, 0 for symbols that have none.
typedef struct {
    uint8_t bits[256];
    /// Symbols from this one on have no code.
    int symbols;
    /// Bits of the longest and of the shortest code.
    int longest, shortest;
} huffman_code;

/// Reads the code that begins at `source`. Returns the bytes of its description, or 0 when it is damaged.
size_t huffman_read_code(const uint8_t *source, size_t size, huffman_code *code);

#if defined(__x86_64__)
/// Decodes four streams, which lie one after the other in `source` with the given sizes, to `count` symbols: a quarter
/// each (rounded up), the rest in the last. Returns 1; or 0 when a stream does not end where its symbols do, or is too
/// short to be worth it, or when the shortest code has one bit only. Nothing outside `target` is written, nothing
/// outside the streams read.
int huffman_decode4_bmi2(const huffman_code *code, const uint8_t *source, const size_t sizes[4], uint8_t *target,
                         size_t count);
#endif
