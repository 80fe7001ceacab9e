// Writes the description of a Huffman code: weights as they are, or compressed with FSE.
#include "fse.h"
#include "huffman.h"

#include <string.h>

// Bits written from the lowest of the first byte on.
typedef struct {
    uint8_t *bytes;
    size_t at;
} bit_writer;

static void put_bits(bit_writer *writer, uint32_t value, int count) {
    for (int done = 0; done < count;) {
        int at = (int)(writer->at % 8), part = count - done < 8 - at ? count - done : 8 - at;
        uint8_t *byte = &writer->bytes[writer->at / 8];
        uint32_t bits = value >> done & ((1u << part) - 1);
        *byte = (uint8_t)((at ? *byte : 0) | bits << at);
        writer->at += (size_t)part;
        done += part;
    }
}

// How many of 2^log states each weight gets: in proportion, but one at least. Returns 0 when one weight has them all,
// which needs no code.
static int choose_frequencies(const uint8_t *weights, int count, int log, int frequencies[FSE_MAX_SYMBOL + 1]) {
    int counts[FSE_MAX_SYMBOL + 1] = {0}, left = 1 << log, most = 0;
    for (int i = 0; i < count; i++) counts[weights[i]]++;
    for (int symbol = 0; symbol <= FSE_MAX_SYMBOL; symbol++) {
        int states = (counts[symbol] << log) / count;
        frequencies[symbol] = counts[symbol] && !states ? 1 : states;
        left -= frequencies[symbol];
        if (counts[symbol] == count) return 0;
        if (counts[symbol] > counts[most]) most = symbol;
    }
    frequencies[most] += left;
    return frequencies[most] > 0;
}

// Writes how many states each weight has (RFC 8878, 4.1.1). Returns the bytes.
static size_t write_frequencies(const int frequencies[FSE_MAX_SYMBOL + 1], int log, uint8_t *target) {
    bit_writer writer = {target, 0};
    put_bits(&writer, (uint32_t)log - 5, 4);
    int left = 1 << log;
    for (int symbol = 0; left > 0;) {
        int width = fse_highest_bit((uint32_t)left + 1) + 1;
        uint32_t value = (uint32_t)frequencies[symbol] + 1, spare = (1u << width) - 1 - (uint32_t)(left + 1);
        if (value < spare)
            put_bits(&writer, value, width - 1);
        else
            put_bits(&writer, value < 1u << (width - 1) ? value : value + spare, width);
        left -= frequencies[symbol];
        if (frequencies[symbol++]) continue;
        int more = 0;
        while (frequencies[symbol + more] == 0) more++;
        symbol += more;
        for (; more >= 3; more -= 3) put_bits(&writer, 3, 2);
        put_bits(&writer, (uint32_t)more, 2);
    }
    return (writer.at + 7) / 8;
}

// The states of every symbol, one symbol after the other: the reverse of the table.
typedef struct {
    int first[FSE_MAX_SYMBOL + 1];
    uint8_t states[FSE_STATES];
} fse_reverse;

static void reverse_table(const fse_table *table, const int frequencies[FSE_MAX_SYMBOL + 1], fse_reverse *reverse) {
    int next[FSE_MAX_SYMBOL + 1];
    for (int symbol = 0, at = 0; symbol <= FSE_MAX_SYMBOL; at += frequencies[symbol++])
        reverse->first[symbol] = next[symbol] = at;
    for (int state = 0; state < 1 << table->log; state++)
        reverse->states[next[table->symbol[state]]++] = (uint8_t)state;
}

// The state that stands for `symbol` and leads to `next`: state number i of a symbol with f states leads to those whose
// upper bits are f + i.
static int state_before(const fse_table *table, const fse_reverse *reverse, int frequency, uint8_t symbol, int next) {
    int bits = table->log - fse_highest_bit((uint32_t)frequency), number = (next + (1 << table->log)) >> bits;
    if (number < frequency) number = (next + (1 << table->log)) >> (bits - 1);
    return reverse->states[reverse->first[symbol] + number - frequency];
}

// Compresses weights with two states that take turns, from the last weight to the first. Returns the bytes.
static size_t compress_weights(const uint8_t *weights, int count, uint8_t *target) {
    int frequencies[FSE_MAX_SYMBOL + 1];
    fse_table table = {.log = count < 64 ? 5 : FSE_MAX_LOG};
    fse_reverse reverse;
    if (!choose_frequencies(weights, count, table.log, frequencies)) return 0;
    fse_build_table(frequencies, &table);
    reverse_table(&table, frequencies, &reverse);
    size_t head = write_frequencies(frequencies, table.log, target);
    bit_writer writer = {target + head, 0};
    // Where nothing follows, a symbol's first state, which has the most bits: the reader finds the end by missing them.
    int states[2];
    for (int i = count - 1; i >= 0; i--) {
        uint8_t symbol = weights[i];
        if (i >= count - 2) {
            states[i & 1] = reverse.states[reverse.first[symbol]];
            continue;
        }
        int next = states[i & 1], state = state_before(&table, &reverse, frequencies[symbol], symbol, next);
        put_bits(&writer, (uint32_t)(next - table.base[state]), table.bits[state]);
        states[i & 1] = state;
    }
    put_bits(&writer, (uint32_t)states[1], table.log);
    put_bits(&writer, (uint32_t)states[0], table.log);
    put_bits(&writer, 1, 1);
    return head + (writer.at + 7) / 8;
}

size_t cplanes_huffman_write_code(const huffman_code *code, uint8_t target[129]) {
    // The last symbol's weight follows from the others'.
    int count = code->symbols - 1;
    uint8_t weights[256] = {0}, compressed[512];
    for (int symbol = 0; symbol < count; symbol++)
        if (code->bits[symbol]) weights[symbol] = (uint8_t)(code->longest + 1 - code->bits[symbol]);
    size_t size = count > 1 ? compress_weights(weights, count, compressed) : 0;
    size_t plain = (size_t)(count + 1) / 2;
    if (size > 1 && size < 128 && (count > 128 || size < plain)) {
        target[0] = (uint8_t)size;
        memcpy(target + 1, compressed, size);
        return 1 + size;
    }
    if (count < 1 || count > 128) return 0;
    target[0] = (uint8_t)(127 + count);
    memset(target + 1, 0, plain);
    for (int i = 0; i < count; i++) target[1 + i / 2] |= (uint8_t)(i & 1 ? weights[i] : weights[i] << 4);
    return 1 + plain;
}
