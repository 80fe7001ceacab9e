/* A forked child: every handle of the parent is refused there, the child may open a store of its own, and the parent
 * goes on. */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"

#include <sys/wait.h>
#include <unistd.h>

static pfx_store *store;
static pfx_space *space;
static pfx_match *match;
static pfx_loading *loading;
static pfx_seq *seq;
static pfx_blocks *blocks;
static pfx_queue *queue;
static int32_t tokens[20];

static void in_child(const char *folder) {
    char text[10];
    uint8_t results[1], digest[32];
    size_t size;
    pfx_rows rows = {.size = sizeof rows};
    pfx_match_info info = {.size = sizeof info};
    pfx_completion completion;
    pfx_key key = {"k", 1};
    pfx_span span = {text, sizeof text};
    pfx_match *found;
    pfx_space *other_space;
    pfx_seq *other_seq;
    pfx_loading *other_loading;
    pfx_queue *other_queue;
    EXPECT_IS(pfx_flush(store, 0), PFX_FORKED);
    EXPECT(strstr(pfx_last_error(), "fork") != NULL);
    EXPECT_IS(pfx_statistics(store, text, sizeof text), PFX_FORKED);
    EXPECT_IS(pfx_names(store, text, sizeof text), PFX_FORKED);
    EXPECT_IS(pfx_file_digest(store, "/proc/self/exe", digest), PFX_FORKED);
    EXPECT_IS(open_space(store, "model", &other_space), PFX_FORKED);
    EXPECT_IS(pfx_match_prefix(space, tokens, 20, &found), PFX_FORKED);
    EXPECT_IS(pfx_pin(space, tokens, 20), PFX_FORKED);
    EXPECT_IS(pfx_side_get(space, tokens, 20, "x", text, 1, &size), PFX_FORKED);
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &other_seq), PFX_FORKED);
    EXPECT_IS(pfx_match_get_info(match, &info), PFX_FORKED);
    EXPECT_IS(pfx_load(match, 0, 1, &rows), PFX_FORKED);
    EXPECT_IS(pfx_load_begin(match, 0, 1, &rows, &other_loading), PFX_FORKED);
    EXPECT_IS(pfx_load_end(loading), PFX_FORKED);
    EXPECT_IS(pfx_seq_append(seq, tokens, 1, &rows), PFX_FORKED);
    EXPECT_IS(pfx_seq_store_tail(seq), PFX_FORKED);
    EXPECT_IS(pfx_blocks_leading(blocks, &key, 1), PFX_FORKED);
    EXPECT_IS(pfx_blocks_get(blocks, &key, &span, 1, 1, results), PFX_FORKED);
    EXPECT_IS(pfx_blocks_touch(blocks, &key, 1), PFX_FORKED);
    EXPECT_IS(pfx_blocks_remove(blocks, &key, 1), PFX_FORKED);
    EXPECT_IS(pfx_queue_open(blocks, &other_queue), PFX_FORKED);
    EXPECT_IS(pfx_queue_fd(queue), PFX_FORKED);
    EXPECT_IS(pfx_submit_put(queue, &key, &span, 1, 1, results), PFX_FORKED);
    EXPECT_IS(pfx_submit_get(queue, &key, &span, 1, 1, results), PFX_FORKED);
    EXPECT_IS(pfx_submit_exists(queue, &key, 1, results), PFX_FORKED);
    EXPECT_IS(pfx_drain(queue, &completion, sizeof completion, 1), PFX_FORKED);
    EXPECT_IS(pfx_queue_wait(queue, 0), PFX_FORKED);
    EXPECT_IS(pfx_queue_close(queue), PFX_FORKED);
    EXPECT_IS(pfx_blocks_close(blocks), PFX_FORKED);
    EXPECT_IS(pfx_seq_end(seq), PFX_FORKED);
    EXPECT_IS(pfx_match_end(match), PFX_FORKED);
    EXPECT_IS(pfx_space_close(space), PFX_FORKED);
    EXPECT_IS(pfx_close_within(store, 1), PFX_FORKED);
    EXPECT_IS(pfx_close(store), PFX_FORKED);
    /* The same folder, opened by the child for itself. */
    pfx_store *own = open_store(folder);
    EXPECT_IS(open_space(own, "model", &other_space), PFX_OK);
    EXPECT_IS(pfx_match_prefix(other_space, tokens, 20, &found), 20);
    EXPECT_IS(pfx_flush(store, 0), PFX_FORKED);
    EXPECT_IS(pfx_close(own), PFX_OK);
}

int main(int count, char **arguments) {
    EXPECT(count == 2);
    store = open_store(arguments[1]);
    EXPECT_IS(open_space(store, "model", &space), PFX_OK);
    struct cells cells = cells_make(20);
    for (int token = 0; token < 20; token++) tokens[token] = token, cells_fill(&cells, (size_t)token, token, token);
    pfx_rows rows = cells_rows(&cells);
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &seq), 0);
    EXPECT_IS(pfx_seq_append(seq, tokens, 20, &rows), 1);
    EXPECT_IS(pfx_seq_store_tail(seq), 1);
    EXPECT_IS(pfx_flush(store, 0), PFX_OK);
    EXPECT_IS(pfx_match_prefix(space, tokens, 20, &match), 20);
    pfx_identity identity = model("model");
    EXPECT_IS(pfx_blocks_open(store, &identity, PFX_BYTES, &blocks), PFX_OK);
    EXPECT_IS(pfx_queue_open(blocks, &queue), PFX_OK);
    uint8_t result;
    pfx_key key = {"k", 1};
    EXPECT_IS(pfx_submit_exists(queue, &key, 1, &result), 1); /* so that the queue has a thread */
    EXPECT_IS(pfx_queue_wait(queue, 0), PFX_OK);
    EXPECT_IS(pfx_load_begin(match, 0, 20, &rows, &loading), PFX_OK);
    pfx_loading *later; /* so that nothing is being loaded, and the match has a thread */
    EXPECT_IS(pfx_load_begin(match, 0, 20, &rows, &later), PFX_OK);
    EXPECT_IS(pfx_load_end(later), 20);
    pid_t child = fork();
    if (child == 0) {
        in_child(arguments[1]);
        /* Valgrind would count what the parent's threads held, which the child does not have, as lost. */
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_IS(pfx_load_end(loading), 20);
    EXPECT_IS(pfx_load(match, 0, 20, &rows), 20);
    EXPECT_IS(pfx_submit_exists(queue, &key, 1, &result), 2);
    EXPECT_IS(pfx_queue_wait(queue, 0), PFX_OK);
    EXPECT_IS(pfx_close(store), PFX_OK);
    cells_free(&cells);
    return 0;
}
