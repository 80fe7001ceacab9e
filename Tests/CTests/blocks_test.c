/* The block level: jobs that nobody waits for, spans in pieces, results per key; a new process; what is refused. */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 20, BYTES = 3000, HEAD = 1001 };

static char names[KEYS][40];
static pfx_key keys[KEYS];
static uint8_t memory[KEYS][BYTES];
static pfx_span spans[2 * KEYS];
static uint8_t results[KEYS];

static uint8_t byte_of(int key, int place) { return (uint8_t)(key * 37 + place * 11); }

/* Keys of 1 to 20 bytes; each block in two pieces. */
static void prepare(void) {
    for (int key = 0; key < KEYS; key++) {
        memset(names[key], 'a' + key, sizeof names[key]);
        keys[key] = (pfx_key){names[key], (size_t)key + 1};
        spans[2 * key] = (pfx_span){memory[key], HEAD};
        spans[2 * key + 1] = (pfx_span){memory[key] + HEAD, BYTES - HEAD};
        for (int place = 0; place < BYTES; place++) memory[key][place] = byte_of(key, place);
    }
}

static void forget(void) { memset(memory, 0xA5, sizeof memory), memset(results, 7, sizeof results); }

/* Polls the eventfd until the job is reported. */
static pfx_completion finish(pfx_queue *queue, int64_t job) {
    struct pollfd poller = {.fd = pfx_queue_fd(queue), .events = POLLIN};
    EXPECT(job > 0 && poller.fd >= 0);
    pfx_completion completion;
    do {
        EXPECT(poll(&poller, 1, 60000) == 1);
        EXPECT_IS(pfx_drain(queue, &completion, sizeof completion, 1), 1);
    } while (completion.job != (uint64_t)job);
    EXPECT(poll(&poller, 1, 0) == 0);
    EXPECT_IS(pfx_drain(queue, &completion, sizeof completion, 0), 0);
    return completion;
}

static void expect_all(pfx_completion completion) {
    EXPECT_IS(completion.status, PFX_OK);
    EXPECT(completion.count == KEYS && completion.succeeded == KEYS && completion.leading == KEYS);
    for (int key = 0; key < KEYS; key++) EXPECT(results[key] == 1);
}

static void get_back(pfx_queue *queue) {
    forget();
    expect_all(finish(queue, pfx_submit_exists(queue, keys, KEYS, results)));
    forget();
    expect_all(finish(queue, pfx_submit_get(queue, keys, spans, 2, KEYS, results)));
    for (int key = 0; key < KEYS; key++)
        for (int place = 0; place < BYTES; place++) EXPECT(memory[key][place] == byte_of(key, place));
}

/* One that is missing, and one of another length, fail alone. */
static void partly(pfx_blocks *blocks, pfx_queue *queue) {
    EXPECT_IS(pfx_blocks_leading(blocks, keys, KEYS), KEYS);
    EXPECT_IS(pfx_blocks_remove(blocks, keys + 5, 1), 1);
    EXPECT_IS(pfx_blocks_leading(blocks, keys, KEYS), 5);
    spans[4].byte_count -= 1;
    forget();
    pfx_completion completion = finish(queue, pfx_submit_get(queue, keys, spans, 2, KEYS, results));
    EXPECT(completion.status == PFX_OK && completion.succeeded == KEYS - 2 && completion.leading == 2);
    for (int key = 0; key < KEYS; key++) EXPECT(results[key] == (key != 5 && key != 2));
    for (int place = 0; place < BYTES; place++) EXPECT(memory[5][place] == 0xA5 && memory[2][place] == 0xA5);
    forget();
    EXPECT_IS(pfx_blocks_get(blocks, keys, spans, 2, KEYS, results), KEYS - 2);
    for (int key = 0; key < KEYS; key++) EXPECT(results[key] == (key != 5 && key != 2));
    for (int place = 0; place < BYTES; place++)
        EXPECT(memory[3][place] == byte_of(3, place) && memory[2][place] == 0xA5);
    spans[4].byte_count += 1;
    EXPECT_IS(pfx_blocks_touch(blocks, keys, KEYS), PFX_OK);
    EXPECT_IS(pfx_blocks_remove(blocks, keys + 5, 1), 0);
}

