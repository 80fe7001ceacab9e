/* What the tests of the C library share: checks that end the program with the place and the library's own words, and a
 * small model whose rows can be computed again. */
#ifndef EXPECT_H
#define EXPECT_H

#include <prefixstore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void expect_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: expected %s; last error: %s\n", file, line, what, pfx_last_error());
    exit(1);
}

#define EXPECT(condition) ((condition) ? (void)0 : expect_failed(__FILE__, __LINE__, #condition))

/* The call answers exactly this. For a code, its text must be there too. */
#define EXPECT_IS(call, wanted) expect_is((int64_t)(call), (int64_t)(wanted), __FILE__, __LINE__, #call " == " #wanted)

static inline void expect_is(int64_t got, int64_t wanted, const char *file, int line, const char *what) {
    if (got != wanted) {
        fprintf(stderr, "it was %lld (%s)\n", (long long)got, got < 0 ? pfx_error_name((int)got) : "no error");
        expect_failed(file, line, what);
    }
    if (wanted < 0 && pfx_last_error()[0] == 0) expect_failed(file, line, "a text for the error");
}

enum { LAYERS = 3, PLANES = 2 * LAYERS, PAGE = 16 };

/* Keys of 64 bytes as bf16, values of one, two and three groups of q8_0; the last layer has a window. */
static inline uint32_t row_bytes(int plane) { return plane % 2 == 0 ? 64 : 34 * (uint32_t)(plane / 2 + 1); }

static inline uint8_t row_byte(int32_t token, int place, int plane, uint32_t byte) {
    return (uint8_t)(token * 131 + place * 31 + plane * 7 + (int)byte * 3);
}

static inline pfx_identity model(const char *name) {
    pfx_identity identity;
    memset(&identity, 0, sizeof identity);
    identity.size = sizeof identity;
    memset(identity.weights, 1 + name[0], sizeof identity.weights);
    memset(identity.tokenizer, 2, sizeof identity.tokenizer);
    identity.positions = "none";
    identity.engine = "test";
    identity.label = name;
    return identity;
}

static inline int open_space(pfx_store *store, const char *name, pfx_space **space) {
    pfx_plane planes[PLANES];
    for (int plane = 0; plane < PLANES; plane++) {
        planes[plane].layer = (uint32_t)plane / 2;
        planes[plane].row_bytes = row_bytes(plane);
        planes[plane].element = plane % 2 == 0 ? PFX_BF16 : PFX_Q8_0;
        planes[plane].window = plane / 2 == LAYERS - 1 ? 32 : 0;
    }
    pfx_layout layout;
    memset(&layout, 0, sizeof layout);
    layout.size = sizeof layout;
    layout.page_tokens = PAGE;
    layout.plane_count = PLANES;
    layout.plane_size = sizeof planes[0];
    layout.planes = planes;
    pfx_identity identity = model(name);
    return pfx_space_open(store, &identity, &layout, space);
}

/* The cells of an engine: a tensor per plane, with 6 bytes between rows, all of them 0xA5 at first. */
struct cells {
    void *planes[PLANES];
    size_t strides[PLANES];
    size_t capacity;
};

static inline struct cells cells_make(size_t capacity) {
    struct cells cells;
    cells.capacity = capacity;
    for (int plane = 0; plane < PLANES; plane++) {
        cells.strides[plane] = row_bytes(plane) + 6;
        cells.planes[plane] = malloc(capacity * cells.strides[plane]);
        EXPECT(cells.planes[plane] != NULL);
        memset(cells.planes[plane], 0xA5, capacity * cells.strides[plane]);
    }
    return cells;
}

static inline void cells_free(struct cells *cells) {
    for (int plane = 0; plane < PLANES; plane++) free(cells->planes[plane]);
}

static inline uint8_t *cell(const struct cells *cells, int plane, size_t row) {
    return (uint8_t *)cells->planes[plane] + row * cells->strides[plane];
}

/* Fills the row of the token at place `place`. */
static inline void cells_fill(const struct cells *cells, size_t row, int32_t token, int place) {
    for (int plane = 0; plane < PLANES; plane++)
        for (uint32_t byte = 0; byte < row_bytes(plane); byte++)
            cell(cells, plane, row)[byte] = row_byte(token, place, plane, byte);
}

/* Whether a row is that of the token, and the gap behind it untouched. */
static inline int cells_hold(const struct cells *cells, int plane, size_t row, int32_t token, int place) {
    for (uint32_t byte = 0; byte < row_bytes(plane); byte++)
        if (cell(cells, plane, row)[byte] != row_byte(token, place, plane, byte)) return 0;
    for (uint32_t byte = 0; byte < 6; byte++)
        if (cell(cells, plane, row)[row_bytes(plane) + byte] != 0xA5) return 0;
    return 1;
}

static inline int cells_untouched(const struct cells *cells, int plane, size_t row) {
    for (size_t byte = 0; byte < cells->strides[plane]; byte++)
        if (cell(cells, plane, row)[byte] != 0xA5) return 0;
    return 1;
}

static inline pfx_rows cells_rows(struct cells *cells) {
    pfx_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.size = sizeof rows;
    rows.planes = cells->planes;
    rows.strides = cells->strides;
    rows.plane_count = PLANES;
    rows.capacity = cells->capacity;
    return rows;
}

static inline pfx_store *open_store(const char *folder) {
    pfx_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.quota = 64 << 20;
    pfx_store *store = NULL;
    EXPECT_IS(pfx_open(folder, &options, &store), PFX_OK);
    return store;
}

#endif
