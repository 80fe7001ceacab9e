// TLS over memory: see ctls.h.
#include "ctls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

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
    int has_ca = ca ? SSL_CTX_load_verify_locations(ssl, ca, NULL) : SSL_CTX_set_default_verify_paths(ssl);
    if (has_ca != 1) return CTLS_NO_CA;
    if (certificate && SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) return CTLS_NO_CERTIFICATE;
    if (key && (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ssl) != 1))
        return CTLS_NO_KEY;
    return CTLS_OK;
}

ctls_context *ctls_context_make(const char *ca, const char *certificate, const char *key, int *status) {
    *status = CTLS_NO_LIBRARY;
    ctls_context *context = calloc(1, sizeof *context);
    if (!context) return NULL;
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl && SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION) == 1) {
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_default_passwd_cb(context->ssl, no_pass_phrase);
        SSL_CTX_set_mode(context->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        *status = load(context->ssl, ca, certificate, key);
    }
    ERR_clear_error();
    if (*status == CTLS_OK) return context;
    ctls_context_free(context);
    return NULL;
}

void ctls_context_free(ctls_context *context) {
    if (!context) return;
    SSL_CTX_free(context->ssl);
    free(context);
}

// The name must be that of the certificate; a host name is also sent to the server, which may have several.
static int expect(SSL *ssl, const char *name) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

ctls_session *ctls_session_make(ctls_context *context, const char *name) {
    ctls_session *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    session->ssl = SSL_new(context->ssl);
    session->input = BIO_new(BIO_s_mem());
    session->output = BIO_new(BIO_s_mem());
    if (!session->ssl || !session->input || !session->output || !expect(session->ssl, name)) {
        BIO_free(session->input);
        BIO_free(session->output);
        SSL_free(session->ssl);
        free(session);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(session->ssl, session->input, session->output);
    SSL_set_connect_state(session->ssl);
    return session;
}

void ctls_session_free(ctls_session *session) {
    if (!session) return;
    SSL_free(session->ssl);
    free(session);
}

static int outcome(ctls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
        case SSL_ERROR_WANT_READ: return CTLS_WANTS_INPUT;
        case SSL_ERROR_ZERO_RETURN: return CTLS_ENDED;
        default: return CTLS_FAILED;
    }
}

int ctls_handshake(ctls_session *session) {
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    int answer = result == 1 ? 1 : outcome(session, result);
    ERR_clear_error();
    return answer;
}

static int piece(size_t size) { return size > LARGEST_PIECE ? LARGEST_PIECE : (int)size; }

long ctls_input(ctls_session *session, const void *bytes, size_t size) {
    if (size == 0) return 0;
    int taken = BIO_write(session->input, bytes, piece(size));
    return taken < 0 ? 0 : taken;
}

long ctls_output(ctls_session *session, void *bytes, size_t capacity) {
    if (capacity == 0) return 0;
    int given = BIO_read(session->output, bytes, piece(capacity));
    return given < 0 ? 0 : given;
}

size_t ctls_output_size(ctls_session *session) { return BIO_ctrl_pending(session->output); }

long ctls_read(ctls_session *session, void *bytes, size_t capacity) {
    ERR_clear_error();
    int result = SSL_read(session->ssl, bytes, piece(capacity));
    long answer = result > 0 ? result : outcome(session, result);
    ERR_clear_error();
    return answer;
}

long ctls_write(ctls_session *session, const void *bytes, size_t size) {
    ERR_clear_error();
    int result = SSL_write(session->ssl, bytes, piece(size));
    long answer = result > 0 ? result : outcome(session, result);
    ERR_clear_error();
    return answer;
}

int ctls_is_untrusted(ctls_session *session) { return SSL_get_verify_result(session->ssl) != X509_V_OK; }
