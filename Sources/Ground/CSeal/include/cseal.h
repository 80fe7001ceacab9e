/// What sealed spaces need of cryptography, all of it by libcrypto: keyed sums (HMAC-SHA-256), authenticated encryption
/// (AES-256-GCM), and random bytes from the kernel.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CSEAL_KEY = 32, CSEAL_SUM = 32, CSEAL_TAG = 16 };

/// A key of HMAC-SHA-256, ready to use: SHA-256 after the inner and after the outer block. As secret as the key.
typedef struct {
    uint64_t states[28];
} cseal_mac;

/// Prepares a key. Returns 1, or 0 when libcrypto has no SHA-256.
int cseal_mac_begin(cseal_mac *mac, const uint8_t key[CSEAL_KEY]);

/// HMAC-SHA-256 over the concatenation of `count` parts. Returns 1, or 0 as above. Allocates nothing; any number of
/// threads may use one key.
int cseal_mac_sum(const cseal_mac *mac, const void *const *parts, const size_t *sizes, size_t count,
                  uint8_t sum[CSEAL_SUM]);

/// AES-256-GCM of `size` bytes to `sealed`, which may be the same memory. The nonce is `number` as 12 bytes,
/// little-endian; one key must never see a number twice. `known` is authenticated and not encrypted. Returns 1, or 0
/// when libcrypto fails; `sealed` holds nothing of use then.
int cseal_encrypt(const uint8_t key[CSEAL_KEY], uint64_t number, const void *known, size_t known_size,
                  const void *plain, size_t size, void *sealed, uint8_t tag[CSEAL_TAG]);

/// The way back. Returns 1; 0 when the tag is not that of key, number, `known` and `sealed`, or libcrypto fails. Then
/// `plain` holds nothing that may be used.
int cseal_decrypt(const uint8_t key[CSEAL_KEY], uint64_t number, const void *known, size_t known_size,
                  const void *sealed, size_t size, const uint8_t tag[CSEAL_TAG], void *plain);

/// Random bytes of the kernel (getrandom), which forks and threads never share. Returns 1, or 0 when it has none.
int cseal_random(void *bytes, size_t size);

/// Overwrites secrets; no compiler leaves this out.
void cseal_erase(void *bytes, size_t size);
