// SHA-256 by libcrypto, XXH3 by libxxhash's header.
#include "chash.h"

#include <openssl/evp.h>

// One digest context a thread: making one a call costs twice the hashing of a page of token ids. It is freed with the
// thread by libcrypto's own thread-exit handling only for its own state, so the context is kept in thread-local storage
// and reused.
static _Thread_local EVP_MD_CTX *context;

int chash_sha256(const void *const *parts, const size_t *sizes, size_t count, uint8_t digest[32]) {
    if (!context && !(context = EVP_MD_CTX_new())) return 0;
    static const EVP_MD *sha256;
    const EVP_MD *algorithm = __atomic_load_n(&sha256, __ATOMIC_ACQUIRE);
    if (!algorithm) {
        // Fetched once: EVP_sha256() alone repeats the provider look-up on every init.
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (!algorithm) return 0;
        __atomic_store_n(&sha256, algorithm, __ATOMIC_RELEASE);
    }
    if (!EVP_DigestInit_ex2(context, algorithm, NULL)) return 0;
    for (size_t i = 0; i < count; i++)
        if (!EVP_DigestUpdate(context, parts[i], sizes[i])) return 0;
    return EVP_DigestFinal_ex(context, digest, NULL);
}

chash_sha256_stream *chash_sha256_begin(void) {
    EVP_MD_CTX *stream = EVP_MD_CTX_new();
    if (stream && !EVP_DigestInit_ex(stream, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(stream);
        stream = NULL;
    }
    return (chash_sha256_stream *)stream;
}

int chash_sha256_update(chash_sha256_stream *stream, const void *bytes, size_t size) {
    return EVP_DigestUpdate((EVP_MD_CTX *)stream, bytes, size);
}

int chash_sha256_finish(chash_sha256_stream *stream, uint8_t digest[32]) {
    int done = EVP_DigestFinal_ex((EVP_MD_CTX *)stream, digest, NULL);
    EVP_MD_CTX_free((EVP_MD_CTX *)stream);
    return done;
}
