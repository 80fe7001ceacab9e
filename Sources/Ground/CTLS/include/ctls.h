/// TLS for connections that belong to somebody else: bytes go in and out through memory, so that whoever owns the
/// socket waits, counts and gives up as it likes. All of it by libssl, which the first `ctls_context_make` loads: a
/// process that needs no TLS needs no libssl.
#pragma once
#include <stddef.h>

/// What all connections to one server share: certificates and settings. Any number of threads may use it.
typedef struct ctls_context ctls_context;
/// One connection. One thread at a time.
typedef struct ctls_session ctls_session;

enum {
    CTLS_WANTS_INPUT = -1, ///< nothing can be done before more bytes have come
    CTLS_ENDED = -2,       ///< the other side has ended the connection in good order
    CTLS_FAILED = -3       ///< the connection is of no use any more
};

enum {
    CTLS_OK = 0,
    CTLS_NO_LIBRARY = 1,     ///< libssl cannot be loaded or set up
    CTLS_NO_CA = 2,          ///< the certificates of the authorities cannot be read
    CTLS_NO_CERTIFICATE = 3, ///< the own certificate cannot be read
    CTLS_NO_KEY = 4          ///< the own key cannot be read, needs a pass phrase, or is not that of the certificate
};

/// Makes a context for TLS 1.2 and newer in which servers must prove their names.
///
/// @param ca          file of PEM certificates of the authorities that are trusted; NULL for those of the system
/// @param certificate file with the own certificate; NULL for none
/// @param key         file with its key; NULL for none
/// @param status      what went wrong, one of the values above
/// @return NULL when something went wrong
ctls_context *ctls_context_make(const char *ca, const char *certificate, const char *key, int *status);

/// Frees a context. Sessions keep what they need.
void ctls_context_free(ctls_context *context);

/// Begins a session with the server of this name: a host name or an address as text. NULL when there is no memory.
ctls_session *ctls_session_make(ctls_context *context, const char *name);

/// Frees a session.
void ctls_session_free(ctls_session *session);

/// Goes on with the handshake. Returns 1 when it is done, or one of the negative values. Call `ctls_output` after it.
int ctls_handshake(ctls_session *session);

/// Takes bytes that came from the network. Returns how many it took; all of them, unless there is no memory.
long ctls_input(ctls_session *session, const void *bytes, size_t size);

/// Gives up to `capacity` bytes that must go to the network. Returns how many; 0 for none.
long ctls_output(ctls_session *session, void *bytes, size_t capacity);

/// Bytes that `ctls_output` would give.
size_t ctls_output_size(ctls_session *session);

/// Reads bytes that the other side has sent. Returns how many, or one of the negative values.
long ctls_read(ctls_session *session, void *bytes, size_t capacity);

/// Encrypts bytes for the other side. Returns how many were taken, or one of the negative values. Call `ctls_output`
/// after it.
long ctls_write(ctls_session *session, const void *bytes, size_t size);

/// Whether the certificate of the server was the reason of a failure.
int ctls_is_untrusted(ctls_session *session);
