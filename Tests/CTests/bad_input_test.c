/* What every function refuses: NULL, wrong sizes, stale handles and those of another type, counts that no memory has.
 * No such call may change anything, end the program, or read where it should not. */
#include "expect.h"

static pfx_store *store;
static pfx_space *space;
static pfx_match *match;
static pfx_seq *seq;
static int32_t tokens[40];

static void *const wild[] = {(void *)1, (void *)0x7FFFFFFFFFFFFFFF, (void *)-1, (void *)&store, (void *)0x100000001};

#define EXPECT_NO_HANDLE(call) EXPECT_IS(call, PFX_INVALID_HANDLE)

static void handles(pfx_store *handle) {
    pfx_space *made;
    pfx_match *found;
    pfx_loading *loading;
    pfx_seq *begun;
    size_t size;
    char text[10];
    pfx_rows rows = {.size = sizeof rows};
    pfx_match_info info = {.size = sizeof info};
    EXPECT_NO_HANDLE(pfx_flush(handle, 1));
    EXPECT_NO_HANDLE(pfx_statistics(handle, text, sizeof text));
    EXPECT_NO_HANDLE(pfx_set_aside_notice(handle, text, sizeof text));
    EXPECT_NO_HANDLE(pfx_names(handle, text, sizeof text));
    EXPECT_NO_HANDLE(pfx_name_remove(handle, "x"));
    EXPECT_NO_HANDLE(open_space(handle, "model", &made));
    pfx_space *place = (pfx_space *)handle;
    EXPECT_NO_HANDLE(pfx_match_prefix(place, tokens, 40, &found));
    EXPECT(found == NULL);
    EXPECT_NO_HANDLE(pfx_seq_begin(place, NULL, 0, &begun));
    EXPECT_NO_HANDLE(pfx_record_prefill(place, 1, 1));
    EXPECT_NO_HANDLE(pfx_explain(place, tokens, 40, text, sizeof text));
    EXPECT_NO_HANDLE(pfx_side_put(place, tokens, 40, "x", "y", 1));
    EXPECT_NO_HANDLE(pfx_side_get(place, tokens, 40, "x", text, 1, &size));
    EXPECT_NO_HANDLE(pfx_pin(place, tokens, 40));
    EXPECT_NO_HANDLE(pfx_unpin(place, tokens, 40));
    EXPECT_NO_HANDLE(pfx_expire(place, tokens, 40, 0));
    EXPECT_NO_HANDLE(pfx_name_set(place, "x", tokens, 40));
    EXPECT_NO_HANDLE(pfx_match_get_info((pfx_match *)handle, &info));
    EXPECT_NO_HANDLE(pfx_load((pfx_match *)handle, 0, 1, &rows));
    EXPECT_NO_HANDLE(pfx_load_begin((pfx_match *)handle, 0, 1, &rows, &loading));
    EXPECT(loading == NULL);
    EXPECT_NO_HANDLE(pfx_seq_append((pfx_seq *)handle, tokens, 40, &rows));
    EXPECT_NO_HANDLE(pfx_seq_store_tail((pfx_seq *)handle));
    EXPECT_NO_HANDLE(pfx_seq_tokens((pfx_seq *)handle));
    if (handle != NULL) {
        EXPECT_NO_HANDLE(pfx_close(handle));
        EXPECT_NO_HANDLE(pfx_close_within(handle, 1));
        EXPECT_NO_HANDLE(pfx_space_close(place));
        EXPECT_NO_HANDLE(pfx_match_end((pfx_match *)handle));
        EXPECT_NO_HANDLE(pfx_load_end((pfx_loading *)handle));
        EXPECT_NO_HANDLE(pfx_seq_end((pfx_seq *)handle));
    }
}

