// SHA-256 by libcrypto, XXH3 by libxxhash's header.
#include "chash.h"

// libcrypto's plain SHA-256 functions are marked as deprecated in favour of its EVP ones, which allocate for every
// digest: more work than hashing a page of token ids, and a heap that every look-up would wait for.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

int chash_sha256(const void *const *parts, const size_t *sizes, size_t count, uint8_t digest[32]) {
    SHA256_CTX context;
    if (!SHA256_Init(&context)) return 0;
    for (size_t i = 0; i < count; i++)
        if (!SHA256_Update(&context, parts[i], sizes[i])) return 0;
    return SHA256_Final(digest, &context);
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
