// Decodes four Huffman streams side by side, several symbols a table look-up.
//
// A code of exponents has 2.6 bits a symbol, so 11 bits hold four symbols: one look-up gives all that lie whole within
// the next 11 bits. Four streams side by side hide the latency of look-up and shift.
#include "huffman.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    // Bytes of an entry: 0 to 5 symbols, the first lowest; 6 bits of them all; 7 how many they are.
    BITS_AT = 48,
    COUNT_AT = 56,
    TABLE = 1 << HUFFMAN_MAX_BITS,
    // Look-ups between two refills, which leave 56 bits; and the most symbols that so many give.
    LOOKUPS = 5,
    ROUND = LOOKUPS * HUFFMAN_MAX_BITS / 2,
    // Bytes that are asked for in a round: a little more than a round's symbols and their low bytes take.
    ROUND_AHEAD = 128,
};

// The entries for every number of bits that can be left, one table after the other: bits b begin at 2^b.
typedef struct {
    uint64_t entries[2 * TABLE] __attribute__((aligned(64)));
} decode_tables;

// Entries of `bits` bits that begin with `symbol`, whose code has `length` bits: those of the bits after it, with it in
// front.
BMI2 static void prepend(const uint64_t *after, size_t count, uint64_t symbol, uint64_t length, uint64_t *entries) {
    const uint64_t symbols = ((uint64_t)1 << BITS_AT) - 1,
                   add = ((uint64_t)1 << COUNT_AT) + (length << BITS_AT) + symbol;
    for (size_t i = 0; i < count; i++) entries[i] = ((after[i] << 8 & symbols) | (after[i] & ~symbols)) + add;
}

// Builds the tables for `bits` = 0 up to what a shortest code leaves, and for all bits.
BMI2 static void build_tables(const huffman_code *code, decode_tables *tables) {
    // The symbols in the order of their codes.
    uint8_t order[256];
    int begins[HUFFMAN_MAX_BITS + 1] = {0}, count = 0;
    for (int symbol = 0; symbol < code->symbols; symbol++)
        if (code->bits[symbol]) begins[code->bits[symbol]]++;
    for (int length = HUFFMAN_MAX_BITS; length > 0; length--) {
        count += begins[length];
        begins[length] = count - begins[length];
    }
    for (int symbol = 0; symbol < code->symbols; symbol++)
        if (code->bits[symbol]) order[begins[code->bits[symbol]]++] = (uint8_t)symbol;
    for (int bits = 0; bits <= HUFFMAN_MAX_BITS; bits++) {
        if (bits > HUFFMAN_MAX_BITS - code->shortest && bits < HUFFMAN_MAX_BITS) continue;
        uint64_t *entries = tables->entries + ((size_t)1 << bits), *end = entries + ((size_t)1 << bits);
        // Codes that are longer than the bits come first, as long as all of them together need.
        size_t covered = 0;
        for (int i = 0; i < count; i++) {
            int length = code->bits[order[i]];
            if (length <= bits) covered += (size_t)1 << (bits - length);
        }
        memset(entries, 0, sizeof *entries * (((size_t)1 << bits) - covered));
        entries += ((size_t)1 << bits) - covered;
        for (int i = 0; i < count && entries < end; i++) {
            int length = code->bits[order[i]];
            if (length > bits) continue;
            size_t size = (size_t)1 << (bits - length);
            prepend(tables->entries + size, size, order[i], (uint64_t)length, entries);
            entries += size;
        }
    }
}

// One stream on its way: `window` has the next bits at its top. The lowest bit of the eight bytes at `at`, from which
// it was loaded, is set in it, so that the zeros below that bit say how many bits were shifted out since.
typedef struct {
    uint64_t window;
    const uint8_t *at, *start;
    uint8_t *out, *end;
} stream;

static inline uint64_t load64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return value;
}

BMI2 static inline __attribute__((always_inline)) void refill(stream *s) {
    unsigned consumed = (unsigned)_tzcnt_u64(s->window);
    s->at -= consumed >> 3;
    s->window = (load64(s->at) | 1) << (consumed & 7);
}

