/* PrefixStore for programs on llama.cpp; pfx_llama.h says what each function does.
 *
 * Longer than 400 lines because a host copies one file into its program. Its sections, in the order of what they build
 * on: errors; reading a blob (what llama.cpp writes); positions and planes (which row is which token's); writing a blob
 * (what llama.cpp takes); restoring, while the library loads ahead; storing; the context's form (which planes there
 * are, and how the store remembers it); opening (identity, space, closing, explaining).
 *
 * Keys and values come out of libllama and go into it as a blob (llama_state_seq_get_data): per group of layers, the
 * positions of the cells, then the rows of K per layer, then those of V. Models without sliding windows have one group;
 * those with them a second one, of the windowed layers. Three facts decide the shape of this file:
 *   - A blob is always a whole sequence. A range of it is had by lending its cells to a spare sequence, which copies
 *     nothing, and by taking the blob of that one; in the same way a sequence is put together from pieces.
 *   - Cells come in the order of the cache, which is not that of the positions once a cell was freed and used again. So
 *     every row is found by its position.
 *   - With flash attention off, V comes transposed: one strip per number instead of one row per token. */
#define _GNU_SOURCE
#include "pfx_llama.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BLOB_MAGIC = (int)0xaf143cd8,
    MAX_GROUPS = 2,
    MAX_PLANES = 4096,
    PAGE_TOKENS = 64,
    PIECE_BYTES = 1 << 20, /* moved at once: so that a piece is still in the processor's cache when it is used next */
    SLOTS = 3,             /* pieces at a time: one goes into the context, one waits, one is being loaded */
    FORM_BYTES = 1 << 14   /* of a form that is remembered; a block has one length */
};

/* One plane of the store: K or V of a layer. */
struct plane {
    int32_t type;     /* ggml's number */
    uint32_t row;     /* bytes per token */
    uint32_t element; /* bytes of a number, when tokens are its inner dimension; 0 otherwise */
    uint8_t *data;    /* its rows in the blob that was read */
};

/* The layers that share cells. Their planes follow each other in the store: K and V of a layer, K and V of the next. */
struct group {
    uint32_t first, layers, has_values, transposed, streams;
    uint32_t window;                /* tokens that its layers look back at; 0: all */
    uint32_t cells, room;           /* of the blob that was read, and the room of `positions` */
    int32_t *positions;             /* per cell */
};

/* What one sequence has stored so far, so that a growing one is hashed once. */
struct cursor {
    pfx_seq *seq;
    llama_token *tokens;
    size_t count, room;
};

/* Tokens on their way from the store into the context. */
struct piece {
    size_t from, to;
    int with_windows;               /* windowed layers get cells too */
    uint8_t *blob, *scratch;
    size_t size, blob_room, scratch_room;
    uint8_t **places;               /* rows or strips of each plane in the blob; NULL: the plane gets none */
    void **addresses;               /* where the store writes row 0 of each plane */
    pfx_loading *loading;           /* NULL: nothing is being loaded */
};

struct pfx_llama {
    struct llama_context *ctx;
    llama_memory_t memory;
    pfx_space *space;
    llama_seq_id spare;             /* 0: none */
    uint32_t page, piece;           /* tokens of a page, and tokens that move at once */
    int has_all_cells;              /* windowed layers have a cell for every token: swa_full */
    uint32_t group_count, plane_count;
    struct group groups[MAX_GROUPS];
    struct plane *planes;           /* MAX_PLANES of them while the first blob is read */
    size_t token_bytes;
    uint8_t *blob, *scratch;
    size_t blob_room, scratch_room;
    uint32_t *where;                /* cell per position of a piece */
    size_t where_room;
    void **addresses;               /* row 0 of each plane, for the store */
    struct piece slots[SLOTS];
    struct cursor *cursors;         /* one per sequence */
    uint32_t cursor_count;
};

/* ------------------------------------------------------------------------------------------------------ Errors --- */

static _Thread_local char last_error[1024];

const char *pfx_llama_last_error(void) { return last_error; }

static int fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return code;
}

/* Keeps the library's own words. */
static int64_t checked(int64_t result) {
    if (result < 0) fail((int)result, "%s", pfx_last_error());
    return result;
}

static int grow(void **memory, size_t *room, size_t wanted) {
    if (wanted <= *room) return PFX_OK;
    void *larger = realloc(*memory, wanted);
    if (larger == NULL) return fail(PFX_OUT_OF_MEMORY, "No memory for %zu bytes of keys and values.", wanted);
    *memory = larger;
    *room = wanted;
    return PFX_OK;
}

/* ----------------------------------------------------------------------------------------------- Reading a blob --- */

struct reader {
    uint8_t *at, *end; /* `at` is NULL once something did not fit */
};

static uint8_t *skip(struct reader *reader, uint64_t bytes) {
    uint8_t *at = reader->at;
    if (at == NULL || (uint64_t)(reader->end - at) < bytes) return reader->at = NULL;
    reader->at += bytes;
    return at;
}

static uint64_t take(struct reader *reader, size_t bytes) {
    uint64_t value = 0;
    const uint8_t *at = skip(reader, bytes);
    if (at != NULL) memcpy(&value, at, bytes);
    return value;
}

/* Takes a number that all blobs of a context share: notes it in the first blob, and compares it in all others. */
static void agree(struct reader *reader, int is_first, uint32_t *known, uint64_t value) {
    if (is_first) *known = (uint32_t)value;
    if (*known != value) reader->at = NULL;
}

static void read_plane(struct pfx_llama *cache, struct reader *reader, int is_first, const struct group *group,
                       uint32_t index, int is_strips) {
    if (index >= (is_first ? MAX_PLANES : cache->plane_count)) {
        reader->at = NULL;
        return;
    }
    struct plane *plane = cache->planes + index;
    uint32_t type = (uint32_t)plane->type;
    agree(reader, is_first, &type, take(reader, 4));
    plane->type = (int32_t)type;
    if (is_strips) {
        agree(reader, is_first, &plane->element, take(reader, 4));
        agree(reader, is_first, &plane->row, take(reader, 4) * plane->element);
    } else {
        agree(reader, is_first, &plane->row, take(reader, 8));
    }
    plane->data = skip(reader, (uint64_t)plane->row * group->cells);
}