static void opening(const char *folder) {
    pfx_options options = {.size = sizeof options};
    pfx_store *other = (pfx_store *)1;
    EXPECT_IS(pfx_open(NULL, &options, &other), PFX_INVALID_ARGUMENT);
    EXPECT(other == NULL);
    EXPECT_IS(pfx_open("", &options, &other), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_open("\xFF\xFE", &options, &other), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_open(folder, &options, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_open(folder, &options, &other), PFX_ALREADY_OPEN);
    EXPECT_IS(pfx_open("/nowhere/at/all", &options, &other), PFX_NOT_A_FOLDER);
    EXPECT(strstr(pfx_last_error(), "/nowhere/at/all") != NULL);
    char text[10];
    EXPECT_IS(pfx_info(NULL, text, sizeof text), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_info("/nowhere/at/all", text, sizeof text), PFX_NOT_A_FOLDER);
    EXPECT_IS(pfx_info(folder, text, sizeof text), PFX_ALREADY_OPEN);
    EXPECT(pfx_struct_size(NULL) == 0 && pfx_struct_size("pfx_\xFF") == 0 && pfx_struct_size("pfx_store") == 0);
    const size_t sizes[] = {0, 1, sizeof options - 1, 5000, (size_t)-1};
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        options.size = sizes[index];
        EXPECT_IS(pfx_open(folder, &options, &other), PFX_INVALID_ARGUMENT);
    }
    /* A program that was compiled with a later header: what it did not set is zero, what it set is not known here. */
    struct {
        pfx_options known;
        uint64_t unknown;
    } later;
    memset(&later, 0, sizeof later);
    later.known.size = sizeof later;
    EXPECT_IS(pfx_open(folder, &later.known, &other), PFX_ALREADY_OPEN);
    later.unknown = 1;
    EXPECT_IS(pfx_open(folder, &later.known, &other), PFX_INVALID_ARGUMENT);
    const pfx_options wrong[] = {
        {.codec = 9}, {.write_policy = 7}, {.flags = 64}, {.quota = 1}, {.quota = UINT64_MAX},
        {.hot_capacity = UINT64_MAX}, {.write_policy = PFX_WRITE_AFTER_HITS}, {.remote = "s3://bucket/prefix"},
        {.remote = "redis://user:word@host"}, {.remote = "redis://host", .remote_puts = 9},
        {.remote = "redis://host", .remote_puts = PFX_REMOTE_AFTER_HITS}};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        options = wrong[index];
        options.size = sizeof options;
        EXPECT(pfx_open(folder, &options, &other) == PFX_INVALID_OPTION
               || pfx_open(folder, &options, &other) == PFX_ALREADY_OPEN);
    }
    uint8_t digest[32];
    EXPECT_IS(pfx_file_digest(NULL, NULL, digest), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_file_digest(NULL, "nowhere", digest), PFX_INVALID_OPTION);
    EXPECT_IS(pfx_file_digest(NULL, "/", digest), PFX_INVALID_OPTION);
    EXPECT_IS(pfx_file_digest(NULL, "/proc/self/exe", NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_file_digest((pfx_store *)1, "/proc/self/exe", digest), PFX_INVALID_HANDLE);
    EXPECT_IS(pfx_close(NULL), PFX_OK);
}

/* What is no key is refused before the folder is looked at. */
static void keys(const char *folder) {
    pfx_store *other = (pfx_store *)1;
    uint8_t key[33] = {0};
    const pfx_options wrong[] = {
        {.key = key, .key_bytes = 32}, {.key = key}, {.key = key, .key_bytes = 33}, {.key_file = "/nowhere/at/all"},
        {.key_file = "/"}};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        pfx_options options = wrong[index];
        options.size = sizeof options;
        EXPECT_IS(pfx_open(folder, &options, &other), PFX_INVALID_KEY);
        EXPECT(other == NULL);
    }
    pfx_options options = {.size = sizeof options, .key_bytes = 32};
    EXPECT_IS(pfx_open(folder, &options, &other), PFX_INVALID_ARGUMENT);
    options.key = key, options.key_file = "/nowhere/at/all";
    EXPECT_IS(pfx_open(folder, &options, &other), PFX_INVALID_ARGUMENT);
    options.key = NULL, options.key_bytes = 0, options.key_file = "\xFF";
    EXPECT_IS(pfx_open(folder, &options, &other), PFX_INVALID_ARGUMENT);
}

