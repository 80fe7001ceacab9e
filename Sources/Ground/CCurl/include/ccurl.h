/// Signed HTTP requests to one server over connections that are used again. All of it by libcurl, which the first
/// `ccurl_load` loads: a process that needs no object store needs no libcurl.
#pragma once
#include <stddef.h>

/// Connections to a server, and the requests that are under way on them. One thread at a time.
typedef struct ccurl_lane ccurl_lane;
/// One request. It belongs to its lane's thread.
typedef struct ccurl_request ccurl_request;

enum {
    CCURL_OK = 0,
    CCURL_NO_LIBRARY = 1, ///< libcurl cannot be loaded
    CCURL_OLD = 2         ///< the libcurl of this system is too old
};

/// What became of a request.
enum {
    CCURL_ENDED = 0,       ///< it has an answer
    CCURL_UNDER_WAY = 1,   ///< it is not done
    CCURL_UNREACHABLE = 2, ///< there is no connection, or it broke; `ccurl_words` says why
    CCURL_UNTRUSTED = 3,   ///< the server's certificate is not trusted
    CCURL_NONSENSE = 4     ///< the answer is not what was asked for: no HTTP, too long, or not the wanted range
};

/// Loads libcurl, once. Thread-safe.
int ccurl_load(void);

/// Makes a lane with so many connections at most. NULL when there is no memory. Call `ccurl_load` before.
ccurl_lane *ccurl_lane_make(int connections);

/// Ends a lane's connections. All its requests must have ended.
void ccurl_lane_free(ccurl_lane *lane);

/// Makes a request, which is not under way yet. NULL when there is no memory. Strings are copied.
///
/// @param method such as "GET"
/// @param ca     file of PEM certificates of the authorities that are trusted; NULL for those of the system
ccurl_request *ccurl_request_make(const char *method, const char *url, const char *ca);

/// Signs the request with version 4 of AWS's signatures.
///
/// @param scope such as "aws:amz:eu-west-1:s3"
void ccurl_sign(ccurl_request *request, const char *scope, const char *key, const char *secret);

/// Adds a header, such as "If-None-Match: *". Returns 0 when there is no memory.
int ccurl_add_header(ccurl_request *request, const char *header);

/// Gives the request a body, which must stay where it is until the request is freed.
void ccurl_set_body(ccurl_request *request, const void *bytes, size_t size);

/// Asks for a range of the object only, such as "0-99". Any other answer is nonsense.
void ccurl_set_range(ccurl_request *request, const char *range);

/// Adds memory for the answer, which must stay until the request is freed. The answer fills one part after the other;
/// one that is longer than all parts is nonsense. Returns 0 when there is no memory.
int ccurl_add_part(ccurl_request *request, void *bytes, size_t size);

/// Begins the request. Returns 0 when that is not possible.
int ccurl_begin(ccurl_lane *lane, ccurl_request *request);

/// Does what can be done now, and waits up to `milliseconds` for more when nothing can.
void ccurl_step(ccurl_lane *lane, int milliseconds);

/// What became of a request, one of the values above.
int ccurl_outcome(const ccurl_request *request);

/// Why a request failed: libcurl's words, which contain nothing of the request.
const char *ccurl_words(const ccurl_request *request);

/// The status of the answer's beginning, such as 200; 0 when it has none yet.
long ccurl_status(const ccurl_request *request);

/// Bytes of the answer that lie in the parts, all of them with a status from 200 to 299.
size_t ccurl_received(const ccurl_request *request);

/// Bytes that have moved in either direction so far.
size_t ccurl_moved(const ccurl_request *request);

/// The beginning of a refusal's text. Returns its bytes.
size_t ccurl_refusal(const ccurl_request *request, const char **text);

/// Takes a request from its lane if it is under way, and frees it. Waits for nothing.
void ccurl_request_free(ccurl_lane *lane, ccurl_request *request);