/* Reads the cells of one stream. */
static void read_cells(struct pfx_llama *cache, struct reader *reader, int is_first, struct group *group) {
    size_t bytes = group->room * sizeof(int32_t);
    if (group->cells > (reader->end - reader->at) / 8 ||
        grow((void **)&group->positions, &bytes, group->cells * sizeof(int32_t)) != PFX_OK) {
        reader->at = NULL;
        return;
    }
    group->room = (uint32_t)(bytes / sizeof(int32_t));
    for (uint32_t cell = 0; cell < group->cells; cell++) {
        group->positions[cell] = (int32_t)take(reader, 4);
        uint64_t sequences = take(reader, 4); /* 0 for a sequence number from n_seq_max on */
        if (sequences > 1 || skip(reader, 4 * sequences) == NULL) reader->at = NULL;
    }
    agree(reader, is_first, &group->transposed, take(reader, 4));
    agree(reader, is_first, &group->layers, take(reader, 4));
    if (group->layers > MAX_PLANES) reader->at = NULL;
    uint32_t step = group->has_values ? 2 : 1;
    for (uint32_t layer = 0; layer < group->layers && reader->at != NULL; layer++)
        read_plane(cache, reader, is_first, group, group->first + layer * step, 0);
    for (uint32_t layer = 0; layer < group->layers && group->has_values && reader->at != NULL; layer++)
        read_plane(cache, reader, is_first, group, group->first + layer * 2 + 1, (int)group->transposed);
}

static void read_group(struct pfx_llama *cache, struct reader *reader, int is_first, struct group *group) {
    agree(reader, is_first, &group->streams, take(reader, 4));
    if (group->streams > 4096) reader->at = NULL;
    group->cells = 0;
    for (uint32_t stream = 0; stream < group->streams && reader->at != NULL; stream++) {
        uint32_t cells = (uint32_t)take(reader, 4);
        if (cells == 0) continue;
        if (group->cells != 0) reader->at = NULL; /* a sequence is in one stream */
        group->cells = cells;
        if (reader->at != NULL) read_cells(cache, reader, is_first, group);
    }
}

/* Reads `size` bytes of cache->blob. 0: this is not what the context is known to write. */
static int read_blob(struct pfx_llama *cache, size_t size) {
    struct reader reader = {cache->blob, cache->blob + size};
    if ((int)take(&reader, 4) != BLOB_MAGIC) return 0;
    take(&reader, 4); /* the sequence */
    for (uint32_t group = 0; group < cache->group_count && reader.at != NULL; group++)
        read_group(cache, &reader, 0, cache->groups + group);
    return reader.at == reader.end;
}

/* Learns what the context writes from a blob of one cell. Nothing in it tells how many groups there are, and whether V
 * exists: the one reading that ends with the blob is right. */
static int learn(struct pfx_llama *cache, size_t size, int has_values) {
    struct reader reader = {cache->blob, cache->blob + size};
    cache->group_count = cache->plane_count = 0;
    if ((int)take(&reader, 4) != BLOB_MAGIC) return 0;
    take(&reader, 4);
    while (reader.at != NULL && reader.at != reader.end && cache->group_count < MAX_GROUPS) {
        struct group *group = cache->groups + cache->group_count++;
        group->first = cache->plane_count;
        group->has_values = (uint32_t)has_values;
        read_group(cache, &reader, 1, group);
        if (group->cells != 1) return 0;
        cache->plane_count += group->layers * (has_values ? 2 : 1);
    }
    return reader.at == reader.end && cache->plane_count > 0;
}

/* Copies the blob of a sequence into cache->blob and reads it. */
static int fetch(struct pfx_llama *cache, llama_seq_id seq, size_t *size) {
    *size = llama_state_seq_get_size(cache->ctx, seq);
    int result = grow((void **)&cache->blob, &cache->blob_room, *size);
    if (result != PFX_OK) return result;
    if (*size == 0 || llama_state_seq_get_data(cache->ctx, cache->blob, *size, seq) != *size)
        return fail(PFX_INVALID_LAYOUT, "llama_state_seq_get_data gave no state of sequence %d.", seq);
    return PFX_OK;
}

/* ---------------------------------------------------------------------------------------- Positions and planes --- */

/* Finds the cells of positions `from` to `to`. Returns how many leading ones there are, and whether they follow each
 * other. */
static size_t locate(struct pfx_llama *cache, const struct group *group, size_t from, size_t to, int *is_run) {
    for (size_t i = 0; i < to - from; i++) cache->where[i] = UINT32_MAX;
    for (uint32_t cell = 0; cell < group->cells; cell++) {
        int64_t position = group->positions[cell];
        if (position >= (int64_t)from && position < (int64_t)to) cache->where[position - (int64_t)from] = cell;
    }
    size_t found = 0;
    *is_run = 1;
    for (; found < to - from && cache->where[found] != UINT32_MAX; found++)
        if (cache->where[found] != cache->where[0] + found) *is_run = 0;
    return found;
}

/* Turns strips of tokens into rows, or rows into strips. */
#define TRANSPOSE(type)                                                                         \
    for (size_t number = 0; number < numbers; number++) {                                       \
        type *row = (type *)rows + number, *strip = (type *)strips + number * cells;            \
        for (size_t token = 0; token < count; token++) {                                        \
            if (to_rows)                                                                        \
                row[token * numbers] = strip[where[token]];                                     \
            else                                                                                \
                strip[token] = row[token * numbers];                                            \
        }                                                                                       \
    }

static void transpose(const struct plane *plane, uint8_t *strips, uint8_t *rows, size_t count, size_t cells,
                      const uint32_t *where, int to_rows) {
    size_t numbers = plane->row / plane->element;
    if (plane->element == 2) {
        TRANSPOSE(uint16_t)
    } else {
        TRANSPOSE(uint32_t)
    }
}

/* Gives each plane the address of the row of position `from`, in the blob if its rows follow each other there. Returns
 * for how many tokens, at most `to - from`; -1: no memory. */