static int open_stream(stream *s, const uint8_t *source, size_t size, uint8_t *out, uint8_t *end) {
    if (size < 8 || source[size - 1] == 0) return 0;
    // The highest bit of the last byte only marks where the stream begins.
    int consumed = __builtin_clz(source[size - 1]) - 23;
    s->at = source + size - 8;
    s->start = source;
    s->out = out;
    s->end = end;
    s->window = (load64(s->at) | 1) << consumed;
    return 1;
}

// How many rounds all four streams can do without looking at their ends: a refill moves 7 bytes at most, and a look-up
// writes 8.
static size_t safe_rounds(const stream s[4]) {
    size_t rounds = SIZE_MAX;
    for (int i = 0; i < 4; i++) {
        size_t room = (size_t)(s[i].end - s[i].out), bytes = (size_t)(s[i].at - s[i].start) / 7;
        size_t by_room = room < 8 ? 0 : (room - 8) / ROUND;
        if (by_room < rounds) rounds = by_room;
        if (bytes < rounds) rounds = bytes;
    }
    return rounds;
}

// The eight bytes that end with the last of `left` bits, or the first eight, with that bit at the top; what lies before
// the start reads as zeros.
static inline uint64_t window_of(const stream *s, long left) {
    long from = left > 64 ? (left + 7) / 8 - 8 : 0;
    return load64(s->start + from) << (from * 8 + 64 - left);
}

// The rest of a stream, as far as whole entries fit, then symbol by symbol. Returns 1 when its symbols end with its
// bits.
BMI2 static int finish(stream *s, const huffman_code *code, const uint64_t *table) {
    long left = (s->at - s->start) * 8 + 64 - (long)_tzcnt_u64(s->window);
    while (s->end - s->out >= 8 && left >= HUFFMAN_MAX_BITS) {
        uint64_t entry = table[window_of(s, left) >> (64 - HUFFMAN_MAX_BITS)];
        memcpy(s->out, &entry, 8);
        s->out += entry >> COUNT_AT;
        left -= entry >> BITS_AT & 255;
    }
    while (s->out < s->end && left > 0) {
        uint8_t symbol = (uint8_t)table[window_of(s, left) >> (64 - HUFFMAN_MAX_BITS)];
        left -= code->bits[symbol];
        *s->out++ = symbol;
    }
    return left == 0 && s->out == s->end;
}

BMI2 int cplanes_huffman_decode4_bmi2(const huffman_code *code, const uint8_t *source, const size_t sizes[4],
                                      uint8_t *target, size_t count, const uint8_t *ahead, const uint8_t *ahead_end) {
    stream s[4];
    size_t quarter = (count + 3) / 4;
    if (code->shortest < 2 || 3 * quarter > count) return 0;
    for (int i = 0; i < 4; i++) {
        uint8_t *out = target + (size_t)i * quarter;
        if (!open_stream(&s[i], source, sizes[i], out, i < 3 ? out + quarter : target + count)) return 0;
        source += sizes[i];
    }
    decode_tables tables;
    build_tables(code, &tables);
    const uint64_t *table = tables.entries + TABLE;
    for (size_t rounds; (rounds = safe_rounds(s)) > 0;) {
        stream a = s[0], b = s[1], c = s[2], d = s[3];
// Bits and count are loaded once more instead of shifted out: shifts are what there are too few units for.
#define LOOK_UP(s) \
    { \
        const uint8_t *entry = (const uint8_t *)&table[s.window >> (64 - HUFFMAN_MAX_BITS)]; \
        memcpy(s.out, entry, 8); \
        s.window <<= entry[BITS_AT / 8] & 63; \
        s.out += entry[COUNT_AT / 8]; \
    }
        for (; rounds > 0; rounds--) {
            if (ahead < ahead_end) {
                for (int i = 0; i < ROUND_AHEAD; i += 64) __builtin_prefetch(ahead + i, 0, 2);
                ahead += ROUND_AHEAD;
            }
            for (int i = 0; i < LOOKUPS; i++) {
                LOOK_UP(a)
                LOOK_UP(b)
                LOOK_UP(c)
                LOOK_UP(d)
            }
            refill(&a), refill(&b), refill(&c), refill(&d);
        }
        s[0] = a, s[1] = b, s[2] = c, s[3] = d;
    }
    for (int i = 0; i < 4; i++)
        if (!finish(&s[i], code, table)) return 0;
    return 1;
}
#endif