/* One field of the identity or the layout is wrong. */
static void spaces(void) {
    pfx_plane plane = {.row_bytes = 64, .element = PFX_BF16};
    pfx_space *other = (pfx_space *)1;
    const pfx_layout good = {
        .size = sizeof good, .page_tokens = 16, .plane_count = 1, .plane_size = sizeof plane, .planes = &plane};
    pfx_layout layout = good;
    pfx_identity identity = model("model");
    EXPECT_IS(pfx_space_open(store, NULL, &layout, &other), PFX_INVALID_ARGUMENT);
    EXPECT(other == NULL);
    EXPECT_IS(pfx_space_open(store, &identity, NULL, &other), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_space_open(store, &identity, &layout, NULL), PFX_INVALID_ARGUMENT);
#define EXPECT_IDENTITY(field, value, code)                                     \
    identity = model("model"), identity.field = value;                          \
    EXPECT_IS(pfx_space_open(store, &identity, &layout, &other), code)
    EXPECT_IDENTITY(size, 8, PFX_INVALID_ARGUMENT);
    EXPECT_IDENTITY(positions, NULL, PFX_INVALID_ARGUMENT);
    EXPECT_IDENTITY(engine, "\xC0\xAF", PFX_INVALID_ARGUMENT);
    EXPECT_IDENTITY(tensor_rank, 1, PFX_INVALID_IDENTITY);
    EXPECT_IDENTITY(pipeline_rank, 1, PFX_INVALID_IDENTITY);
    EXPECT_IDENTITY(reserved, 1, PFX_INVALID_IDENTITY);
    EXPECT_IDENTITY(salt_bytes, 16, PFX_INVALID_ARGUMENT);
    EXPECT_IDENTITY(salt, "x", PFX_INVALID_IDENTITY);
    identity = model("model"), identity.salt = "x", identity.salt_bytes = (size_t)-1;
    EXPECT_IS(pfx_space_open(store, &identity, &layout, &other), PFX_INVALID_IDENTITY);
    identity = model("model");
    memset(identity.weights, 0, sizeof identity.weights);
    EXPECT_IS(pfx_space_open(store, &identity, &layout, &other), PFX_INVALID_IDENTITY);
    identity = model("model");
#define EXPECT_LAYOUT(field, value, code)                                       \
    layout = good, layout.field = value;                                        \
    EXPECT_IS(pfx_space_open(store, &identity, &layout, &other), code)
    EXPECT_LAYOUT(size, 0, PFX_INVALID_ARGUMENT);
    EXPECT_LAYOUT(page_tokens, 4097, PFX_INVALID_LAYOUT);
    EXPECT_LAYOUT(plane_count, 0, PFX_INVALID_LAYOUT);
    EXPECT_LAYOUT(plane_count, UINT32_MAX, PFX_INVALID_LAYOUT);
    EXPECT_LAYOUT(plane_size, 0, PFX_INVALID_ARGUMENT);
    EXPECT_LAYOUT(plane_size, (size_t)-1, PFX_INVALID_ARGUMENT);
    EXPECT_LAYOUT(planes, NULL, PFX_INVALID_ARGUMENT);
    layout = good;
#define EXPECT_PLANE(field, value)                                              \
    plane = (pfx_plane){.row_bytes = 64, .element = PFX_BF16}, plane.field = value; \
    EXPECT_IS(pfx_space_open(store, &identity, &layout, &other), PFX_INVALID_LAYOUT)
    EXPECT_PLANE(layer, 1);
    EXPECT_PLANE(layer, UINT32_MAX);
    EXPECT_PLANE(row_bytes, 0);
    EXPECT_PLANE(row_bytes, 63);
    EXPECT_PLANE(row_bytes, UINT32_MAX - 1);
    EXPECT_PLANE(element, 14);
    EXPECT_PLANE(element, UINT32_MAX);
    EXPECT_PLANE(window, UINT32_MAX);
}

