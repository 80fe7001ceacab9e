/* An engine on the token level: what it asks the store before it computes a prompt, and what it gives afterwards.
 *
 *     cc tokens.c $(pkg-config --cflags --libs prefixstore) -o tokens
 *     ./tokens kv     # computes 300 tokens
 *     ./tokens kv     # loads 299 of them, computes 1
 *
 * `engine` stands for yours: tensors of rows, and a prefill that fills them. */
#include <prefixstore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 2, PLANES = 2 * LAYERS, ROW_BYTES = 128, ROWS = 512, PROMPT = 300 };

/* One tensor per plane: the keys and the values of each layer, a row per token. */
struct engine {
    void *planes[PLANES];
};

/* Ends the program with the library's own words. */
static int64_t check(int64_t result) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", pfx_error_name((int)result), pfx_last_error());
        exit(1);
    }
    return result;
}

/* Computes rows; here each is filled from its token, so that it can be checked later. */
static unsigned char expected(int32_t token, int plane) { return (unsigned char)(token * 31 + plane); }

static void prefill(struct engine *engine, const int32_t *tokens, int64_t from, int64_t to) {
    for (int64_t token = from; token < to; token++)
        for (int plane = 0; plane < PLANES; plane++)
            memset((char *)engine->planes[plane] + token * ROW_BYTES, expected(tokens[token], plane), ROW_BYTES);
    printf("computed %lld tokens\n", (long long)(to - from));
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: %s FOLDER\n", arguments[0]), 2;
    struct engine engine;
    for (int plane = 0; plane < PLANES; plane++) engine.planes[plane] = calloc(ROWS, ROW_BYTES);
    int32_t prompt[PROMPT];
    for (int32_t token = 0; token < PROMPT; token++) prompt[token] = 7 * token % 1000;

    pfx_options options = {.size = sizeof options, .quota = 64 << 20};
    pfx_store *store;
    check(pfx_open(arguments[1], &options, &store));

    /* What must be equal for two engines to share pages. A real engine's weights are a file of gigabytes. */
    pfx_identity identity = {.size = sizeof identity, .positions = "rope theta=500000", .engine = "my engine"};
    check(pfx_file_digest(store, arguments[0], identity.weights));
    memcpy(identity.tokenizer, identity.weights, sizeof identity.tokenizer);
    identity.label = "an example";
    pfx_plane planes[PLANES];
    for (uint32_t plane = 0; plane < PLANES; plane++)
        planes[plane] = (pfx_plane){.layer = plane / 2, .row_bytes = ROW_BYTES, .element = PFX_BF16};
    pfx_layout layout = {
        .size = sizeof layout, .plane_count = PLANES, .plane_size = sizeof planes[0], .planes = planes};
    pfx_space *space;
    check(pfx_space_open(store, &identity, &layout, &space));

    /* Load what is stored of the prompt, and leave its last token to be computed. */
    pfx_match *match;
    int64_t found = check(pfx_match_prefix(space, prompt, PROMPT, &match));
    if (found == PROMPT) found--;
    pfx_rows rows = {.size = sizeof rows, .planes = engine.planes, .plane_count = PLANES, .capacity = ROWS};
    int64_t loaded = found == 0 ? 0 : check(pfx_load(match, 0, (size_t)found, &rows));
    printf("loaded %lld tokens\n", (long long)loaded);
    for (int64_t token = 0; token < loaded; token++)
        for (int plane = 0; plane < PLANES; plane++)
            if (((unsigned char *)engine.planes[plane])[token * ROW_BYTES] != expected(prompt[token], plane))
                return fprintf(stderr, "token %lld has the wrong row\n", (long long)token), 1;

    /* Compute the rest. Store it behind what was loaded: from the cursor on, row n is that of token n. */
    prefill(&engine, prompt, loaded, PROMPT);
    pfx_seq *seq;
    int64_t behind = check(pfx_seq_begin(space, match, (size_t)loaded, &seq));
    rows.first = (size_t)behind;
    check(pfx_seq_append(seq, prompt + behind, (size_t)(PROMPT - behind), &rows));
    check(pfx_seq_store_tail(seq));
    check(pfx_seq_end(seq));
    check(pfx_match_end(match));

    check(pfx_flush(store, 0)); /* from here on the pages survive a kill and a power cut */
    check(pfx_close(store));
    for (int plane = 0; plane < PLANES; plane++) free(engine.planes[plane]);
    return 0;
}