static int64_t gather(struct pfx_llama *cache, size_t from, size_t to) {
    size_t count = to - from;
    if (grow((void **)&cache->where, &cache->where_room, count * sizeof(uint32_t)) != PFX_OK) return -1;
    for (uint32_t g = 0; g < cache->group_count; g++) {
        int is_run;
        size_t found = locate(cache, cache->groups + g, from, from + count, &is_run);
        if (found < count) count = found;
    }
    if (count == 0) return 0;
    uint8_t *free_rows = NULL;
    for (uint32_t g = 0; g < cache->group_count; g++) {
        const struct group *group = cache->groups + g;
        uint32_t planes = group->layers * (group->has_values ? 2 : 1);
        int is_run;
        locate(cache, group, from, from + count, &is_run);
        for (uint32_t p = group->first; p < group->first + planes; p++) {
            struct plane *plane = cache->planes + p;
            if (is_run && plane->element == 0) {
                cache->addresses[p] = plane->data + (size_t)plane->row * cache->where[0];
                continue;
            }
            if (grow((void **)&cache->scratch, &cache->scratch_room, count * cache->token_bytes) != PFX_OK) return -1;
            if (free_rows == NULL) free_rows = cache->scratch;
            cache->addresses[p] = free_rows;
            free_rows += plane->row * count;
            if (plane->element != 0)
                transpose(plane, plane->data, cache->addresses[p], count, group->cells, cache->where, 1);
            else
                for (size_t token = 0; token < count; token++)
                    memcpy((uint8_t *)cache->addresses[p] + token * plane->row,
                           plane->data + (size_t)plane->row * cache->where[token], plane->row);
        }
    }
    return (int64_t)count;
}

/* ----------------------------------------------------------------------------------------------- Writing a blob --- */

static void put(uint8_t **at, uint64_t value, size_t bytes) {
    memcpy(*at, &value, bytes);
    *at += bytes;
}

static void frame_planes(const struct pfx_llama *cache, struct piece *piece, uint8_t **at, const struct group *group,
                         uint32_t offset, size_t cells) {
    for (uint32_t layer = 0; layer < group->layers; layer++) {
        uint32_t index = group->first + layer * (group->has_values ? 2 : 1) + offset;
        const struct plane *plane = cache->planes + index;
        put(at, (uint32_t)plane->type, 4);
        if (plane->element != 0) {
            put(at, plane->element, 4);
            put(at, plane->row / plane->element, 4);
        } else {
            put(at, plane->row, 8);
        }
        piece->places[index] = *at;
        *at += plane->row * cells;
    }
}

/* Writes everything but the rows of a piece's blob. */
static int frame(const struct pfx_llama *cache, struct piece *piece) {
    size_t count = piece->to - piece->from;
    size_t bytes = 8 + count * (12 * MAX_GROUPS + cache->token_bytes) + 12 * (size_t)cache->plane_count;
    for (uint32_t g = 0; g < cache->group_count; g++) bytes += 16 + 4 * (size_t)cache->groups[g].streams;
    int result = grow((void **)&piece->blob, &piece->blob_room, bytes);
    if (result != PFX_OK) return result;
    uint8_t *at = piece->blob;
    put(&at, (uint32_t)BLOB_MAGIC, 4);
    put(&at, 0, 4);
    memset(piece->places, 0, cache->plane_count * sizeof *piece->places);
    for (uint32_t g = 0; g < cache->group_count; g++) {
        const struct group *group = cache->groups + g;
        size_t cells = group->window == 0 || piece->with_windows ? count : 0;
        put(&at, group->streams, 4);
        put(&at, cells, 4); /* the first stream stands for whichever the sequence is in */
        for (size_t cell = 0; cell < cells; cell++) {
            put(&at, piece->from + cell, 4);
            put(&at, 1, 4);
            put(&at, 0, 4);
        }
        if (cells > 0) {
            put(&at, group->transposed, 4);
            put(&at, group->layers, 4);
            frame_planes(cache, piece, &at, group, 0, cells);
            if (group->has_values) frame_planes(cache, piece, &at, group, 1, cells);
        }
        for (uint32_t stream = 1; stream < group->streams; stream++) put(&at, 0, 4);
    }
    piece->size = (size_t)(at - piece->blob);
    return PFX_OK;
}

static pfx_rows rows_of(const struct pfx_llama *cache, const struct piece *piece) {
    return (pfx_rows){.size = sizeof(pfx_rows), .planes = piece->addresses, .plane_count = cache->plane_count,
                      .capacity = piece->to - piece->from};
}

/* Begins to make the blob of a piece from a match. That of the first piece is made by end_load: this thread has nothing
 * else to do until it is there. */
static int begin_load(const struct pfx_llama *cache, pfx_match *match, struct piece *piece, int is_first) {
    size_t count = piece->to - piece->from;
    int result = frame(cache, piece);
    uint8_t *free_rows = NULL;
    for (uint32_t p = 0; p < cache->plane_count && result == PFX_OK; p++) {
        const struct plane *plane = cache->planes + p;
        piece->addresses[p] = piece->places[p];
        if (plane->element == 0 || piece->places[p] == NULL) continue;
        result = grow((void **)&piece->scratch, &piece->scratch_room, count * cache->token_bytes);
        if (free_rows == NULL) free_rows = piece->scratch;
        piece->addresses[p] = free_rows;
        free_rows += plane->row * count;
    }
    if (result != PFX_OK) return result;
    if (is_first) return PFX_OK;
    pfx_rows rows = rows_of(cache, piece);
    return (int)checked(pfx_load_begin(match, piece->from, piece->to, &rows, &piece->loading));
}

/* Waits for the blob. Returns the tokens that came. */
static int64_t end_load(const struct pfx_llama *cache, pfx_match *match, struct piece *piece) {
    size_t count = piece->to - piece->from;
    pfx_rows rows = rows_of(cache, piece);
    int64_t loaded = checked(piece->loading == NULL ? pfx_load(match, piece->from, piece->to, &rows)
                                                    : pfx_load_end(piece->loading));
    piece->loading = NULL;
    for (uint32_t p = 0; p < cache->plane_count && loaded == (int64_t)count; p++)
        if (piece->addresses[p] != piece->places[p])
            transpose(cache->planes + p, piece->places[p], piece->addresses[p], count, count, NULL, 0);
    return loaded;
}

/* ---------------------------------------------------------------------------------------------------- Restoring --- */

static void empty(struct pfx_llama *cache, llama_seq_id seq) { llama_memory_seq_rm(cache->memory, seq, -1, -1); }

/* Tokens before the next one of which windowed layers need rows; 0: all, or there are no such layers. With swa_full all
 * are put back, so that the cells lie as they would in a sequence that was computed. */
static uint32_t window_of(const struct pfx_llama *cache) {
    uint32_t window = 0;
    if (cache->has_all_cells) return 0;
    for (uint32_t g = 0; g < cache->group_count; g++)
        if (cache->groups[g].window > window) window = cache->groups[g].window;
    return window;
}

