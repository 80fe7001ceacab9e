// Requests over libcurl: see ccurl.h.
#define CURL_DISABLE_TYPECHECK
#include "ccurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// All of libcurl that is used here.
#define FUNCTIONS(USE)                                                                                                 \
    USE(curl_easy_cleanup) USE(curl_easy_getinfo) USE(curl_easy_init) USE(curl_easy_setopt) USE(curl_easy_strerror)    \
    USE(curl_global_init) USE(curl_multi_add_handle) USE(curl_multi_cleanup) USE(curl_multi_info_read)                 \
    USE(curl_multi_init) USE(curl_multi_perform) USE(curl_multi_poll) USE(curl_multi_remove_handle)                    \
    USE(curl_multi_setopt) USE(curl_slist_append) USE(curl_slist_free_all) USE(curl_version_info)

#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) } lib;
static int loaded = CCURL_NO_LIBRARY;

// The first version that abandons a name's resolution without waiting for it, and that signs what is needed here.
enum { LEAST_VERSION = 0x075700 };

static void load_library(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    int has_all = 1;
#define FIND(name) has_all &= (lib.name = (__typeof__(name) *)dlsym(library, #name)) != NULL;
    FUNCTIONS(FIND)
    if (!has_all || lib.curl_version_info(CURLVERSION_NOW)->version_num < LEAST_VERSION) {
        loaded = CCURL_OLD;
    } else if (lib.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        loaded = CCURL_OK;
    }
}

int ccurl_load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    return loaded;
}

// MARK: Lanes

struct ccurl_lane {
    CURLM *multi;
};

ccurl_lane *ccurl_lane_make(int connections) {
    ccurl_lane *lane = calloc(1, sizeof *lane);
    if (!lane) return NULL;
    lane->multi = lib.curl_multi_init();
    if (!lane->multi) {
        free(lane);
        return NULL;
    }
    lib.curl_multi_setopt(lane->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)connections);
    lib.curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    return lane;
}

void ccurl_lane_free(ccurl_lane *lane) {
    if (!lane) return;
    lib.curl_multi_cleanup(lane->multi);
    free(lane);
}

// MARK: Requests

typedef struct {
    unsigned char *bytes;
    size_t size;
} part;

struct ccurl_request {
    CURL *easy;
    struct curl_slist *headers;
    part *parts;
    size_t part_count;
    size_t part;   // the part that is being filled
    size_t filled; // bytes of that part
    size_t received;
    int is_ranged;
    int is_begun;
    int outcome;
    CURLcode code;
    size_t refusal_size;
    char refusal[1024];
};

static long status_of(const ccurl_request *request) {
    long status = 0;
    lib.curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t keep_refusal(ccurl_request *request, const char *bytes, size_t size) {
    size_t room = sizeof request->refusal - request->refusal_size;
    size_t kept = size < room ? size : room;
    memcpy(request->refusal + request->refusal_size, bytes, kept);
    request->refusal_size += kept;
    return size;
}

// libcurl calls it with bytes of the answer. Anything but `size` ends the request.
static size_t take(char *bytes, size_t unit, size_t count, void *context) {
    ccurl_request *request = context;
    size_t size = unit * count, left = size;
    long status = status_of(request);
    if (status < 200 || status > 299) return keep_refusal(request, bytes, size);
    if (request->is_ranged && status != 206) return 0;
    while (left > 0) {
        if (request->part == request->part_count) return 0;
        part *part = &request->parts[request->part];
        size_t room = part->size - request->filled;
        size_t piece = left < room ? left : room;
        memcpy(part->bytes + request->filled, bytes, piece);
        bytes += piece;
        left -= piece;
        request->filled += piece;
        request->received += piece;
        if (request->filled == part->size) {
            request->part++;
            request->filled = 0;
        }
    }
    return size;
}

ccurl_request *ccurl_request_make(const char *method, const char *url, const char *ca) {
    ccurl_request *request = calloc(1, sizeof *request);
    if (!request) return NULL;
    CURL *easy = request->easy = lib.curl_easy_init();
    if (!easy) {
        free(request);
        return NULL;
    }
    request->outcome = CCURL_UNDER_WAY;
    lib.curl_easy_setopt(easy, CURLOPT_URL, url);
    lib.curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    lib.curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    lib.curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib.curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    lib.curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 2000L);
    // No signal handlers in an engine's process, and no wait for a resolver's thread.
    lib.curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    lib.curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    // No wait for a "100 Continue" before a body. To leave the header out would take it into the signature.
    lib.curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
    lib.curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512L << 10);
    lib.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    lib.curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    lib.curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    if (ca) lib.curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    return request;
}

