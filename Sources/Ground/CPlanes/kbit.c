// Exponents as codes of k bits with escapes: planning, and the portable kernels.
#include "aside.h"
#include "kbit.h"
#include "planes_portable.h"

// 64 of every 512 elements say enough about the others: the size they predict is off by less than a percent.
enum { SAMPLE = 64, STEP = 512, SAMPLE_FROM = 8192 };

int cplanes_kbit_plan(const uint8_t *top, size_t count, uint8_t values[CPLANES_KBIT_VALUES]) {
    uint32_t counts[256] = {0};
    size_t sampled = 0;
    size_t step = count >= SAMPLE_FROM ? STEP : SAMPLE;
    for (size_t start = 0; start < count; start += step) {
        size_t end = start + SAMPLE < count ? start + SAMPLE : count;
        for (size_t i = start; i < end; i++) counts[top[i]]++;
        sampled += end - start;
    }
    // The most frequent first, equal ones in ascending order.
    uint8_t order[256];
    int distinct = 0;
    for (int value = 0; value < 256; value++) {
        if (!counts[value]) continue;
        int at = distinct++;
        for (; at > 0 && counts[order[at - 1]] < counts[value]; at--) order[at] = order[at - 1];
        order[at] = (uint8_t)value;
    }
    memset(values, 0, CPLANES_KBIT_VALUES);
    memcpy(values, order, (size_t)(distinct < CPLANES_KBIT_VALUES ? distinct : CPLANES_KBIT_VALUES));
    int best = 0;
    size_t best_bits = 8 * sampled, covered = 0;
    for (int k = 1, taken = 0; k <= CPLANES_KBIT_MAX; k++) {
        for (; taken < distinct && taken < (1 << k) - 1; taken++) covered += counts[order[taken]];
        size_t bits = (size_t)k * sampled + 8 * (sampled - covered);
        if (bits < best_bits) {
            best_bits = bits;
            best = k;
        }
    }
    return best;
}

static size_t pack_portable(const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                            uint8_t *escapes) {
    uint8_t code_of[256];
    size_t escaped = 0;
    kbit_code_table(k, values, code_of);
    uint8_t escape = (uint8_t)((1 << k) - 1);
    for (size_t start = 0; start < count; start += 64) {
        size_t lanes = count - start < 64 ? count - start : 64;
        uint8_t group[64] = {0};
        for (size_t i = 0; i < lanes; i++) {
            group[i] = code_of[top[start + i]];
            escapes[escaped] = top[start + i];
            escaped += group[i] == escape;
        }
        for (int part = 0; part < 8; part++) {
            uint64_t eight;
            memcpy(&eight, group + 8 * part, 8);
            // The multiplication gathers bit 0 of every byte in the top byte.
            for (int j = 0; j < k; j++)
                codes[8 * j + part] = (uint8_t)((eight >> j & 0x0101010101010101u) * 0x0102040810204080u >> 56);
        }
        codes += 8 * (size_t)k;
    }
    return escaped;
}

static void unpack64_portable(const uint8_t *codes, int k, const uint8_t table[64], uint8_t top[64]) {
    for (int part = 0; part < 8; part++) {
        uint64_t eight = 0;
        for (int j = 0; j < k; j++) {
            // Bit i of the byte becomes byte i: pick it out, then turn "not zero" into 1.
            uint64_t spread = codes[8 * j + part] * 0x0101010101010101u & 0x8040201008040201u;
            eight |= ((spread + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u) << j;
        }
        for (int i = 0; i < 8; i++) top[8 * part + i] = table[eight >> (8 * i) & 63];
    }
}

static int unpack_portable(const kbit_codes *in, size_t count, uint8_t *top) {
    return kbit_unpack_groups(in, count, top, unpack64_portable);
}

static int merge16_portable(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target) {
    uint8_t group[65];
    for (size_t start = 0; start < count; start += 64) {
        size_t lanes = count - start < 64 ? count - start : 64;
        if (!kbit_next_group(in, lanes, group, unpack64_portable)) return 0;
        planes_merge16(group, low + start, lanes, target + 2 * start);
    }
    return 1;
}

size_t cplanes_kbit_pack(clevel level, const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                         uint8_t *escapes) {
#if defined(__x86_64__)
    if (level == CLEVEL_AVX512_VBMI2) return cplanes_kbit_pack_avx512(top, count, k, values, codes, escapes);
    if (level >= CLEVEL_AVX2 && k <= 4) return cplanes_kbit_pack_avx2(top, count, k, values, codes, escapes);
#else
    (void)level;
#endif
    return pack_portable(top, count, k, values, codes, escapes);
}

int cplanes_kbit_unpack(clevel level, const uint8_t *codes, int k, const uint8_t *values, const uint8_t *escapes,
                        size_t escape_count, size_t count, uint8_t *top) {
    kbit_codes in = cplanes_kbit_begin(codes, k, values, escapes, escape_count);
#if defined(__x86_64__)
    if (level == CLEVEL_AVX512_VBMI2) return cplanes_kbit_unpack_avx512(&in, count, top);
    if (level >= CLEVEL_AVX2 && k <= 4) return cplanes_kbit_unpack_avx2(&in, count, top);
#else
    (void)level;
#endif
    return unpack_portable(&in, count, top);
}

cplanes_kbit_codes cplanes_kbit_begin(const uint8_t *codes, int k, const uint8_t *values, const uint8_t *escapes,
                                      size_t escape_count) {
    kbit_codes in = {codes, escapes, escape_count, k, {0}};
    memcpy(in.table, values, ((size_t)1 << k) - 1);
    return in;
}

int cplanes_kbit_merge16(clevel level, cplanes_kbit_codes *codes, const uint8_t *low, size_t count, void *target,
                         int cold, const cplanes_aside *aside) {
#if defined(__x86_64__)
    if (level == CLEVEL_AVX512_VBMI2) return cplanes_kbit_merge16_avx512(codes, low, count, target, cold, aside);
    if (level >= CLEVEL_AVX2 && codes->k <= 4) return cplanes_kbit_merge16_avx2(codes, low, count, target, cold, aside);
#else
    (void)level;
#endif
    (void)cold;
    aside_first(aside);
    return merge16_portable(codes, low, count, target);
}