/* Whether a sequence holds what tokens behind position `count` look at, and nothing behind it. */
static int holds(struct pfx_llama *cache, llama_seq_id seq, size_t count) {
    uint32_t window = window_of(cache);
    llama_pos least = window == 0 || count <= window ? 0 : (llama_pos)(count - window);
    llama_pos first = llama_memory_seq_pos_min(cache->memory, seq);
    return first >= 0 && first <= least && llama_memory_seq_pos_max(cache->memory, seq) == (llama_pos)count - 1;
}

/* The tokens of a restore that are still to be cut into pieces. */
struct rest {
    size_t from, to;
    size_t edge;    /* windowed layers get cells from here on */
    size_t pieces;  /* cut so far */
};

/* Cuts off the next piece and begins to load it. */
static int begin_next(struct pfx_llama *cache, pfx_match *match, struct rest *rest) {
    int is_first = rest->pieces == 0;
    struct piece *piece = cache->slots + rest->pieces++ % SLOTS;
    size_t step = cache->spare == 0 ? rest->to : cache->piece;
    size_t from = rest->from, to = rest->to - from < step ? rest->to : from + step;
    if (from < rest->edge && to > rest->edge) to = rest->edge;
    piece->from = from;
    piece->to = rest->from = to;
    piece->with_windows = from >= rest->edge;
    return begin_load(cache, match, piece, is_first);
}

/* Adds the cells of a piece to the sequence. Returns 0 when there is no room for them. */
static int put_piece(struct pfx_llama *cache, const struct piece *piece, llama_seq_id seq) {
    llama_seq_id target = cache->spare == 0 ? seq : cache->spare;
    int went_in = llama_state_seq_set_data(cache->ctx, piece->blob, piece->size, target) == piece->size;
    if (went_in && target != seq) llama_memory_seq_cp(cache->memory, target, seq, -1, -1);
    if (target != seq) empty(cache, target);
    return went_in;
}

/* Puts tokens `have` to `to` of a match behind the `have` in the sequence. Returns how far it came: `to` when all is
 * well. The library loads the next pieces while this thread puts one into the context. */
static int64_t put_pieces(struct pfx_llama *cache, pfx_match *match, llama_seq_id seq, size_t have, size_t to) {
    uint32_t window = window_of(cache);
    struct rest rest = {.from = have, .to = to, .edge = window != 0 && to > window ? to - window : 0};
    int64_t reached = (int64_t)have;
    for (size_t number = 0; reached < (int64_t)to; number++) {
        int result = PFX_OK;
        while (rest.from < to && rest.pieces - number < SLOTS && result == PFX_OK)
            result = begin_next(cache, match, &rest);
        struct piece *piece = cache->slots + number % SLOTS;
        int64_t loaded = result != PFX_OK ? result : end_load(cache, match, piece);
        if (loaded < 0) {
            reached = loaded;
            break;
        }
        int is_whole = loaded == (int64_t)(piece->to - piece->from);
        if (is_whole && !put_piece(cache, piece, seq)) break;
        reached += loaded;
        if (!is_whole) break;
    }
    /* They write into the slots. */
    for (int i = 0; i < SLOTS; i++) {
        pfx_load_end(cache->slots[i].loading);
        cache->slots[i].loading = NULL;
    }
    return reached;
}

int64_t pfx_llama_restore(pfx_llama *cache, llama_seq_id seq, const llama_token *tokens, size_t count, size_t have) {
    if (cache == NULL || seq < 0 || (uint32_t)seq >= cache->cursor_count || (tokens == NULL && count > 0) ||
        count > INT_MAX)
        return fail(PFX_INVALID_ARGUMENT, "pfx_llama_restore: a sequence from 0 to n_seq_max - 1, and tokens");
    if (count == 0) return empty(cache, seq), 0;
    if (have > count - 1) have = count - 1;
    llama_memory_seq_rm(cache->memory, seq, (llama_pos)have, -1);
    if (have > 0 && !holds(cache, seq, have)) have = 0;
    if (have == 0) empty(cache, seq);
    pfx_match *match;
    int64_t found = checked(pfx_match_prefix(cache->space, tokens, count, &match));
    size_t limit = found < 0 ? 0 : (found == (int64_t)count ? count - 1 : (size_t)found);
    int64_t result = found < 0 ? found : (int64_t)have;
    size_t begin = cache->spare == 0 ? 0 : have;
    while (limit > have) {
        if (begin == 0) empty(cache, seq);
        int64_t came = put_pieces(cache, match, seq, begin, limit);
        if (came == (int64_t)limit && holds(cache, seq, limit)) {
            result = came;
            break;
        }
        /* Not all of it came: begin again with as much as did, so that windows end where the sequence does. */
        result = came < 0 ? came : 0;
        limit = came <= 0 || came == (int64_t)limit ? 0 : (size_t)came;
        begin = have = 0;
        empty(cache, seq);
    }
    if (result < 0) empty(cache, seq);
    pfx_match_end(match);
    return result;
}

/* ------------------------------------------------------------------------------------------------------ Storing --- */

static void drop_cursor(struct cursor *cursor) {
    pfx_seq_end(cursor->seq);
    cursor->seq = NULL;
    cursor->count = 0;
}

/* Makes the cursor of a sequence stand behind a prefix of `tokens`, the longest that is stored. Returns 1 when all of
 * them are stored. */
static int64_t place_cursor(struct pfx_llama *cache, struct cursor *cursor, const llama_token *tokens, size_t count) {
    size_t bytes = cursor->room * sizeof *tokens;
    int result = grow((void **)&cursor->tokens, &bytes, count * sizeof *tokens);
    cursor->room = bytes / sizeof *tokens;
    if (result != PFX_OK) return result;
    if (cursor->seq != NULL && cursor->count <= count &&
        memcmp(cursor->tokens, tokens, cursor->count * sizeof *tokens) == 0)
        return 0;
    drop_cursor(cursor);
    pfx_match *match;
    int64_t found = checked(pfx_match_prefix(cache->space, tokens, count, &match));
    if (found < 0) return found;
    if (found < (int64_t)count) {
        int64_t behind = checked(pfx_seq_begin(cache->space, match, (size_t)found, &cursor->seq));
        if (behind >= 0) {
            memcpy(cursor->tokens, tokens, (size_t)behind * sizeof *tokens);
            cursor->count = (size_t)behind;
        }
        result = behind < 0 ? (int)behind : 0;
    } else {
        result = 1;
    }
    pfx_match_end(match);
    return result;
}

