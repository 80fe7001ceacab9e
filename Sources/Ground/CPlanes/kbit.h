// What the k-bit kernels of all instruction sets share.
#pragma once
#include "cplanes.h"

#include <string.h>

typedef cplanes_kbit_codes kbit_codes;

/// Moves `in` on to where `rest`, a copy that the kernel kept in registers, got to.
static inline void kbit_advance(kbit_codes *in, const kbit_codes *rest) {
    in->codes = rest->codes;
    in->escapes = rest->escapes;
    in->escape_count = rest->escape_count;
}

/// The code of every value; the escape for values that have none.
static inline void kbit_code_table(int k, const uint8_t *values, uint8_t code_of[256]) {
    int escape = (1 << k) - 1;
    memset(code_of, escape, 256);
    // Backwards: values that fill the table up repeat 0, and the first code of a value is the one that counts.
    for (int code = escape - 1; code >= 0; code--) code_of[values[code]] = (uint8_t)code;
}

/// Turns 64 codes of k bits into values; escapes become table[escape].
typedef void kbit_unpack64(const uint8_t *codes, int k, const uint8_t table[64], uint8_t top[64]);

// Escapes of a group that are put in without a branch; bf16 keys and values mostly have fewer.
enum { KBIT_FEW = 4 };

/// Unpacks the next group, of which `lanes` elements count, and puts its escapes in; one byte more may be written.
/// Returns 0 when escapes are missing.
static inline __attribute__((always_inline)) int kbit_next_group(kbit_codes *in, size_t lanes, uint8_t top[65],
                                                                 kbit_unpack64 *unpack64) {
    unpack64(in->codes, in->k, in->table, top);
    uint64_t escaped = lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << lanes) - 1;
    for (int j = 0; j < in->k; j++) {
        uint64_t bits;
        memcpy(&bits, in->codes + 8 * j, 8);
        escaped &= bits;
    }
    size_t used = (size_t)__builtin_popcountll(escaped);
    if (used > in->escape_count) return 0;
    size_t i = 0;
    // A loop as long as the group has escapes would be mispredicted every time. The first few are put in whether they
    // are there or not: those that are not go to the byte after the group.
    if (in->escape_count >= KBIT_FEW)
        for (; i < KBIT_FEW; i++, escaped &= escaped - 1) top[escaped ? __builtin_ctzll(escaped) : 64] = in->escapes[i];
    for (; escaped; i++, escaped &= escaped - 1) top[__builtin_ctzll(escaped)] = in->escapes[i];
    in->codes += 8 * in->k;
    in->escapes += used;
    in->escape_count -= used;
    return 1;
}

/// Unpacks `count` elements. Returns 1 when exactly all escapes were used.
static inline __attribute__((always_inline)) int kbit_unpack_groups(const kbit_codes *in, size_t count, uint8_t *top,
                                                                    kbit_unpack64 *unpack64) {
    kbit_codes rest = *in;
    uint8_t group[65];
    for (size_t start = 0; start < count; start += 64) {
        size_t lanes = count - start < 64 ? count - start : 64;
        if (!kbit_next_group(&rest, lanes, group, unpack64)) return 0;
        memcpy(top + start, group, lanes);
    }
    return rest.escape_count == 0;
}

#if defined(__x86_64__)
size_t cplanes_kbit_pack_avx2(const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                              uint8_t *escapes);
int cplanes_kbit_unpack_avx2(const kbit_codes *in, size_t count, uint8_t *top);
int cplanes_kbit_merge16_avx2(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target, int cold,
                              const cplanes_aside *aside);
size_t cplanes_kbit_pack_avx512(const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                                uint8_t *escapes);
int cplanes_kbit_unpack_avx512(const kbit_codes *in, size_t count, uint8_t *top);
int cplanes_kbit_merge16_avx512(kbit_codes *in, const uint8_t *low, size_t count, uint8_t *target, int cold,
                                const cplanes_aside *aside);
#endif
