/// Kernels that split pages into byte planes and merge them again.
///
/// Every element is rotated left by one bit, so that its top byte is the exponent (bf16, fp32) or holds it (fp16). The
/// top bytes form one plane, which compresses; the other bytes form one plane each, which do not. Bit-exact for every
/// pattern. No kernel reads or writes outside the ranges named, and none needs any alignment. The level limits the
/// instructions that a kernel may use. Hashing ignores it and follows `clevel_chosen`. All levels give the same bytes,
/// except that zstd frames may differ: some levels make them with a kernel, others with zstd itself.
#pragma once
#include <chash.h>
#include <clevel.h>
#include <stddef.h>
#include <stdint.h>

/// What a kernel does on the side, a little at every step, while its own loads and stores wait for memory: it hashes
/// `run` up to its first `until` bytes, as `chash_run_advance` does, and meanwhile asks for the `ahead_size` bytes at
/// `ahead` to be brought near (to the second level of caches). When the kernel returns, the hashing is complete, unless
/// what it returns is a failure; the asking may not be.
typedef struct {
    chash_run *run;
    size_t until;
    const uint8_t *ahead;
    size_t ahead_size;
} cplanes_aside;

/// Splits `count` 16-bit elements at `source` into `count` top bytes and `count` low bytes.
void cplanes_split16(clevel level, const void *source, size_t count, uint8_t *top, uint8_t *low);

/// The inverse of `cplanes_split16`. A target that is `cold` (larger than the caches, not read soon) is written past
/// the caches where level and alignment allow; other threads see it after `cplanes_fence` only. Does `aside` meanwhile.
void cplanes_merge16(clevel level, const uint8_t *top, const uint8_t *low, size_t count, void *target, int cold,
                     const cplanes_aside *aside);

/// Copies `size` bytes; `cold` and `aside` as for `cplanes_merge16`.
void cplanes_copy(clevel level, const void *source, size_t size, void *target, int cold, const cplanes_aside *aside);

/// Splits `count` 32-bit elements at `source` into `count` top bytes and three planes of `count` bytes, the lowest
/// first, `stride` bytes apart; `stride` is at least `count`.
void cplanes_split32(clevel level, const void *source, size_t count, uint8_t *top, uint8_t *low, size_t stride);

/// The inverse of `cplanes_split32`; `cold` and `aside` as for `cplanes_merge16`.
void cplanes_merge32(clevel level, const uint8_t *top, const uint8_t *low, size_t stride, size_t count, void *target,
                     int cold, const cplanes_aside *aside);

/// Bits of a code at most, and values that have a code then.
enum { CPLANES_KBIT_MAX = 6, CPLANES_KBIT_VALUES = 63 };

/// Chooses how to code `count` top bytes: writes the most frequent values, the most frequent first, and returns the
/// bits of a code, 1 to CPLANES_KBIT_MAX; 0 when no number of bits saves anything. Looks at a sample; the same bytes
/// give the same answer.
int cplanes_kbit_plan(const uint8_t *top, size_t count, uint8_t values[CPLANES_KBIT_VALUES]);

/// Codes `count` top bytes with `k` bits each: bytes equal to values[c], c < 2^k - 1, become c, all others the escape
/// 2^k - 1. `codes` takes 8 * k bytes for every 64 elements begun: bit i of little-endian word j of a group is bit j of
/// element i's code. `escapes` takes the escaped bytes in order and needs room for count + 1. Returns how many there
/// are.
size_t cplanes_kbit_pack(clevel level, const uint8_t *top, size_t count, int k, const uint8_t *values, uint8_t *codes,
                         uint8_t *escapes);

/// The inverse of `cplanes_kbit_pack`. Returns 1; or 0 when the codes do not use exactly `escape_count` escapes, which
/// are never read past. `top` may hold anything then.
int cplanes_kbit_unpack(clevel level, const uint8_t *codes, int k, const uint8_t *values, const uint8_t *escapes,
                        size_t escape_count, size_t count, uint8_t *top);

/// Codes on their way to bytes: what is left of the codes and of the escapes.
typedef struct {
    const uint8_t *codes;
    const uint8_t *escapes;
    size_t escape_count;
    int k;
    /// The value of every code; the escape's and those beyond are 0.
    uint8_t table[64];
} cplanes_kbit_codes;

/// Codes of `k` bits and their escapes, none of them used yet.
cplanes_kbit_codes cplanes_kbit_begin(const uint8_t *codes, int k, const uint8_t *values, const uint8_t *escapes,
                                      size_t escape_count);

/// `cplanes_kbit_unpack` and `cplanes_merge16` in one pass, for the next `count` elements of `codes`: a multiple of 64
/// unless they are the last. Does `aside` meanwhile. Returns 1; or 0 when escapes are missing. After the last elements
/// `escape_count` must be 0.
int cplanes_kbit_merge16(clevel level, cplanes_kbit_codes *codes, const uint8_t *low, size_t count, void *target,
                         int cold, const cplanes_aside *aside);

/// Makes what was written past the caches visible to other threads, in order with what is written after it.
void cplanes_fence(void);

/// Decodes the zstd frame of exactly `size` bytes at `source` to exactly `count` bytes, when it is of the kind that the
/// codec writes: one block of Huffman-coded literals in four streams, no checksum. Returns 1; or 0 when it is of
/// another kind, or damaged, or the level has no kernel for it: zstd itself has the last word then, and `target` may
/// hold anything. Nothing outside `target` is written, nothing outside the frame read. Meanwhile the `ahead_size` bytes
/// at `ahead` are asked for, as an aside does it: decoding leaves memory idle.
int cplanes_zstd_literals(clevel level, const uint8_t *source, size_t size, uint8_t *target, size_t count,
                          const uint8_t *ahead, size_t ahead_size);

/// Makes a zstd frame of that kind from `count` bytes, in `target`, which has `room` bytes. Returns its bytes; or 0
/// when they are too few or too many for one block, or gain nothing, or have 48 values or more, or the level has no
/// kernel for it. What lies beyond the frame within the room may be written.
size_t cplanes_zstd_compress_literals(clevel level, const uint8_t *source, size_t count, uint8_t *target, size_t room);