static void refused(pfx_store *store, pfx_blocks *blocks, pfx_queue *queue) {
    const size_t huge = (size_t)-1;
    pfx_identity identity = model("blocks");
    pfx_blocks *other;
    pfx_completion completion;
    EXPECT_IS(pfx_blocks_open(store, &identity, 99, &other), PFX_INVALID_LAYOUT);
    EXPECT_IS(pfx_blocks_open(store, NULL, PFX_BYTES, &other), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_open(store, &identity, PFX_BYTES, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_queue_open(blocks, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_leading(blocks, NULL, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_leading(blocks, keys, huge), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_leading(blocks, keys, huge / 2), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_leading(blocks, NULL, 0), 0);
    const pfx_key empty = {"x", 0}, long_key = {names, 512}, endless = {"x", huge}, none = {NULL, 5};
    EXPECT_IS(pfx_blocks_touch(blocks, &empty, 1), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_blocks_touch(blocks, &long_key, 1), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_blocks_remove(blocks, &endless, 1), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_blocks_remove(blocks, &none, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_get(blocks, &empty, spans, 2, 1, results), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_blocks_get(blocks, keys, NULL, 2, 1, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_get(blocks, keys, spans, 2, 1, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_get(blocks, keys, spans, 2, huge, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_blocks_get(blocks, NULL, NULL, 1, 0, NULL), 0);
    EXPECT_IS(pfx_submit_put(queue, &empty, spans, 2, 1, results), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_submit_put(queue, keys, NULL, 2, 1, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_put(queue, keys, spans, 0, 1, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_put(queue, keys, spans, huge, 1, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_put(queue, keys, spans, 2, huge, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_put(queue, keys, spans, 1 << 21, 1 << 19, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_put(queue, keys, spans, 2, 1, NULL), PFX_INVALID_ARGUMENT);
    pfx_span wrong[] = {{memory, huge}, {NULL, 1}, {memory, (size_t)1 << 31}};
    EXPECT_IS(pfx_submit_get(queue, keys, wrong, 1, 1, results), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_submit_get(queue, keys, wrong + 1, 1, 1, results), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_submit_get(queue, keys, wrong + 2, 1, 1, results), PFX_INVALID_BLOCK);
    EXPECT_IS(pfx_submit_exists(queue, keys, 1, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_drain(queue, NULL, sizeof completion, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_drain(queue, &completion, 1, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_drain(queue, &completion, sizeof completion, huge), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_queue_fd((pfx_queue *)blocks), PFX_INVALID_HANDLE);
    EXPECT_IS(pfx_submit_exists(NULL, keys, 1, results), PFX_INVALID_HANDLE);
    /* A job that no space can take as it is: numbers of 2 bytes do not come to 3001. */
    EXPECT_IS(pfx_blocks_open(store, &identity, PFX_BF16, &other), PFX_OK);
    pfx_queue *second;
    EXPECT_IS(pfx_queue_open(other, &second), PFX_OK);
    EXPECT_IS(pfx_blocks_close(other), PFX_OK);
    spans[0].byte_count = HEAD + 2000;
    completion = finish(second, pfx_submit_put(second, keys, spans, 1, 1, results));
    EXPECT(completion.status == PFX_INVALID_BLOCK && completion.succeeded == 0 && results[0] == 0);
    spans[0].byte_count = HEAD;
    EXPECT_IS(pfx_queue_close(second), PFX_OK);
    EXPECT_IS(pfx_queue_close(second), PFX_INVALID_HANDLE);
}

/* A block without bytes is one, and any key may name one. */
static void empty(pfx_store *store, pfx_queue *queue) {
    uint8_t result;
    pfx_key key = {"\0\xFF", 2};
    pfx_span span = {NULL, 0};
    EXPECT(finish(queue, pfx_submit_put(queue, &key, &span, 1, 1, &result)).succeeded == 1);
    EXPECT_IS(pfx_flush(store, 0), PFX_OK);
    EXPECT(finish(queue, pfx_submit_get(queue, &key, &span, 1, 1, &result)).succeeded == 1);
    EXPECT(finish(queue, pfx_submit_put(queue, NULL, NULL, 1, 0, NULL)).count == 0);
}

/* Too many jobs are refused; a queue that is closed with jobs before it touches no memory afterwards. */
static void flooded(pfx_blocks *blocks) {
    pfx_queue *queue;
    pfx_completion completions[100];
    EXPECT_IS(pfx_queue_open(blocks, &queue), PFX_OK);
    int64_t job = 0, last = 0;
    while ((job = pfx_submit_exists(queue, keys, 1, results)) > 0) last = job;
    EXPECT_IS(job, PFX_TOO_MANY);
    EXPECT_IS(last, 4096);
    EXPECT_IS(pfx_queue_wait(queue, 0), PFX_OK);
    EXPECT_IS(pfx_drain(queue, completions, sizeof completions[0], 100), 100);
    EXPECT(pfx_submit_exists(queue, keys, 1, results) > 0);
    EXPECT_IS(pfx_queue_wait(queue, 60000), PFX_OK);
    for (int round = 0; round < 50; round++)
        EXPECT(pfx_submit_get(queue, keys, spans, 2, KEYS, results) > 0);
    EXPECT_IS(pfx_queue_close(queue), PFX_OK);
    forget();
    EXPECT(memory[0][0] == 0xA5 && results[0] == 7);
}

int main(int count, char **arguments) {
    EXPECT(count >= 2);
    prepare();
    pfx_store *store = open_store(arguments[1]);
    pfx_identity identity = model("blocks");
    pfx_blocks *blocks;
    pfx_queue *queue;
    EXPECT_IS(pfx_blocks_open(store, &identity, PFX_BYTES, &blocks), PFX_OK);
    EXPECT_IS(pfx_queue_open(blocks, &queue), PFX_OK);
    if (count == 2) {
        EXPECT_IS(pfx_blocks_leading(blocks, keys, KEYS), 0);
        pfx_completion completion = finish(queue, pfx_submit_get(queue, keys, spans, 2, KEYS, results));
        EXPECT(completion.status == PFX_OK && completion.count == KEYS && completion.succeeded == 0);
        expect_all(finish(queue, pfx_submit_put(queue, keys, spans, 2, KEYS, results)));
        forget(); /* the put has a copy */
        EXPECT_IS(pfx_flush(store, 0), PFX_OK);
        get_back(queue);
        expect_all(finish(queue, pfx_submit_put(queue, keys, spans, 2, KEYS, results)));
        EXPECT_IS(pfx_close(store), PFX_OK);
        EXPECT_IS(pfx_queue_fd(queue), PFX_INVALID_HANDLE);
        pid_t child = fork();
        if (child == 0) {
            execl(arguments[0], arguments[0], arguments[1], "again", (char *)NULL);
            _exit(127);
        }
        int status = 0;
        EXPECT(waitpid(child, &status, 0) == child);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return 0;
    }
    get_back(queue);
    refused(store, blocks, queue);
    partly(blocks, queue);
    empty(store, queue);
    flooded(blocks);
    EXPECT_IS(pfx_close(store), PFX_OK);
    return 0;
}
