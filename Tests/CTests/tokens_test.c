/* The token level: rows anywhere, any range, any planes; sequences as they grow; side states, pins, dates, names; a new
 * process, and two at once. */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"

#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 100 };

static int32_t tokens[COUNT + 1];

/* Runs this program again with one more argument, and expects it to end well. */
static pid_t again(const char *program, const char *folder, const char *part) {
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, folder, part, (char *)NULL);
        _exit(127);
    }
    return child;
}

static void expect_well(pid_t child) {
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Appends tokens in parts of several sizes, from cells in reversed order. */
static void fill(pfx_space *space) {
    struct cells cells = cells_make(COUNT);
    uint32_t index[COUNT];
    for (int token = 0; token < COUNT; token++) {
        index[token] = (uint32_t)(COUNT - 1 - token);
        cells_fill(&cells, index[token], tokens[token], token);
    }
    pfx_seq *seq;
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &seq), 0);
    pfx_rows rows = cells_rows(&cells);
    int64_t pages = 0;
    for (int from = 0, part = 1; from < COUNT; from += part, part = part % 23 + 5) {
        int count = part < COUNT - from ? part : COUNT - from;
        rows.index = index + from;
        rows.index_count = (size_t)count;
        int64_t fresh = pfx_seq_append(seq, tokens + from, (size_t)count, &rows);
        EXPECT(fresh >= 0);
        pages += fresh;
    }
    EXPECT_IS(pages, COUNT / PAGE);
    EXPECT_IS(pfx_seq_tokens(seq), COUNT);
    EXPECT_IS(pfx_seq_store_tail(seq), 1);
    EXPECT_IS(pfx_seq_end(seq), PFX_OK);
    cells_free(&cells);
}

/* Loads tokens into rows `first` and on, and looks at every byte. */
static void load(pfx_match *match, int from, int to, size_t first, unsigned planes) {
    struct cells cells = cells_make(COUNT + 20);
    void *wanted[PLANES];
    for (int plane = 0; plane < PLANES; plane++) wanted[plane] = planes >> plane & 1 ? cells.planes[plane] : NULL;
    pfx_rows rows = cells_rows(&cells);
    rows.planes = wanted;
    rows.first = first;
    EXPECT_IS(pfx_load(match, (size_t)from, (size_t)to, &rows), to - from);
    for (int plane = 0; plane < PLANES; plane++) {
        for (size_t row = 0; row < cells.capacity; row++) {
            int place = (int)(row - first) + from;
            if (planes >> plane & 1 && row >= first && place < to)
                EXPECT(cells_hold(&cells, plane, row, tokens[place], place));
            else
                EXPECT(cells_untouched(&cells, plane, row));
        }
    }
    cells_free(&cells);
}

/* Loads in pieces behind this thread's back. The lists of the rows may change as soon as a load has begun. */
static void load_behind(pfx_match *match) {
    enum { PIECES = 5 };
    struct cells cells = cells_make(COUNT);
    pfx_loading *loadings[PIECES];
    uint32_t index[COUNT];
    for (int piece = 0; piece < PIECES; piece++) {
        int from = piece * COUNT / PIECES, to = (piece + 1) * COUNT / PIECES;
        pfx_rows rows = cells_rows(&cells);
        void *planes[PLANES];
        for (int plane = 0; plane < PLANES; plane++) planes[plane] = cells.planes[plane];
        for (int token = from; token < to; token++) index[token - from] = (uint32_t)(COUNT - 1 - token);
        rows.planes = planes;
        rows.index = index;
        rows.index_count = (size_t)(to - from);
        EXPECT_IS(pfx_load_begin(match, (size_t)from, (size_t)to, &rows, &loadings[piece]), PFX_OK);
        for (int plane = 0; plane < PLANES; plane++) planes[plane] = NULL;
        for (int token = from; token < to; token++) index[token - from] = UINT32_MAX;
    }
    /* In any order. */
    for (int piece = PIECES - 1; piece >= 0; piece--) {
        EXPECT_IS(pfx_load_end(loadings[piece]), (piece + 1) * COUNT / PIECES - piece * COUNT / PIECES);
        EXPECT_IS(pfx_load_end(loadings[piece]), PFX_INVALID_HANDLE);
    }
    for (int plane = 0; plane < PLANES; plane++)
        for (int token = 0; token < COUNT; token++)
            EXPECT(cells_hold(&cells, plane, (size_t)(COUNT - 1 - token), tokens[token], token));
    cells_free(&cells);
}

