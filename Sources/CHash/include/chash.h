/// Hashes of the store: SHA-256 (an identity) from libcrypto, XXH3-64 (a checksum, never an identity) from libxxhash's
/// header.
#pragma once
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

/// XXH3-64 of a stream: `chash_xxh3_begin`, update any number of times, finish; then begin again. One thread at a time.
/// `chash_xxh3_new` returns NULL when there is no memory.
typedef struct chash_xxh3_stream chash_xxh3_stream;
chash_xxh3_stream *chash_xxh3_new(void);
void chash_xxh3_begin(chash_xxh3_stream *stream, uint64_t seed);
void chash_xxh3_update(chash_xxh3_stream *stream, const void *bytes, size_t size);
uint64_t chash_xxh3_finish(const chash_xxh3_stream *stream);
void chash_xxh3_free(chash_xxh3_stream *stream);

/// The same number, computed with AVX-512 (level 2), AVX2 (1) or neither (0), or the next lower that this CPU has: for
/// tests.
uint64_t chash_xxh3_at(int level, const void *bytes, size_t size, uint64_t seed);