/* Reads the blob of positions `from` to `to`, or of the whole sequence when there is no spare one. */
static int fetch_range(struct pfx_llama *cache, llama_seq_id seq, size_t from, size_t to) {
    llama_seq_id source = cache->spare == 0 ? seq : cache->spare;
    if (source != seq) llama_memory_seq_cp(cache->memory, seq, source, (llama_pos)from, (llama_pos)to);
    size_t size;
    int result = fetch(cache, source, &size);
    if (source != seq) empty(cache, source);
    if (result == PFX_OK && !read_blob(cache, size))
        result = fail(PFX_INVALID_LAYOUT, "The context writes its state in another form than when it was opened.");
    return result;
}

int64_t pfx_llama_store(pfx_llama *cache, llama_seq_id seq, const llama_token *tokens, size_t count) {
    if (cache == NULL || seq < 0 || (uint32_t)seq >= cache->cursor_count || (tokens == NULL && count > 0) ||
        count > INT_MAX)
        return fail(PFX_INVALID_ARGUMENT, "pfx_llama_store: a sequence from 0 to n_seq_max - 1, and tokens");
    if (count == 0) return 0;
    struct cursor *cursor = cache->cursors + seq;
    int64_t result = place_cursor(cache, cursor, tokens, count);
    if (result != 0) return result < 0 ? result : (int64_t)count;
    int is_fetched = 0;
    while (cursor->count < count) {
        size_t from = cursor->count;
        size_t to = from + cache->piece - from % cache->page;
        if (to > count) to = count;
        if (cache->spare != 0 || !is_fetched) result = fetch_range(cache, seq, from, to);
        is_fetched = 1;
        if (result != PFX_OK) return result;
        int64_t there = gather(cache, from, to);
        if (there < 0) return PFX_OUT_OF_MEMORY;
        pfx_rows rows = {.size = sizeof rows, .planes = cache->addresses, .plane_count = cache->plane_count,
                         .capacity = (size_t)there};
        if (there > 0) {
            result = checked(pfx_seq_append(cursor->seq, tokens + from, (size_t)there, &rows));
            if (result < 0) {
                drop_cursor(cursor);
                return result;
            }
            memcpy(cursor->tokens + from, tokens + from, (size_t)there * sizeof *tokens);
            cursor->count += (size_t)there;
        }
        if (from + (size_t)there < to) {
            fail(PFX_OK, "Sequence %d does not hold token %zu in every layer. If the model has sliding windows, make "
                 "the context with swa_full, or store after each llama_decode.", seq, from + (size_t)there);
            return (int64_t)(cursor->count - cursor->count % cache->page);
        }
    }
    result = count % cache->page == 0 ? 0 : checked(pfx_seq_store_tail(cursor->seq));
    return result < 0 ? result : (int64_t)count;
}

/* ------------------------------------------------------------------------------------------- The context's form --- */

/* What `learn` finds, as words. The store remembers it, because decoding a token only to see it takes longer than
 * loading a prompt. */
static size_t write_form(const struct pfx_llama *cache, uint32_t *words) {
    size_t count = 0;
    words[count++] = cache->group_count;
    words[count++] = cache->plane_count;
    for (uint32_t g = 0; g < cache->group_count; g++) {
        const struct group *group = cache->groups + g;
        const uint32_t of_group[] = {group->first, group->layers, group->has_values, group->transposed, group->streams};
        memcpy(words + count, of_group, sizeof of_group);
        count += sizeof of_group / sizeof *of_group;
    }
    for (uint32_t p = 0; p < cache->plane_count && count + 3 <= FORM_BYTES / sizeof *words; p++) {
        words[count++] = (uint32_t)cache->planes[p].type;
        words[count++] = cache->planes[p].row;
        words[count++] = cache->planes[p].element;
    }
    return count;
}

static void read_form(struct pfx_llama *cache, const uint32_t *words) {
    cache->group_count = *words++;
    cache->plane_count = *words++;
    /* What was stored may be anything. A form that would not fit its block is none. */
    if (2 + 5 * (uint64_t)cache->group_count + 3 * (uint64_t)cache->plane_count > FORM_BYTES / sizeof *words) {
        cache->group_count = 0;
        return;
    }
    for (uint32_t g = 0; g < cache->group_count && g < MAX_GROUPS; g++, words += 5)
        cache->groups[g] = (struct group){.first = words[0], .layers = words[1], .has_values = words[2],
                                          .transposed = words[3], .streams = words[4],
                                          .positions = cache->groups[g].positions, .room = cache->groups[g].room};
    for (uint32_t p = 0; p < cache->plane_count && p < MAX_PLANES; p++, words += 3)
        cache->planes[p] = (struct plane){.type = (int32_t)words[0], .row = words[1], .element = words[2]};
}

/* Whether the numbers of a form fit each other, so that a blob can be made by it. */
static int is_sound(const struct pfx_llama *cache) {
    uint32_t planes = 0;
    if (cache->group_count == 0 || cache->group_count > MAX_GROUPS || cache->plane_count > MAX_PLANES) return 0;
    for (uint32_t g = 0; g < cache->group_count; g++) {
        const struct group *group = cache->groups + g;
        if (group->first != planes || group->layers > MAX_PLANES || group->has_values > 1 || group->streams > 4096)
            return 0;
        planes += group->layers * (group->has_values + 1);
    }
    for (uint32_t p = 0; p < cache->plane_count; p++)
        if (cache->planes[p].row > 1 << 24 || cache->planes[p].element > 4) return 0;
    return planes == cache->plane_count && planes > 0;
}

static int make_slots(struct pfx_llama *cache) {
    for (int i = 0; i < SLOTS; i++) {
        struct piece *piece = cache->slots + i;
        free(piece->places);
        free(piece->addresses);
        piece->places = calloc(cache->plane_count, sizeof *piece->places);
        piece->addresses = calloc(cache->plane_count, sizeof *piece->addresses);
        if (piece->places == NULL || piece->addresses == NULL) return fail(PFX_OUT_OF_MEMORY, "No memory.");
    }
    cache->token_bytes = 0;
    for (uint32_t p = 0; p < cache->plane_count; p++) cache->token_bytes += cache->planes[p].row;
    return PFX_OK;
}

/* Whether the context takes a token of this form, of zeros, which goes again at once. libllama compares all numbers. */
static int is_accepted(struct pfx_llama *cache, llama_seq_id seq) {
    struct piece *piece = cache->slots;
    piece->from = 0;
    piece->to = 1;
    piece->with_windows = 1;
    if (frame(cache, piece) != PFX_OK) return 0;
    for (uint32_t p = 0; p < cache->plane_count; p++) memset(piece->places[p], 0, cache->planes[p].row);
    int is_taken = llama_state_seq_set_data(cache->ctx, piece->blob, piece->size, seq) == piece->size;
    empty(cache, seq);
    return is_taken;
}

