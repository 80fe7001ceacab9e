/* An engine with keys of its own, on the block level: its event loop submits jobs, polls, and drains.
 *
 *     cc blocks.c $(pkg-config --cflags --libs prefixstore) -o blocks
 *     ./blocks kv     # puts 8 blocks
 *     ./blocks kv     # gets them
 *
 * The memory of the blocks, two pieces each, stands for your engine's rows of keys and values. */
#define _POSIX_C_SOURCE 200809L
#include <prefixstore.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 8, PIECE_BYTES = 64 << 10 };

/* Ends the program with the library's own words. */
static int64_t check(int64_t result) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", pfx_error_name((int)result), pfx_last_error());
        exit(1);
    }
    return result;
}

/* What an event loop does when the descriptor is readable. Here one job is under way at a time. */
static pfx_completion wait_for_job(pfx_queue *queue) {
    struct pollfd poller = {.fd = (int)check(pfx_queue_fd(queue)), .events = POLLIN};
    pfx_completion completion;
    while (check(pfx_drain(queue, &completion, sizeof completion, 1)) == 0) poll(&poller, 1, -1);
    check(completion.status);
    return completion;
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: %s FOLDER\n", arguments[0]), 2;
    pfx_options options = {.size = sizeof options, .quota = 64 << 20};
    pfx_store *store;
    check(pfx_open(arguments[1], &options, &store));

    /* What a key does not say: the model, the layout of a block, the instruction set that wrote it. */
    pfx_identity identity = {.size = sizeof identity, .engine = "my engine, avx512", .engine_format = 1};
    identity.positions = "block_size=128 layout=LBHNC";
    check(pfx_file_digest(store, arguments[0], identity.weights));
    memcpy(identity.tokenizer, identity.weights, sizeof identity.tokenizer);
    pfx_blocks *blocks;
    pfx_queue *queue;
    check(pfx_blocks_open(store, &identity, PFX_BF16, &blocks));
    check(pfx_queue_open(blocks, &queue));

    /* Keys and memory. An engine's own hash of the tokens is a good key. */
    static char names[BLOCKS][16];
    static unsigned char memory[BLOCKS][2][PIECE_BYTES];
    pfx_key keys[BLOCKS];
    pfx_span spans[2 * BLOCKS];
    uint8_t results[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        int length = snprintf(names[block], sizeof names[block], "hash-%d", block);
        keys[block] = (pfx_key){names[block], (size_t)length};
        for (int piece = 0; piece < 2; piece++)
            spans[2 * block + piece] = (pfx_span){memory[block][piece], PIECE_BYTES};
    }

    /* How many of the first blocks can be loaded? Get those; compute and put the others. */
    size_t stored = (size_t)check(pfx_blocks_leading(blocks, keys, BLOCKS));
    if (stored > 0) {
        check(pfx_submit_get(queue, keys, spans, 2, stored, results));
        stored = wait_for_job(queue).leading; /* fewer, if one was evicted or damaged meanwhile */
    }
    for (size_t block = 0; block < stored; block++)
        if (memory[block][1][PIECE_BYTES - 1] != (unsigned char)(block + 1)) return fprintf(stderr, "wrong bytes\n"), 1;
    printf("loaded %zu blocks, computed %zu\n", stored, BLOCKS - stored);
    for (size_t block = stored; block < BLOCKS; block++) memset(memory[block], (int)block + 1, sizeof memory[block]);
    if (stored < BLOCKS) {
        check(pfx_submit_put(queue, keys + stored, spans + 2 * stored, 2, BLOCKS - stored, results));
        wait_for_job(queue);
    }

    check(pfx_flush(store, 0)); /* from here on the blocks survive a kill and a power cut */
    check(pfx_close(store));    /* gives back the queue and the block space too */
    return 0;
}
