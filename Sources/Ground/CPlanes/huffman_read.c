// Reads the description of a Huffman code: weights as they are, or compressed with FSE.
#include "fse.h"
#include "huffman.h"

#include <string.h>

static uint32_t byte_at(const uint8_t *bytes, size_t size, long at) {
    return at >= 0 && (size_t)at < size ? bytes[at] : 0;
}

// Bits `at` to `at + count` of `bytes`, 8 at most, counted from the first byte's lowest; what lies outside reads as 0.
static uint32_t bits_at(const uint8_t *bytes, size_t size, long at, int count) {
    long first = at >> 3;
    uint32_t two = byte_at(bytes, size, first) | byte_at(bytes, size, first + 1) << 8;
    return two >> (at & 7) & ((1u << count) - 1);
}

// Reads how often every weight occurs (RFC 8878, 4.1.1). Returns the bytes read, or 0.
static size_t read_frequencies(const uint8_t *source, size_t size, int *log, int frequencies[FSE_MAX_SYMBOL + 1]) {
    *log = (int)bits_at(source, size, 0, 4) + 5;
    if (*log > FSE_MAX_LOG) return 0;
    long at = 4;
    int left = 1 << *log, symbol = 0;
    memset(frequencies, 0, sizeof(int) * (FSE_MAX_SYMBOL + 1));
    while (left > 0) {
        if (symbol > FSE_MAX_SYMBOL) return 0;
        // A value is at most left + 1; the smallest ones take a bit less.
        int width = fse_highest_bit((uint32_t)left + 1) + 1;
        uint32_t value = bits_at(source, size, at, width);
        uint32_t low = value & ((1u << (width - 1)) - 1), spare = (1u << width) - 1 - (uint32_t)(left + 1);
        if (low < spare) {
            at += width - 1;
            value = low;
        } else {
            at += width;
            if (value >= 1u << (width - 1)) value -= spare;
        }
        int frequency = (int)value - 1;
        left -= frequency < 0 ? -frequency : frequency;
        frequencies[symbol++] = frequency;
        // After a zero, two bits at a time say how many more follow.
        for (uint32_t more = 3; frequency == 0 && more == 3; at += 2) {
            more = bits_at(source, size, at, 2);
            symbol += (int)more;
        }
    }
    size_t used = (size_t)(at + 7) / 8;
    return left == 0 && symbol <= FSE_MAX_SYMBOL + 1 && used <= size ? used : 0;
}

// Decodes weights with two states that take turns, from the last bit to the first. Returns how many, or 0.
static int decode_weights(const fse_table *table, const uint8_t *source, size_t size,
                          uint8_t weights[HUFFMAN_MAX_WEIGHTS]) {
    if (size == 0 || source[size - 1] == 0) return 0;
    long at = 8 * (long)size - 8 + fse_highest_bit(source[size - 1]);
    uint32_t states[2];
    for (int i = 0; i < 2; i++) states[i] = bits_at(source, size, at -= table->log, table->log);
    if (at < 0) return 0;
    for (int count = 0; count < HUFFMAN_MAX_WEIGHTS - 1;) {
        uint32_t *state = &states[count & 1];
        weights[count++] = table->symbol[*state];
        int width = table->bits[*state];
        at -= width;
        if (at < 0) {
            weights[count] = table->symbol[states[count & 1]];
            return count + 1;
        }
        *state = table->base[*state] + bits_at(source, size, at, width);
    }
    return 0;
}

// The bits of codes with these weights; the last symbol's weight is what completes the code.
static int lengths_of(const uint8_t *weights, int count, huffman_code *code) {
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (weights[i] > HUFFMAN_MAX_BITS) return 0;
        if (weights[i]) sum += 1u << (weights[i] - 1);
    }
    if (sum == 0) return 0;
    code->longest = fse_highest_bit(sum) + 1;
    uint32_t left = (1u << code->longest) - sum;
    if (code->longest > HUFFMAN_MAX_BITS || (left & (left - 1))) return 0;
    memset(code->bits, 0, sizeof code->bits);
    for (int i = 0; i < count; i++)
        if (weights[i]) code->bits[i] = (uint8_t)(code->longest + 1 - weights[i]);
    code->bits[count] = (uint8_t)(code->longest - fse_highest_bit(left));
    code->symbols = count + 1;
    code->shortest = HUFFMAN_MAX_BITS;
    int deepest = 0;
    for (int i = 0; i <= count; i++) {
        if (code->bits[i] && code->bits[i] < code->shortest) code->shortest = code->bits[i];
        if (code->bits[i] > deepest) deepest = code->bits[i];
    }
    // A code whose weights all could be smaller is sound, but not zstd's.
    return deepest == code->longest;
}

size_t cplanes_huffman_read_code(const uint8_t *source, size_t size, huffman_code *code) {
    uint8_t weights[HUFFMAN_MAX_WEIGHTS + 1] = {0};
    if (size == 0) return 0;
    int count;
    size_t used;
    if (source[0] >= 128) {
        count = source[0] - 127;
        used = 1 + (size_t)(count + 1) / 2;
        if (used > size) return 0;
        for (int i = 0; i < count; i++) weights[i] = i & 1 ? source[1 + i / 2] & 15 : source[1 + i / 2] >> 4;
    } else {
        int frequencies[FSE_MAX_SYMBOL + 1];
        fse_table table;
        used = 1 + (size_t)source[0];
        if (used > size) return 0;
        size_t head = read_frequencies(source + 1, used - 1, &table.log, frequencies);
        if (head == 0) return 0;
        fse_build_table(frequencies, &table);
        count = decode_weights(&table, source + 1 + head, used - 1 - head, weights);
        if (count == 0) return 0;
    }
    return lengths_of(weights, count, code) ? used : 0;
}