/* The end of a match or of its store waits for the load that is being done; no other writes anything. */
static void end_behind(pfx_store *store, pfx_space *space) {
    enum { LOADS = 20 };
    pfx_match *match;
    EXPECT_IS(pfx_match_prefix(space, tokens, COUNT, &match), COUNT);
    struct cells cells = cells_make(COUNT);
    pfx_rows rows = cells_rows(&cells);
    pfx_loading *loadings[LOADS];
    for (int i = 0; i < LOADS; i++) EXPECT_IS(pfx_load_begin(match, 0, COUNT, &rows, &loadings[i]), PFX_OK);
    EXPECT_IS(store == NULL ? pfx_match_end(match) : pfx_close(store), PFX_OK);
    cells_free(&cells);
    int is_over = 0;
    for (int i = 0; i < LOADS; i++) {
        int64_t loaded = pfx_load_end(loadings[i]);
        EXPECT(loaded == 0 || (loaded == COUNT && !is_over));
        is_over = loaded == 0;
    }
    EXPECT_IS(pfx_load_end(NULL), 0);
}

static void read_back(pfx_space *space) {
    pfx_match *match;
    EXPECT_IS(pfx_match_prefix(space, tokens, COUNT + 1, &match), COUNT);
    pfx_match_info info = {.size = sizeof info};
    EXPECT_IS(pfx_match_get_info(match, &info), PFX_OK);
    EXPECT(info.tokens == COUNT && info.hot_tokens + info.cold_tokens == COUNT && info.load_ns > 0);
    EXPECT(info.size == sizeof info && info.worth_tokens == COUNT);
    load(match, 0, COUNT, 0, 0x3F);
    load(match, 5, 23, 7, 0x3F);
    load(match, 16, 32, 0, 0x3F);
    load(match, 99, 100, 3, 0x3F);
    load(match, 40, 40, 0, 0x3F);
    load(match, 0, COUNT, 0, 0x0F);
    load(match, 68, COUNT, 0, 0x30);
    load_behind(match);
    EXPECT_IS(pfx_match_end(match), PFX_OK);
    end_behind(NULL, space);
    int32_t other[3] = {9999, 1, 2};
    EXPECT_IS(pfx_match_prefix(space, other, 3, &match), 0);
    EXPECT(match == NULL);
    EXPECT_IS(pfx_match_end(match), PFX_OK);
}

/* A sequence that goes on behind a match stores only what is new. */
static void extend(pfx_space *space) {
    pfx_match *match;
    EXPECT_IS(pfx_match_prefix(space, tokens, 40, &match), 40);
    pfx_seq *seq;
    EXPECT_IS(pfx_seq_begin(space, match, 40, &seq), 32);
    EXPECT_IS(pfx_match_end(match), PFX_OK);
    int32_t more[40];
    struct cells cells = cells_make(40);
    for (int token = 0; token < 40; token++) {
        more[token] = token < 8 ? tokens[32 + token] : 5000 + token;
        cells_fill(&cells, (size_t)token, more[token], 32 + token);
    }
    pfx_rows rows = cells_rows(&cells);
    EXPECT_IS(pfx_seq_append(seq, more, 40, &rows), 2);
    EXPECT_IS(pfx_seq_tokens(seq), 72);
    EXPECT_IS(pfx_seq_end(seq), PFX_OK);
    cells_free(&cells);
}