/* Where the store keeps the form of a context: a block, whose key names what decides about the form. */
struct form_place {
    pfx_blocks *blocks;
    char text[256];
    pfx_key key;
};

static int open_place(struct form_place *place, pfx_store *store, const uint8_t weights[32],
                      const struct llama_context_params *set, uint32_t sequences) {
    pfx_identity identity = {.size = sizeof identity, .positions = "any", .engine = "llama.cpp, the form of its state",
                             .engine_format = LLAMA_STATE_SEQ_VERSION};
    memcpy(identity.weights, weights, sizeof identity.weights);
    memcpy(identity.tokenizer, weights, sizeof identity.tokenizer);
    snprintf(place->text, sizeof place->text, "pfx_llama.c: k=%d v=%d flash=%d sequences=%u unified=%d",
             (int)set->type_k, (int)set->type_v, (int)set->flash_attn_type, sequences, set->kv_unified);
    place->key = (pfx_key){place->text, strlen(place->text)};
    return (int)checked(pfx_blocks_open(store, &identity, PFX_BYTES, &place->blocks));
}

/* Reads the remembered form into the cache. Returns 0 when there is none, or the context does not take it. */
static int recall(struct pfx_llama *cache, struct form_place *place, llama_seq_id seq) {
    uint32_t *words = calloc(1, FORM_BYTES);
    uint8_t is_there = 0;
    pfx_span span = {words, FORM_BYTES};
    if (words != NULL && pfx_blocks_get(place->blocks, &place->key, &span, 1, 1, &is_there) > 0)
        read_form(cache, words);
    free(words);
    return is_there && is_sound(cache) && make_slots(cache) == PFX_OK && is_accepted(cache, seq);
}

/* Remembers the form in the place of one that the context did not take. A failure costs the next process one token. */
static void remember(const struct pfx_llama *cache, struct form_place *place) {
    uint32_t *words = calloc(1, FORM_BYTES);
    uint8_t is_taken;
    pfx_queue *queue = NULL;
    pfx_span span = {words, FORM_BYTES};
    if (words != NULL && pfx_queue_open(place->blocks, &queue) == PFX_OK &&
        write_form(cache, words) * sizeof *words < FORM_BYTES) {
        if (pfx_blocks_leading(place->blocks, &place->key, 1) > 0) pfx_blocks_remove(place->blocks, &place->key, 1);
        if (pfx_submit_put(queue, &place->key, &span, 1, 1, &is_taken) > 0) pfx_queue_wait(queue, 0);
    }
    if (queue != NULL) pfx_queue_close(queue);
    free(words);
}

/* A sequence that holds nothing; -1: there is none. */
static llama_seq_id empty_sequence(const struct pfx_llama *cache) {
    llama_seq_id seq = (llama_seq_id)cache->cursor_count - 1;
    while (seq >= 0 && llama_memory_seq_pos_max(cache->memory, seq) >= 0) seq--;
    return seq;
}

/* Decodes one token in an empty sequence, looks at what the context writes of it, and takes it away again. */
static int probe(struct pfx_llama *cache, llama_seq_id seq) {
    const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(cache->ctx));
    struct llama_batch batch = llama_batch_init(1, 0, 1);
    batch.n_tokens = 1;
    batch.token[0] = llama_vocab_bos(vocab) >= 0 ? llama_vocab_bos(vocab) : 0;
    batch.pos[0] = 0;
    batch.n_seq_id[0] = 1;
    batch.seq_id[0][0] = seq;
    batch.logits[0] = 1;
    int decoded = llama_decode(cache->ctx, batch);
    llama_batch_free(batch);
    if (decoded != 0) return fail(PFX_SYSTEM, "llama_decode of one token failed with %d.", decoded);
    size_t size;
    int result = fetch(cache, seq, &size);
    empty(cache, seq);
    if (result == PFX_OK && !learn(cache, size, 1) && !learn(cache, size, 0))
        result = fail(PFX_INVALID_LAYOUT, "The memory of this model has a form that pfx_llama.c does not know. Run it "
                      "without a store.");
    return result;
}

/* Learns the form of the context: as it is remembered, or from a token. */
static int find_form(struct pfx_llama *cache, pfx_store *store, const struct llama_context_params *set,
                     const uint8_t weights[32]) {
    llama_seq_id seq = empty_sequence(cache);
    if (seq < 0)
        return fail(PFX_INVALID_ARGUMENT, "Open the pages of a context before it is used: it has no empty sequence.");
    struct form_place place = {0};
    int result = open_place(&place, store, weights, set, cache->cursor_count);
    if (result == PFX_OK && !recall(cache, &place, seq)) {
        result = probe(cache, seq);
        if (result == PFX_OK) result = make_slots(cache);
        if (result == PFX_OK) remember(cache, &place);
    }
    pfx_blocks_close(place.blocks);
    return result;
}

/* ------------------------------------------------------------------------------------------------------ Opening --- */

/* The store's number for one of ggml's types. */
static uint32_t element_of(int32_t type) {
    switch (type) {
        case GGML_TYPE_F32: return PFX_FP32;
        case GGML_TYPE_F16: return PFX_FP16;
        case GGML_TYPE_BF16: return PFX_BF16;
        case GGML_TYPE_Q8_0: return PFX_Q8_0;
        case GGML_TYPE_Q4_0: return PFX_Q4_0;
        case GGML_TYPE_Q4_1: return PFX_Q4_1;
        case GGML_TYPE_Q5_0: return PFX_Q5_0;
        case GGML_TYPE_Q5_1: return PFX_Q5_1;
        case GGML_TYPE_IQ4_NL: return PFX_IQ4_NL;
        default: return PFX_BYTES;
    }
}

