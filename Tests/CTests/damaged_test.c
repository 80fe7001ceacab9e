/* A store that is beyond use: the next opening sets it aside and says so, once. What a store holds, seen from outside;
 * and the structs of this header, as the library knows them. */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"

#include <fcntl.h>
#include <unistd.h>

static void store_a_prompt(const char *folder) {
    pfx_store *store = open_store(folder);
    pfx_space *space;
    EXPECT_IS(open_space(store, "model", &space), PFX_OK);
    struct cells cells = cells_make(PAGE);
    int32_t tokens[PAGE];
    for (int token = 0; token < PAGE; token++) {
        tokens[token] = token;
        cells_fill(&cells, (size_t)token, token, token);
    }
    pfx_seq *seq;
    EXPECT_IS(pfx_seq_begin(space, NULL, 0, &seq), 0);
    pfx_rows rows = cells_rows(&cells);
    EXPECT_IS(pfx_seq_append(seq, tokens, PAGE, &rows), 1);
    char text[100] = "x";
    EXPECT_IS(pfx_set_aside_notice(store, text, sizeof text), 0);
    EXPECT(text[0] == 0);
    EXPECT_IS(pfx_close(store), PFX_OK);
    cells_free(&cells);
}

/* Both meta pages, without which nothing of the file can be found. */
static void ruin(const char *folder) {
    char path[512], zeros[8192] = {0};
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    int file = open(path, O_WRONLY);
    EXPECT(file >= 0 && write(file, zeros, sizeof zeros) == sizeof zeros && close(file) == 0);
}

static void set_aside(const char *folder) {
    char text[1024], part[20];
    pfx_store *store = open_store(folder);
    int64_t length = pfx_set_aside_notice(store, text, sizeof text);
    EXPECT(length > 0 && (size_t)length == strlen(text));
    EXPECT(strstr(text, "was damaged") != NULL && strstr(text, folder) != NULL && strstr(text, "/aside-") != NULL);
    EXPECT_IS(pfx_set_aside_notice(store, part, sizeof part), length);
    EXPECT(strlen(part) == sizeof part - 1 && strncmp(part, text, sizeof part - 1) == 0);
    EXPECT_IS(pfx_set_aside_notice(store, NULL, 0), length);
    EXPECT_IS(pfx_set_aside_notice(store, NULL, 1), PFX_INVALID_ARGUMENT);
    EXPECT_IS(pfx_close(store), PFX_OK);
    store = open_store(folder);
    EXPECT_IS(pfx_set_aside_notice(store, text, sizeof text), 0);
    EXPECT_IS(pfx_close(store), PFX_OK);
}

static void seen_from_outside(const char *folder, const char *pages) {
    char text[2000];
    int64_t length = pfx_info(folder, text, sizeof text);
    EXPECT(length > 0 && (size_t)length == strlen(text));
    EXPECT(strstr(text, pages) != NULL && strstr(text, "\"quota_bytes\":67108864,") != NULL);
    EXPECT(strstr(text, "\"open_in\":[]") != NULL);
    EXPECT_IS(pfx_info(folder, NULL, 0), length);
}

static void structs(void) {
    EXPECT(pfx_struct_size("pfx_options") == sizeof(pfx_options));
    EXPECT(pfx_struct_size("pfx_identity") == sizeof(pfx_identity));
    EXPECT(pfx_struct_size("pfx_plane") == sizeof(pfx_plane));
    EXPECT(pfx_struct_size("pfx_layout") == sizeof(pfx_layout));
    EXPECT(pfx_struct_size("pfx_match_info") == sizeof(pfx_match_info));
    EXPECT(pfx_struct_size("pfx_rows") == sizeof(pfx_rows));
    EXPECT(pfx_struct_size("pfx_key") == sizeof(pfx_key));
    EXPECT(pfx_struct_size("pfx_span") == sizeof(pfx_span));
    EXPECT(pfx_struct_size("pfx_completion") == sizeof(pfx_completion));
}

int main(int count, char **arguments) {
    EXPECT(count == 2);
    structs();
    store_a_prompt(arguments[1]);
    seen_from_outside(arguments[1], "\"pages\":1,");
    ruin(arguments[1]);
    set_aside(arguments[1]);
    seen_from_outside(arguments[1], "\"pages\":0,");
    return 0;
}
