// HMAC-SHA-256 and AES-256-GCM by libcrypto.
#include "cseal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

// As in chash.c: the plain functions allocate nothing, and a match sums once per page.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

enum { BLOCK = 64, NONCE = 12 };

typedef struct {
    SHA256_CTX inner, outer;
} cseal_states;
_Static_assert(sizeof(cseal_states) == sizeof(cseal_mac), "a prepared key has another size than its memory");

static int keyed(SHA256_CTX *state, const uint8_t key[CSEAL_KEY], uint8_t pad) {
    uint8_t block[BLOCK];
    memset(block, pad, sizeof block);
    for (int i = 0; i < CSEAL_KEY; i++) block[i] ^= key[i];
    int done = SHA256_Init(state) && SHA256_Update(state, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
    return done;
}

int cseal_mac_begin(cseal_mac *mac, const uint8_t key[CSEAL_KEY]) {
    cseal_states states;
    // RFC 2104: inner and outer pad.
    int done = keyed(&states.inner, key, 0x36) && keyed(&states.outer, key, 0x5C);
    memcpy(mac, &states, sizeof states);
    OPENSSL_cleanse(&states, sizeof states);
    return done;
}

int cseal_mac_sum(const cseal_mac *mac, const void *const *parts, const size_t *sizes, size_t count,
                  uint8_t sum[CSEAL_SUM]) {
    cseal_states states;
    memcpy(&states, mac, sizeof states);
    int done = 1;
    for (size_t i = 0; i < count; i++) done = done && SHA256_Update(&states.inner, parts[i], sizes[i]);
    done = done && SHA256_Final(sum, &states.inner) && SHA256_Update(&states.outer, sum, CSEAL_SUM) &&
           SHA256_Final(sum, &states.outer);
    OPENSSL_cleanse(&states, sizeof states);
    return done;
}

// Looked up once: libcrypto takes a lock and searches its providers for every look-up.
static EVP_CIPHER *cseal_cipher;
static pthread_once_t cseal_looked_up = PTHREAD_ONCE_INIT;
static void look_up(void) { cseal_cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL); }

static EVP_CIPHER_CTX *begin(const uint8_t *key, uint64_t number, int encrypts) {
    pthread_once(&cseal_looked_up, look_up);
    uint8_t nonce[NONCE] = {0};
    for (int i = 0; i < 8; i++) nonce[i] = (uint8_t)(number >> 8 * i);
    EVP_CIPHER_CTX *context = cseal_cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (context && EVP_CipherInit_ex2(context, cseal_cipher, key, nonce, encrypts, NULL)) return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

// Both directions; the caller handles the tag.
static int run(EVP_CIPHER_CTX *context, const void *known, size_t known_size, const void *from, size_t size, void *to) {
    int written = 0;
    if (known_size > INT_MAX || size > INT_MAX) return 0;
    if (known_size && !EVP_CipherUpdate(context, NULL, &written, known, (int)known_size)) return 0;
    return !size || EVP_CipherUpdate(context, to, &written, from, (int)size);
}

int cseal_encrypt(const uint8_t key[CSEAL_KEY], uint64_t number, const void *known, size_t known_size,
                  const void *plain, size_t size, void *sealed, uint8_t tag[CSEAL_TAG]) {
    EVP_CIPHER_CTX *context = begin(key, number, 1);
    uint8_t none[BLOCK];
    int rest = 0;
    int done = context && run(context, known, known_size, plain, size, sealed) &&
               EVP_CipherFinal_ex(context, none, &rest) &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CSEAL_TAG, tag);
    EVP_CIPHER_CTX_free(context);
    return done;
}

int cseal_decrypt(const uint8_t key[CSEAL_KEY], uint64_t number, const void *known, size_t known_size,
                  const void *sealed, size_t size, const uint8_t tag[CSEAL_TAG], void *plain) {
    EVP_CIPHER_CTX *context = begin(key, number, 0);
    uint8_t none[BLOCK], wanted[CSEAL_TAG];
    int rest = 0;
    memcpy(wanted, tag, sizeof wanted);
    int done = context && run(context, known, known_size, sealed, size, plain) &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CSEAL_TAG, wanted) &&
               EVP_CipherFinal_ex(context, none, &rest);
    EVP_CIPHER_CTX_free(context);
    return done;
}

int cseal_random(void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = getrandom((uint8_t *)bytes + done, size - done, 0);
        if (count < 0 && errno != EINTR) return 0;
        if (count > 0) done += (size_t)count;
    }
    return 1;
}

void cseal_erase(void *bytes, size_t size) { OPENSSL_cleanse(bytes, size); }