/* Refuses what cannot work, by its name. */
static int refuse(const struct llama_model *model, const pfx_llama_options *options) {
    const char *name = NULL;
    int rope = llama_model_rope_type(model);
    if (llama_model_is_recurrent(model))
        name = "a recurrent state, which cannot be cut";
    else if (llama_model_is_hybrid(model))
        name = "a recurrent state beside its attention, which cannot be cut";
    else if (llama_model_has_encoder(model))
        name = "an encoder, whose output is not in the sequence";
    else if (llama_model_is_diffusion(model))
        name = "attention to later tokens";
    else if (rope == LLAMA_ROPE_TYPE_MROPE || rope == LLAMA_ROPE_TYPE_IMROPE || rope == LLAMA_ROPE_TYPE_VISION)
        name = "positions of several numbers (M-RoPE)";
    else if (options->context != NULL && options->context->attention_type == LLAMA_ATTENTION_TYPE_NON_CAUSAL)
        name = "attention to later tokens";
    if (name == NULL) return PFX_OK;
    return fail(PFX_INVALID_LAYOUT, "This model has %s. Run it without a store.", name);
}

/* Digest of a text: of a file in memory, because the library digests files. */
static int digest_text(const char *text, uint8_t digest[32]) {
    int file = memfd_create("pfx_llama", MFD_CLOEXEC);
    size_t length = strlen(text);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int result = PFX_OK;
    if (file < 0 || write(file, text, length) != (ssize_t)length)
        result = fail(PFX_SYSTEM, "A file in memory could not be written.");
    else
        result = (int)checked(pfx_file_digest(NULL, path, digest));
    if (file >= 0) close(file);
    return result;
}

/* Appends the digest of a file to a text of lines. */
static int add_file(pfx_store *store, const char *path, FILE *lines) {
    uint8_t digest[32];
    int result = (int)checked(pfx_file_digest(store, path, digest));
    for (int i = 0; result == PFX_OK && i < 32; i++) fprintf(lines, "%02x", digest[i]);
    return result;
}

/* Digests of the model and of what lies on it. One file is named by its own digest, which other tools show too. */
static int digest_model(pfx_store *store, const pfx_llama_options *options, uint8_t weights[32], uint8_t adapter[32]) {
    char *parts = NULL, *adapters = NULL;
    size_t parts_size, adapters_size;
    FILE *part_lines = open_memstream(&parts, &parts_size), *adapter_lines = open_memstream(&adapters, &adapters_size);
    int result = part_lines == NULL || adapter_lines == NULL ? PFX_OUT_OF_MEMORY : PFX_OK;
    for (size_t i = 0; result == PFX_OK && i < options->gguf_count && options->gguf_count > 1; i++) {
        result = add_file(store, options->gguf[i], part_lines);
        fputc('\n', part_lines);
    }
    for (size_t i = 0; result == PFX_OK && i < options->lora_count; i++) {
        result = add_file(store, options->loras[i].path, adapter_lines);
        fprintf(adapter_lines, " %.9g\n", (double)options->loras[i].scale);
    }
    if (options->changes != NULL && adapter_lines != NULL) fputs(options->changes, adapter_lines);
    if (part_lines != NULL) fclose(part_lines);
    if (adapter_lines != NULL) fclose(adapter_lines);
    if (result == PFX_OK)
        result = options->gguf_count > 1 ? digest_text(parts, weights)
                                         : (int)checked(pfx_file_digest(store, options->gguf[0], weights));
    if (result == PFX_OK && adapters_size > 0) result = digest_text(adapters, adapter);
    free(parts);
    free(adapters);
    return result;
}

/* The planes as the store wants them; the space of them. */
static int open_space(struct pfx_llama *cache, pfx_store *store, const pfx_llama_options *options,
                      const struct llama_context_params *set, const uint8_t weights[32], const uint8_t adapter[32]) {
    char positions[256], engine[64];
    snprintf(positions, sizeof positions, "rope base=%.9g scale=%.9g scaling=%d yarn=%.9g,%.9g,%.9g,%.9g,%u",
             (double)set->rope_freq_base, (double)set->rope_freq_scale, (int)set->rope_scaling_type,
             (double)set->yarn_ext_factor, (double)set->yarn_attn_factor, (double)set->yarn_beta_fast,
             (double)set->yarn_beta_slow, set->yarn_orig_ctx);
    snprintf(engine, sizeof engine, "llama.cpp, flash attention %s", cache->groups[0].transposed ? "off" : "on");
    pfx_identity identity = {.size = sizeof identity, .positions = positions, .engine = engine,
                             .engine_format = LLAMA_STATE_SEQ_VERSION, .salt = options->salt,
                             .salt_bytes = options->salt_bytes, .label = options->label};
    memcpy(identity.weights, weights, sizeof identity.weights);
    memcpy(identity.tokenizer, weights, sizeof identity.tokenizer);
    memcpy(identity.adapter, adapter, sizeof identity.adapter);
    pfx_plane *planes = calloc(cache->plane_count, sizeof *planes);
    if (planes == NULL) return fail(PFX_OUT_OF_MEMORY, "No memory for %u planes.", cache->plane_count);
    uint32_t layer = 0;
    for (uint32_t g = 0; g < cache->group_count; g++) {
        const struct group *group = cache->groups + g;
        uint32_t step = group->has_values ? 2 : 1;
        for (uint32_t i = 0; i < group->layers * step; i++) {
            const struct plane *plane = cache->planes + group->first + i;
            planes[group->first + i] = (pfx_plane){.layer = layer + i / step, .row_bytes = plane->row,
                                                   .element = element_of(plane->type), .window = group->window};
        }
        layer += group->layers;
    }
    pfx_layout layout = {.size = sizeof layout, .page_tokens = cache->page, .plane_count = cache->plane_count,
                         .plane_size = sizeof *planes, .planes = planes};
    int result = (int)checked(pfx_space_open(store, &identity, &layout, &cache->space));
    free(planes);
    return result;
}

/* What follows from the shape: how much moves at once. */
static int size_pieces(struct pfx_llama *cache, int32_t window) {
    for (uint32_t p = 0; p < cache->plane_count; p++) {
        if (cache->planes[p].element != 0 && cache->planes[p].element != 2 && cache->planes[p].element != 4)
            return fail(PFX_INVALID_LAYOUT, "V has numbers of %u bytes. Turn flash attention on, or run without a "
                        "store.", cache->planes[p].element);
    }
    cache->piece = (uint32_t)(PIECE_BYTES / (cache->token_bytes * cache->page)) * cache->page;
    if (cache->piece < cache->page) cache->piece = cache->page;
    if (cache->group_count == 1) return PFX_OK;
    if (window < 1) return fail(PFX_INVALID_LAYOUT, "This model has two kinds of layers, and none has a window.");
    if (cache->spare == 0 || cache->groups[0].streams != 1)
        return fail(PFX_INVALID_LAYOUT, "A model with sliding windows moves in ranges only: set `spare`, and make the "
                    "context with kv_unified.");
    cache->groups[1].window = (uint32_t)window;
    /* A blob leaves out what the sequence's last token does not see. Nothing of one page is out of sight. */
    cache->piece = cache->page;
    if (cache->page > (uint32_t)window)
        return fail(PFX_INVALID_ARGUMENT, "Pages of %u tokens pass the window of %d: set page_tokens.", cache->page,
                    window);
    return PFX_OK;
}

