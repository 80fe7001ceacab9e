// Encodes four Huffman streams side by side.
#include "huffman.h"

#include <string.h>

#if defined(__x86_64__)
// Symbols between two flushes: a flush leaves 7 bits, so that 51 of the upper 56 bits are used.
enum { GROUP = 4 };

// One stream on its way, from its last symbol to its first: `used` bits at the top of `bits` are to be written.
typedef struct {
    uint64_t bits, used;
    const uint8_t *at, *start;
    uint8_t *out, *limit;
} writer;

// A code at the top of its entry, its length in the low byte: bits beyond those in use may be anything.
static void make_entries(const huffman_code *code, uint64_t entries[256]) {
    uint32_t next[HUFFMAN_MAX_BITS + 1];
    cplanes_huffman_places(code, next);
    memset(entries, 0, 256 * sizeof *entries);
    for (int symbol = 0; symbol < code->symbols; symbol++) {
        int bits = code->bits[symbol];
        if (!bits) continue;
        entries[symbol] = (uint64_t)next[bits] << (64 - code->longest) | (uint64_t)bits;
        next[bits] += 1u << (code->longest - bits);
    }
}

#define PUT(w) \
    { \
        uint64_t entry = entries[*--w.at]; \
        w.bits = w.bits >> (entry & 63) | entry; \
        w.used += entry; \
    }
#define FLUSH(w) \
    { \
        /* Only the low byte adds up lengths. */ \
        uint64_t used = w.used & 255, ready = w.bits >> (-used & 63); \
        memcpy(w.out, &ready, 8); \
        w.out += used >> 3; \
        w.used = used & 7; \
    }

// Groups that all four streams have symbols and room for: a group writes 8 bytes at most.
static size_t safe_groups(const writer w[4]) {
    size_t groups = SIZE_MAX;
    for (int i = 0; i < 4; i++) {
        size_t symbols = (size_t)(w[i].at - w[i].start) / GROUP, room = (size_t)(w[i].limit - w[i].out) / 8;
        if (symbols < groups) groups = symbols;
        if (room < groups) groups = room;
    }
    return groups;
}

// The rest of a stream, symbol by symbol, and the bit that marks its end. Returns 0 when there is no room for it.
BMI2 static int finish(writer *stream, const uint64_t entries[256]) {
    writer w = *stream;
    while (w.at > w.start) {
        if (w.limit - w.out < 8) return 0;
        PUT(w)
        FLUSH(w)
    }
    if (w.limit - w.out < 8) return 0;
    uint8_t last = (uint8_t)((w.used ? w.bits >> (64 - w.used) : 0) | (uint64_t)1 << w.used);
    *w.out++ = last;
    *stream = w;
    return 1;
}

BMI2 size_t cplanes_huffman_encode4_bmi2(const huffman_code *code, const uint8_t *source, size_t count, uint8_t *target,
                                         size_t room, size_t sizes[4]) {
    uint64_t entries[256];
    make_entries(code, entries);
    // Each stream gets a quarter of the room; they are moved together at the end.
    size_t quarter = (count + 3) / 4, part = room / 4;
    if (3 * quarter > count) return 0;
    writer w[4];
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *start = source + i * quarter;
        w[i] =
            (writer){0, 0, i < 3 ? start + quarter : source + count, start, target + i * part, target + (i + 1) * part};
    }
    for (size_t groups; (groups = safe_groups(w)) > 0;) {
        writer a = w[0], b = w[1], c = w[2], d = w[3];
        for (; groups > 0; groups--) {
            for (int i = 0; i < GROUP; i++) {
                PUT(a)
                PUT(b)
                PUT(c)
                PUT(d)
            }
            FLUSH(a)
            FLUSH(b)
            FLUSH(c)
            FLUSH(d)
        }
        w[0] = a, w[1] = b, w[2] = c, w[3] = d;
    }
    uint8_t *end = target;
    for (size_t i = 0; i < 4; i++) {
        if (!finish(&w[i], entries)) return 0;
        sizes[i] = (size_t)(w[i].out - (target + i * part));
        memmove(end, target + i * part, sizes[i]);
        end += sizes[i];
    }
    return (size_t)(end - target);
}
#endif