void ccurl_sign(ccurl_request *request, const char *scope, const char *key, const char *secret) {
    lib.curl_easy_setopt(request->easy, CURLOPT_AWS_SIGV4, scope);
    lib.curl_easy_setopt(request->easy, CURLOPT_USERNAME, key);
    lib.curl_easy_setopt(request->easy, CURLOPT_PASSWORD, secret);
}

int ccurl_add_header(ccurl_request *request, const char *header) {
    struct curl_slist *longer = lib.curl_slist_append(request->headers, header);
    if (longer) request->headers = longer;
    return longer != NULL;
}

void ccurl_set_body(ccurl_request *request, const void *bytes, size_t size) {
    lib.curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    lib.curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, bytes);
}

void ccurl_set_range(ccurl_request *request, const char *range) {
    request->is_ranged = 1;
    lib.curl_easy_setopt(request->easy, CURLOPT_RANGE, range);
}

int ccurl_add_part(ccurl_request *request, void *bytes, size_t size) {
    part *longer = realloc(request->parts, (request->part_count + 1) * sizeof *longer);
    if (!longer) return 0;
    request->parts = longer;
    longer[request->part_count++] = (part){bytes, size};
    return 1;
}

int ccurl_begin(ccurl_lane *lane, ccurl_request *request) {
    lib.curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    request->is_begun = lib.curl_multi_add_handle(lane->multi, request->easy) == CURLM_OK;
    return request->is_begun;
}

static int outcome_of(CURLcode code) {
    switch (code) {
        case CURLE_OK: return CCURL_ENDED;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE: return CCURL_UNTRUSTED;
        case CURLE_WRITE_ERROR:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_RANGE_ERROR: return CCURL_NONSENSE;
        default: return CCURL_UNREACHABLE;
    }
}

static int collect(ccurl_lane *lane) {
    int ended = 0, rest = 0;
    CURLMsg *message;
    while ((message = lib.curl_multi_info_read(lane->multi, &rest))) {
        if (message->msg != CURLMSG_DONE) continue;
        ccurl_request *request = NULL;
        lib.curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        request->code = message->data.result;
        request->outcome = outcome_of(request->code);
        ended++;
    }
    return ended;
}

void ccurl_step(ccurl_lane *lane, int milliseconds) {
    int running = 0;
    lib.curl_multi_perform(lane->multi, &running);
    if (collect(lane) > 0 || running == 0) return;
    lib.curl_multi_poll(lane->multi, NULL, 0, milliseconds, NULL);
    lib.curl_multi_perform(lane->multi, &running);
    collect(lane);
}

int ccurl_outcome(const ccurl_request *request) { return request->outcome; }

const char *ccurl_words(const ccurl_request *request) { return lib.curl_easy_strerror(request->code); }

long ccurl_status(const ccurl_request *request) { return status_of(request); }

size_t ccurl_received(const ccurl_request *request) { return request->received; }

size_t ccurl_moved(const ccurl_request *request) {
    curl_off_t sent = 0, got = 0;
    lib.curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    lib.curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
    return (size_t)sent + (size_t)got + (status_of(request) != 0);
}

size_t ccurl_refusal(const ccurl_request *request, const char **text) {
    *text = request->refusal;
    return request->refusal_size;
}

void ccurl_request_free(ccurl_lane *lane, ccurl_request *request) {
    if (!request) return;
    if (request->is_begun) lib.curl_multi_remove_handle(lane->multi, request->easy);
    lib.curl_easy_cleanup(request->easy);
    lib.curl_slist_free_all(request->headers);
    free(request->parts);
    free(request);
}