int pfx_llama_open(pfx_store *store, struct llama_context *ctx, const pfx_llama_options *options,
                   pfx_llama **result) {
    if (result == NULL) return fail(PFX_INVALID_ARGUMENT, "pfx_llama_open: `cache` is NULL.");
    *result = NULL;
    if (ctx == NULL || options == NULL || options->size != sizeof *options || options->gguf == NULL ||
        options->gguf_count == 0 || (options->loras == NULL && options->lora_count > 0) || options->spare < 0)
        return fail(PFX_INVALID_ARGUMENT, "pfx_llama_open: a context, and options with their size and gguf files");
    int code = refuse(llama_get_model(ctx), options);
    if (code != PFX_OK) return code;
    struct pfx_llama *cache = calloc(1, sizeof *cache);
    if (cache == NULL) return fail(PFX_OUT_OF_MEMORY, "No memory.");
    cache->ctx = ctx;
    cache->memory = llama_get_memory(ctx);
    cache->spare = options->spare;
    cache->page = options->page_tokens == 0 ? PAGE_TOKENS : options->page_tokens;
    cache->has_all_cells = options->context == NULL || options->context->swa_full;
    cache->cursor_count = llama_n_seq_max(ctx);
    cache->planes = calloc(MAX_PLANES, sizeof *cache->planes);
    cache->addresses = calloc(MAX_PLANES, sizeof *cache->addresses);
    cache->cursors = calloc(cache->cursor_count, sizeof *cache->cursors);
    if (cache->planes == NULL || cache->addresses == NULL || cache->cursors == NULL)
        code = fail(PFX_OUT_OF_MEMORY, "No memory.");
    else if (cache->memory == NULL)
        code = fail(PFX_INVALID_LAYOUT, "This model keeps nothing from token to token. Run it without a store.");
    struct llama_context_params own = llama_context_default_params();
    const struct llama_context_params *set = options->context != NULL ? options->context : &own;
    uint8_t weights[32] = {0}, adapter[32] = {0};
    if (code == PFX_OK) code = digest_model(store, options, weights, adapter);
    if (code == PFX_OK) code = find_form(cache, store, set, weights);
    if (code == PFX_OK) code = size_pieces(cache, llama_model_n_swa(llama_get_model(ctx)));
    if (code == PFX_OK) code = open_space(cache, store, options, set, weights, adapter);
    if (code != PFX_OK) {
        pfx_llama_close(cache);
        return code;
    }
    /* Ranges of one of several streams end the process in llama.cpp. */
    for (uint32_t g = 0; g < cache->group_count; g++)
        if (cache->groups[g].streams != 1) cache->spare = 0;
    *result = cache;
    return PFX_OK;
}

void pfx_llama_close(pfx_llama *cache) {
    if (cache == NULL) return;
    for (uint32_t seq = 0; seq < cache->cursor_count && cache->cursors != NULL; seq++) {
        if (cache->cursors[seq].seq != NULL) drop_cursor(cache->cursors + seq);
        free(cache->cursors[seq].tokens);
    }
    pfx_space_close(cache->space);
    for (uint32_t g = 0; g < MAX_GROUPS; g++) free(cache->groups[g].positions);
    for (int i = 0; i < SLOTS; i++) {
        free(cache->slots[i].blob);
        free(cache->slots[i].scratch);
        free(cache->slots[i].places);
        free(cache->slots[i].addresses);
    }
    free(cache->planes);
    free(cache->addresses);
    free(cache->cursors);
    free(cache->blob);
    free(cache->scratch);
    free(cache->where);
    free(cache);
}

pfx_space *pfx_llama_space(pfx_llama *cache) { return cache == NULL ? NULL : cache->space; }

/* What people call the fields in which two spaces differ. */
static const struct { const char *field, *words; } field_words[] = {
    {"weights", "the model's file"}, {"tokenizer", "its tokenizer"}, {"layout", "the types of K and V"},
    {"page size", "the tokens of a page"}, {"engine", "the flash-attention setting"},
    {"adapter", "the adapters (LoRA) or their scales"}, {"salt", "the salt or the sealing key"},
    {"positions", "the RoPE settings"},
    {"engine format", "the version of llama.cpp's state"},
};

/* Appends to a text of `capacity` bytes what has room. */
static void append(char *text, size_t capacity, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    if (length + 1 < capacity) vsnprintf(text + length, capacity - length, format, arguments);
    va_end(arguments);
}

int pfx_llama_explain(pfx_llama *cache, const llama_token *tokens, size_t count, char *text, size_t capacity) {
    if (cache == NULL || text == NULL || capacity == 0)
        return fail(PFX_INVALID_ARGUMENT, "pfx_llama_explain: `cache` and room for a text");
    text[0] = 0;
    pfx_match *match;
    int64_t found = checked(pfx_match_prefix(cache->space, tokens, count, &match));
    if (found < 0) return (int)found;
    if (match != NULL) pfx_match_end(match);
    append(text, capacity, "%lld of %zu tokens are stored.", (long long)found, count);
    if (found > 0) return PFX_OK;
    char json[1 << 14];
    int64_t length = checked(pfx_explain(cache->space, tokens, count, json, sizeof json));
    if (length < 0) return (int)length;
    /* The first of the other spaces differs in the fewest fields. */
    char *field = strstr(json, "\"differs_in\":["), *end = field == NULL ? NULL : strchr(field, ']');
    if (end == NULL) return PFX_OK;
    *end = 0;
    append(text, capacity, " What is stored differs in");
    const char *comma = " ";
    char *rest;
    for (field = strtok_r(field + strlen("\"differs_in\":["), ",\"", &rest); field != NULL;
         field = strtok_r(NULL, ",\"", &rest)) {
        const char *words = field;
        for (size_t f = 0; f < sizeof field_words / sizeof *field_words; f++)
            if (strcmp(field, field_words[f].field) == 0) words = field_words[f].words;
        append(text, capacity, "%s%s (%s)", comma, words, field);
        comma = ", ";
    }
    append(text, capacity, ".");
    return PFX_OK;
}
