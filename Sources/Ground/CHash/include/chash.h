/// Hashes of the store: SHA-256 (an identity) from libcrypto, XXH3-64 (a checksum, never an identity) from libxxhash's
/// header, but for the step of `chash_unit.h`.
#pragma once
#include <clevel.h>
#include <stddef.h>
#include <stdint.h>

/// SHA-256 over the concatenation of `count` parts. Returns 1, or 0 when libcrypto has no SHA-256. Allocates nothing.
int chash_sha256(const void *const *parts, const size_t *sizes, size_t count, uint8_t digest[32]);

/// SHA-256 of a stream: begin, update any number of times, finish. `chash_sha256_finish` frees the state in every case.
typedef struct chash_sha256_stream chash_sha256_stream;
chash_sha256_stream *chash_sha256_begin(void);
int chash_sha256_update(chash_sha256_stream *stream, const void *bytes, size_t size);
int chash_sha256_finish(chash_sha256_stream *stream, uint8_t digest[32]);

/// XXH3-64 of `size` bytes with a seed.
uint64_t chash_xxh3(const void *bytes, size_t size, uint64_t seed);

/// XXH3-64 of one run of bytes, hashed a little at a time by code that reads them anyway: begin, advance any number of
/// times or let a kernel do it (`chash_unit.h`), finish; then begin again. The bytes must stay where they are
/// meanwhile. One thread at a time.
typedef struct {
    const uint8_t *start;
    size_t size;
    uint64_t seed;
    /// The first bytes that are in `sums`: a multiple of CHASH_UNIT.
    size_t hashed;
    /// `hashed` never goes beyond.
    size_t limit;
    uint64_t sums[8];
    uint8_t secret[192];
} chash_run;

/// Bytes of XXH3's stripes and blocks, and of a step of a run: four stripes.
enum { CHASH_STRIPE = 64, CHASH_UNIT = 4 * CHASH_STRIPE, CHASH_BLOCK = 1024 };

void chash_run_begin(chash_run *run, const void *bytes, size_t size, uint64_t seed);
/// Hashes whole units until less than one is missing to the first `until` bytes, or `limit` is reached.
void chash_run_advance(chash_run *run, size_t until);
/// Hashes what is left, and returns `chash_xxh3` of all bytes.
uint64_t chash_run_finish(chash_run *run);

/// The same number at a level, or at the next lower one that this CPU has: for tests.
uint64_t chash_xxh3_at(clevel level, const void *bytes, size_t size, uint64_t seed);
/// `chash_run_advance` at a level, likewise.
void chash_run_advance_at(clevel level, chash_run *run, size_t until);
