// Huffman codes as zstd stores them (RFC 8878, section 4.2): what reading and writing them share.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Bits of the longest code that zstd makes, and bits of the decoding table's index; the weights of a description.
enum { HUFFMAN_MAX_BITS = 11, HUFFMAN_MAX_WEIGHTS = 255 };

/// A complete prefix code: the bits of every symbol's code, 0 for symbols that have none.
typedef struct {
    uint8_t bits[256];
    /// Symbols from this one on have no code.
    int symbols;
    /// Bits of the longest and of the shortest code.
    int longest, shortest;
} huffman_code;

/// Where the codes of each number of bits begin in a table of 2^longest entries: codes stand in the order of their
/// weights, the longest first, and of their symbols within a weight.
void cplanes_huffman_places(const huffman_code *code, uint32_t first[HUFFMAN_MAX_BITS + 1]);

/// Reads the code that begins at `source`. Returns the bytes of its description, or 0 when it is damaged.
size_t cplanes_huffman_read_code(const uint8_t *source, size_t size, huffman_code *code);

/// Makes the code that is shortest for these counts with no more than HUFFMAN_MAX_BITS bits a symbol. Returns 0 when
/// fewer than two symbols have a count.
int cplanes_huffman_build_code(const uint32_t counts[256], huffman_code *code);

/// Writes the description of `code`, at most 129 bytes. Returns its bytes, or 0 when zstd has no description for it.
size_t cplanes_huffman_write_code(const huffman_code *code, uint8_t target[129]);

#if defined(__x86_64__)
/// What the kernels of both directions need; every level above the portable one has it.
#define BMI2 __attribute__((target("avx2,bmi,bmi2")))

/// Decodes four streams, which lie one after the other in `source` with the given sizes, to `count` symbols: a quarter
/// each (rounded up), the rest in the last. Returns 1; or 0 when a stream does not end where its symbols do, or is too
/// short to be worth it, or when the shortest code has one bit only. Nothing outside `target` is written, nothing
/// outside the streams read; what lies between `ahead` and `ahead_end` is asked for on the way.
int cplanes_huffman_decode4_bmi2(const huffman_code *code, const uint8_t *source, const size_t sizes[4],
                                 uint8_t *target, size_t count, const uint8_t *ahead, const uint8_t *ahead_end);

/// Encodes `count` symbols, all of which have a code, to four streams one after the other; `sizes` takes their sizes.
/// Returns the bytes of all, or 0 when they need more than `room`, of which nothing beyond is written.
size_t cplanes_huffman_encode4_bmi2(const huffman_code *code, const uint8_t *source, size_t count, uint8_t *target,
                                    size_t room, size_t sizes[4]);
#endif
