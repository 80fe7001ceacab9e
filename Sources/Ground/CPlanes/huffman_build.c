// The shortest code of limited length, by the package-merge algorithm (Larmore and Hirschberg, 1990).
#include "huffman.h"

#include <string.h>

enum { SYMBOLS = 256 };

// One level's list: the symbols, and pairs of the level below, lightest first. What matters of an entry is its weight,
// and whether it is a symbol.
typedef struct {
    uint64_t weights[2 * SYMBOLS];
    uint8_t is_symbol[2 * SYMBOLS];
    int count;
} level;

static void merge(const uint64_t *leaves, int leaf_count, const level *below, level *merged) {
    int leaf = 0, pair = 0, pairs = below->count / 2, at = 0;
    while (leaf < leaf_count || pair < pairs) {
        uint64_t weight = pair < pairs ? below->weights[2 * pair] + below->weights[2 * pair + 1] : UINT64_MAX;
        int takes_leaf = leaf < leaf_count && leaves[leaf] <= weight;
        merged->weights[at] = takes_leaf ? leaves[leaf++] : weight;
        pair += !takes_leaf;
        merged->is_symbol[at++] = (uint8_t)takes_leaf;
    }
    merged->count = at;
}

int cplanes_huffman_build_code(const uint32_t counts[256], huffman_code *code) {
    // Symbols by count, the rarest first.
    uint64_t leaves[SYMBOLS];
    uint8_t order[SYMBOLS];
    int count = 0;
    memset(code, 0, sizeof *code);
    for (int symbol = 0; symbol < SYMBOLS; symbol++) {
        if (!counts[symbol]) continue;
        int at = count++;
        for (; at > 0 && leaves[at - 1] > counts[symbol]; at--) {
            leaves[at] = leaves[at - 1];
            order[at] = order[at - 1];
        }
        leaves[at] = counts[symbol];
        order[at] = (uint8_t)symbol;
        code->symbols = symbol + 1;
    }
    if (count < 2) return 0;
    level levels[HUFFMAN_MAX_BITS];
    level none = {.count = 0};
    for (int i = 0; i < HUFFMAN_MAX_BITS; i++) merge(leaves, count, i == 0 ? &none : &levels[i - 1], &levels[i]);
    // The lightest 2 n - 2 entries of the top list, and what they are made of: each time a symbol is among them, its
    // code gets a bit more.
    for (int i = HUFFMAN_MAX_BITS - 1, taken = 2 * count - 2; i >= 0 && taken > 0; i--) {
        int symbols = 0;
        for (int entry = 0; entry < taken; entry++) symbols += levels[i].is_symbol[entry];
        for (int leaf = 0; leaf < symbols; leaf++) code->bits[order[leaf]]++;
        taken = 2 * (taken - symbols);
    }
    code->longest = code->bits[order[0]];
    code->shortest = code->bits[order[count - 1]];
    return 1;
}

void cplanes_huffman_places(const huffman_code *code, uint32_t first[HUFFMAN_MAX_BITS + 1]) {
    uint32_t counts[HUFFMAN_MAX_BITS + 1] = {0}, at = 0;
    for (int symbol = 0; symbol < code->symbols; symbol++)
        if (code->bits[symbol]) counts[code->bits[symbol]]++;
    for (int bits = HUFFMAN_MAX_BITS; bits > 0; bits--) {
        first[bits] = at;
        if (bits <= code->longest) at += counts[bits] << (code->longest - bits);
    }
}
