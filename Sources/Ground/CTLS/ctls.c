// TLS over memory: see ctls.h.
#include "ctls.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define LIBRARY "libssl.so." TEXT(OPENSSL_SHLIB_VERSION)

// All of libssl and libcrypto that is used here.
#define FUNCTIONS(USE)                                                                                                 \
    USE(BIO_ctrl_pending) USE(BIO_free) USE(BIO_new) USE(BIO_read) USE(BIO_s_mem) USE(BIO_write)                       \
    USE(ERR_clear_error) USE(SSL_CTX_check_private_key) USE(SSL_CTX_ctrl) USE(SSL_CTX_free)                            \
    USE(SSL_CTX_load_verify_locations) USE(SSL_CTX_new) USE(SSL_CTX_set_default_passwd_cb)                             \
    USE(SSL_CTX_set_default_verify_paths) USE(SSL_CTX_set_verify) USE(SSL_CTX_use_PrivateKey_file)                     \
    USE(SSL_CTX_use_certificate_chain_file) USE(SSL_ctrl) USE(SSL_do_handshake) USE(SSL_free) USE(SSL_get0_param)      \
    USE(SSL_get_error) USE(SSL_get_verify_result) USE(SSL_new) USE(SSL_read) USE(SSL_set1_host) USE(SSL_set_bio)       \
    USE(SSL_set_connect_state) USE(SSL_write) USE(TLS_client_method) USE(X509_VERIFY_PARAM_set1_ip_asc)

#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) } tls;
static int is_loaded;

// From libssl itself, also what is libcrypto's: that is the libcrypto that this libssl works with, whatever else the
// process has.
static void load_library(void) {
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    is_loaded = 1;
#define FIND(name) is_loaded &= (tls.name = (__typeof__(name) *)dlsym(library, #name)) != NULL;
    FUNCTIONS(FIND)
}

static int has_library(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    return is_loaded;
}

// What the headers' macros call.
#define SSL_CTX_ctrl tls.SSL_CTX_ctrl
#define SSL_ctrl tls.SSL_ctrl

struct ctls_context {
    SSL_CTX *ssl;
};

struct ctls_session {
    SSL *ssl;
    BIO *input;  // owned by `ssl`
    BIO *output; // owned by `ssl`
};

// One call gives libssl at most this much: its calls take an int.
enum { LARGEST_PIECE = 1 << 30 };

// Nobody is asked for a pass phrase: the process may have a terminal, and nobody may sit there.
static int no_pass_phrase(char *buffer, int size, int is_writing, void *data) {
    (void)buffer, (void)size, (void)is_writing, (void)data;
    return 0;
}

static int load(SSL_CTX *ssl, const char *ca, const char *certificate, const char *key) {
    int has_ca = ca ? tls.SSL_CTX_load_verify_locations(ssl, ca, NULL) : tls.SSL_CTX_set_default_verify_paths(ssl);
    if (has_ca != 1) return CTLS_NO_CA;
    if (certificate && tls.SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) return CTLS_NO_CERTIFICATE;
    int has_key = !key || (tls.SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) == 1 &&
                           tls.SSL_CTX_check_private_key(ssl) == 1);
    return has_key ? CTLS_OK : CTLS_NO_KEY;
}

ctls_context *ctls_context_make(const char *ca, const char *certificate, const char *key, int *status) {
    *status = CTLS_NO_LIBRARY;
    if (!has_library()) return NULL;
    ctls_context *context = calloc(1, sizeof *context);
    if (!context) return NULL;
    context->ssl = tls.SSL_CTX_new(tls.TLS_client_method());
    if (context->ssl && SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION) == 1) {
        tls.SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
        tls.SSL_CTX_set_default_passwd_cb(context->ssl, no_pass_phrase);
        SSL_CTX_set_mode(context->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        *status = load(context->ssl, ca, certificate, key);
    }
    tls.ERR_clear_error();
    if (*status == CTLS_OK) return context;
    ctls_context_free(context);
    return NULL;
}

void ctls_context_free(ctls_context *context) {
    if (!context) return;
    tls.SSL_CTX_free(context->ssl);
    free(context);
}

// The name must be that of the certificate; a host name is also sent to the server, which may have several.
static int expect(SSL *ssl, const char *name) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return tls.X509_VERIFY_PARAM_set1_ip_asc(tls.SSL_get0_param(ssl), name);
    return tls.SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

ctls_session *ctls_session_make(ctls_context *context, const char *name) {
    ctls_session *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    session->ssl = tls.SSL_new(context->ssl);
    session->input = tls.BIO_new(tls.BIO_s_mem());
    session->output = tls.BIO_new(tls.BIO_s_mem());
    if (!session->ssl || !session->input || !session->output || !expect(session->ssl, name)) {
        tls.BIO_free(session->input);
        tls.BIO_free(session->output);
        tls.SSL_free(session->ssl);
        free(session);
        tls.ERR_clear_error();
        return NULL;
    }
    tls.SSL_set_bio(session->ssl, session->input, session->output);
    tls.SSL_set_connect_state(session->ssl);
    return session;
}

void ctls_session_free(ctls_session *session) {
    if (!session) return;
    tls.SSL_free(session->ssl);
    free(session);
}

static int outcome(ctls_session *session, int result) {
    switch (tls.SSL_get_error(session->ssl, result)) {
        case SSL_ERROR_WANT_READ: return CTLS_WANTS_INPUT;
        case SSL_ERROR_ZERO_RETURN: return CTLS_ENDED;
        default: return CTLS_FAILED;
    }
}

int ctls_handshake(ctls_session *session) {
    tls.ERR_clear_error();
    int result = tls.SSL_do_handshake(session->ssl);
    int answer = result == 1 ? 1 : outcome(session, result);
    tls.ERR_clear_error();
    return answer;
}

static int piece(size_t size) { return size > LARGEST_PIECE ? LARGEST_PIECE : (int)size; }

long ctls_input(ctls_session *session, const void *bytes, size_t size) {
    if (size == 0) return 0;
    int taken = tls.BIO_write(session->input, bytes, piece(size));
    return taken < 0 ? 0 : taken;
}

long ctls_output(ctls_session *session, void *bytes, size_t capacity) {
    if (capacity == 0) return 0;
    int given = tls.BIO_read(session->output, bytes, piece(capacity));
    return given < 0 ? 0 : given;
}

size_t ctls_output_size(ctls_session *session) { return tls.BIO_ctrl_pending(session->output); }

long ctls_read(ctls_session *session, void *bytes, size_t capacity) {
    tls.ERR_clear_error();
    int result = tls.SSL_read(session->ssl, bytes, piece(capacity));
    long answer = result > 0 ? result : outcome(session, result);
    tls.ERR_clear_error();
    return answer;
}

long ctls_write(ctls_session *session, const void *bytes, size_t size) {
    tls.ERR_clear_error();
    int result = tls.SSL_write(session->ssl, bytes, piece(size));
    long answer = result > 0 ? result : outcome(session, result);
    tls.ERR_clear_error();
    return answer;
}

int ctls_is_untrusted(ctls_session *session) { return tls.SSL_get_verify_result(session->ssl) != X509_V_OK; }