static void keep(pfx_store *store, pfx_space *space) {
    uint8_t state[3000], back[3000];
    size_t size = 77;
    memset(state, 0x5C, sizeof state);
    EXPECT_IS(pfx_side_get(space, tokens, COUNT, "logits", back, sizeof back, &size), 0);
    EXPECT(size == 0);
    EXPECT_IS(pfx_side_put(space, tokens, COUNT, "logits", state, sizeof state), PFX_OK);
    EXPECT_IS(pfx_side_put(space, tokens, COUNT, "nothing", NULL, 0), PFX_OK);
    memset(back, 0, sizeof back);
    EXPECT_IS(pfx_side_get(space, tokens, COUNT, "logits", back, 100, &size), 1);
    EXPECT(size == sizeof state && back[0] == 0);
    EXPECT_IS(pfx_side_get(space, tokens, COUNT, "logits", back, sizeof back, &size), 1);
    EXPECT(size == sizeof state && memcmp(state, back, size) == 0);
    EXPECT_IS(pfx_side_get(space, tokens, COUNT, "nothing", NULL, 0, &size), 1);
    EXPECT(size == 0);
    EXPECT_IS(pfx_pin(space, tokens, COUNT), PFX_OK);
    EXPECT_IS(pfx_unpin(space, tokens, COUNT), PFX_OK);
    EXPECT_IS(pfx_pin(space, tokens, 3), PFX_NO_SUCH_PAGE);
    EXPECT(strstr(pfx_last_error(), "Flush the store") != NULL && strchr(pfx_last_error(), '`') == NULL);
    EXPECT_IS(pfx_name_set(space, "a prompt", tokens, COUNT), PFX_OK);
    char text[500];
    EXPECT(pfx_names(store, text, sizeof text) > 0);
    EXPECT(strstr(text, "\"name\":\"a prompt\"") != NULL && strstr(text, "\"is_stored\":true") != NULL);
    EXPECT_IS(pfx_name_remove(store, "a prompt"), PFX_OK);
    EXPECT_IS(pfx_name_remove(store, "a prompt"), PFX_NO_SUCH_NAME);
    EXPECT_IS(pfx_names(store, text, sizeof text), 2);
    pfx_match *match;
    EXPECT_IS(pfx_expire(space, tokens, COUNT, 1), PFX_OK);
    EXPECT_IS(pfx_match_prefix(space, tokens, COUNT, &match), COUNT / PAGE * PAGE);
    EXPECT_IS(pfx_match_end(match), PFX_OK);
    EXPECT_IS(pfx_expire(space, tokens, COUNT, 0), PFX_OK);
}

static void tell(pfx_store *store, pfx_space *space) {
    char text[4000], start[10];
    EXPECT_IS(pfx_record_prefill(space, COUNT, 1000000), PFX_OK);
    int64_t length = pfx_statistics(store, text, sizeof text);
    EXPECT(length == (int64_t)strlen(text) && strstr(text, "\"spilled_pages\":") != NULL);
    length = pfx_statistics(store, start, sizeof start);
    EXPECT(length > 100 && strlen(start) == sizeof start - 1 && memcmp(start, text, 9) == 0);
    EXPECT(pfx_statistics(store, NULL, 0) > 100);
    pfx_space *other;
    EXPECT_IS(open_space(store, "other", &other), PFX_OK);
    EXPECT(pfx_explain(space, tokens, COUNT, text, sizeof text) > 0);
    EXPECT(strstr(text, "\"requested_tokens\":100") != NULL);
    EXPECT(strstr(text, "\"model\":\"other\",\"differs_in\":[\"weights\"]") != NULL);
    pfx_match *match;
    EXPECT_IS(pfx_match_prefix(other, tokens, COUNT, &match), 0);
    EXPECT_IS(pfx_space_close(other), PFX_OK);
}

int main(int count, char **arguments) {
    EXPECT(count >= 2);
    for (int token = 0; token <= COUNT; token++) tokens[token] = 3 + token * 17 % 900;
    pfx_store *store = open_store(arguments[1]);
    pfx_space *space;
    EXPECT_IS(open_space(store, "model", &space), PFX_OK);
    if (count == 2) {
        pfx_match *match;
        EXPECT_IS(pfx_match_prefix(space, tokens, COUNT, &match), 0);
        fill(space);
        EXPECT_IS(pfx_flush(store, 60000), PFX_OK);
        extend(space);
        EXPECT_IS(pfx_flush(store, 0), PFX_OK);
        read_back(space);
        keep(store, space);
        tell(store, space);
        pid_t children[2];
        for (int child = 0; child < 2; child++) children[child] = again(arguments[0], arguments[1], "beside");
        for (int child = 0; child < 2; child++) expect_well(children[child]);
        EXPECT_IS(pfx_close(store), PFX_OK);
        expect_well(again(arguments[0], arguments[1], "after"));
        return 0;
    }
    /* Another process finds all of it, while the first has the store open and when it has closed it. */
    read_back(space);
    if (strcmp(arguments[2], "after") == 0)
        end_behind(store, space);
    else
        EXPECT_IS(pfx_close_within(store, 60000), PFX_OK);
    return 0;
}