static void prompts(void) {
    pfx_match *found = (pfx_match *)1;
    const size_t huge = (size_t)-1;
    EXPECT_IS(pfx_match_prefix(space, NULL, 40, &found), PFX_INVALID_ARGUMENT);
    EXPECT(found == NULL);
    EXPECT_IS(pfx_match_prefix(space, tokens, 40, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_match_prefix(space, tokens, 0, &found), PFX_INVALID_TOKENS);
    EXPECT_IS(pfx_match_prefix(space, tokens, huge, &found), PFX_INVALID_TOKENS);
    EXPECT_IS(pfx_match_prefix(space, tokens, huge / 2, &found), PFX_INVALID_TOKENS);
    tokens[3] = -1;
    EXPECT_IS(pfx_match_prefix(space, tokens, 40, &found), PFX_INVALID_TOKENS);
    EXPECT(strstr(pfx_last_error(), "-1") != NULL);
    tokens[3] = 3;
    char text[10];
    size_t size;
    EXPECT_IS(pfx_explain(space, tokens, huge, text, sizeof text), PFX_INVALID_TOKENS);
    EXPECT_IS(pfx_explain(space, tokens, 40, NULL, 10), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_explain(space, tokens, 40, text, huge), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_statistics(store, NULL, 10), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_record_prefill(space, UINT64_MAX, UINT64_MAX), PFX_OK);
    EXPECT_IS(pfx_record_prefill(space, 1, UINT64_MAX), PFX_OK);
    EXPECT_IS(pfx_pin(space, tokens, huge), PFX_INVALID_TOKENS);
    EXPECT_IS(pfx_unpin(space, NULL, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_expire(space, tokens, 40, INT64_MIN), PFX_INVALID_OPTION);
    EXPECT_IS(pfx_side_put(space, tokens, 40, NULL, "x", 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_side_put(space, tokens, 40, "", "x", 1), PFX_INVALID_SIDE_STATE);
    EXPECT_IS(pfx_side_put(space, tokens, 40, "x", NULL, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_side_put(space, tokens, 40, "x", "x", huge), PFX_INVALID_SIDE_STATE);
    EXPECT_IS(pfx_side_get(space, tokens, 40, "x", NULL, 1, &size), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_side_get(space, tokens, 40, "x", text, huge, &size), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_side_get(space, tokens, 40, "x", text, 1, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_name_set(space, "", tokens, 40), PFX_INVALID_NAME);
    EXPECT_IS(pfx_name_set(space, NULL, tokens, 40), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_name_remove(store, "\xFF"), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_seq_begin(space, NULL, 1, &seq), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_seq_begin(space, match, 41, &seq), PFX_INVALID_PAGES);
    EXPECT_IS(pfx_seq_begin(space, match, huge, &seq), PFX_INVALID_PAGES);
    EXPECT_IS(pfx_match_get_info(match, NULL), PFX_INVALID_ARGUMENT);
}

/* A load that is refused when it begins, or when it is done. */
static int64_t load_behind(size_t from, size_t to, const pfx_rows *rows) {
    pfx_loading *loading;
    int result = pfx_load_begin(match, from, to, rows, &loading);
    EXPECT((loading == NULL) == (result != PFX_OK));
    return result == PFX_OK ? pfx_load_end(loading) : result;
}

/* Rows that do not fit are refused by loads and by appends, and nothing is written. */
static void rows_refused(struct cells *cells, pfx_rows rows, size_t count, int64_t code) {
    EXPECT_IS(pfx_load(match, 0, count, &rows), code);
    EXPECT_IS(load_behind(0, count, &rows), code);
    EXPECT_IS(pfx_seq_append(seq, tokens, count, &rows), code);
    EXPECT_IS(pfx_seq_tokens(seq), 0);
    for (int plane = 0; plane < PLANES; plane++)
        for (size_t row = 0; row < cells->capacity; row++) EXPECT(cells_untouched(cells, plane, row));
}

static void rows_of_all_kinds(void) {
    struct cells cells = cells_make(40);
    const size_t huge = (size_t)-1;
    const uint32_t far[] = {40}, farthest[] = {UINT32_MAX};
    size_t strides[PLANES] = {0};
    const pfx_rows good = cells_rows(&cells);
    EXPECT_IS(pfx_load(match, 0, 1, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_load(match, 2, 1, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_load_within(match, 2, 1, 0, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_load_begin(match, 0, 1, &good, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(load_behind(0, 1, NULL), PFX_INVALID_ARGUMENT);
    EXPECT_IS(load_behind(2, 1, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(load_behind(huge, huge, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(load_behind(0, 41, &good), PFX_INVALID_PAGES);
    EXPECT_IS(load_behind(huge / 2, huge / 2, &good), PFX_INVALID_PAGES);
    EXPECT_IS(pfx_load(match, huge, huge, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_load(match, 0, 41, &good), PFX_INVALID_PAGES);
    EXPECT_IS(pfx_load(match, huge / 2, huge / 2, &good), PFX_INVALID_PAGES);
#define EXPECT_ROWS(field, value, code)                                         \
    do {                                                                        \
        pfx_rows rows = good;                                                   \
        rows.field = value;                                                     \
        rows_refused(&cells, rows, 1, code);                                    \
    } while (0)
    EXPECT_ROWS(size, 0, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(planes, NULL, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(plane_count, 0, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(plane_count, huge, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(plane_count, PLANES - 1, PFX_INVALID_PAGES);
    EXPECT_ROWS(capacity, 0, PFX_INVALID_PAGES);
    EXPECT_ROWS(capacity, huge, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(capacity, huge / 2, PFX_INVALID_PAGES);
    EXPECT_ROWS(strides, strides, PFX_INVALID_PAGES);
    EXPECT_ROWS(first, 40, PFX_INVALID_PAGES);
    EXPECT_ROWS(first, huge, PFX_INVALID_ARGUMENT);
    EXPECT_ROWS(first, huge / 2, PFX_INVALID_PAGES);
    EXPECT_ROWS(index, far, PFX_INVALID_PAGES);
    EXPECT_ROWS(index_count, 1, PFX_INVALID_ARGUMENT);
    pfx_rows rows = good;
    rows.index = far, rows.index_count = 1;
    rows_refused(&cells, rows, 1, PFX_INVALID_PAGES);
    rows.index = farthest;
    rows_refused(&cells, rows, 1, PFX_INVALID_PAGES);
    for (int plane = 0; plane < PLANES; plane++) strides[plane] = huge / 2;
    rows = good;
    rows.strides = strides;
    rows_refused(&cells, rows, 1, PFX_INVALID_PAGES);
    rows = good;
    rows.index = farthest;
    rows.index_count = huge;
    rows_refused(&cells, rows, 1, PFX_INVALID_ARGUMENT);
    rows = good;
    void *none[PLANES] = {NULL};
    rows.planes = none;
    rows_refused(&cells, rows, 1, PFX_INVALID_PAGES);
    EXPECT_IS(pfx_seq_append(seq, NULL, 1, &good), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_seq_append(seq, tokens, huge, &good), PFX_INVALID_TOKENS);
    EXPECT_IS(pfx_load_within(match, 0, 1, UINT64_MAX, &good), 1);
    cells_free(&cells);
}

/* A store with one stored prompt of 40 tokens, a match of it and a sequence. */
static void prepare(const char *folder) {
    store = open_store(folder);
    EXPECT_IS(open_space(store, "model", &space), PFX_OK);
    struct cells cells = cells_make(40);
    for (int token = 0; token < 40; token++) tokens[token] = token, cells_fill(&cells, (size_t)token, token, token);
    pfx_rows rows = cells_rows(&cells);
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &seq), 0);
    EXPECT_IS(pfx_seq_append(seq, tokens, 40, &rows), 2);
    EXPECT_IS(pfx_seq_store_tail(seq), 1);
    EXPECT_IS(pfx_seq_end(seq), PFX_OK);
    EXPECT_IS(pfx_flush(store, 0), PFX_OK);
    EXPECT_IS(pfx_match_prefix(space, tokens, 40, &match), 40);
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &seq), 0);
    cells_free(&cells);
}

int main(int count, char **arguments) {
    EXPECT(count == 2);
    EXPECT(pfx_last_error()[0] == 0);
    handles(NULL);
    for (size_t index = 0; index < sizeof wild / sizeof wild[0]; index++) handles((pfx_store *)wild[index]);
    prepare(arguments[1]);
    opening(arguments[1]);
    keys(arguments[1]);
    spaces();
    pfx_seq *good = seq;
    prompts();
    seq = good;
    rows_of_all_kinds();
    /* A handle of another type, one that was given back, and those that a closed store took along. */
    EXPECT_NO_HANDLE(pfx_flush((pfx_store *)space, 1));
    EXPECT_NO_HANDLE(pfx_seq_tokens((pfx_seq *)match));
    EXPECT_NO_HANDLE(pfx_match_end((pfx_match *)space));
    pfx_space *second;
    EXPECT_IS(open_space(store, "model", &second), PFX_OK);
    EXPECT_IS(pfx_space_close(second), PFX_OK);
    EXPECT_NO_HANDLE(pfx_space_close(second));
    EXPECT_NO_HANDLE(pfx_pin(second, tokens, 40));
    EXPECT_IS(pfx_close(store), PFX_OK);
    handles(store);
    handles((pfx_store *)space);
    handles((pfx_store *)match);
    handles((pfx_store *)seq);
    EXPECT(strcmp(pfx_error_name(PFX_DISK_FULL), "PFX_DISK_FULL") == 0);
    EXPECT(strcmp(pfx_error_name(12345), "PFX_UNKNOWN") == 0);
    EXPECT(strlen(pfx_version()) >= 5);
    return 0;
}
