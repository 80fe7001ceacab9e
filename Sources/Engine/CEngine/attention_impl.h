// Attention of a block of queries over the pages of one sequence, for one KV head; included by kernels_impl.h.
//
// Online softmax, page after page from position 0. A query that cannot see a page takes an exact no-op there: factor 1,
// sum plus 0, products with 0. So its result depends neither on its neighbours in the block nor on what follows it.

// Rows (token, head of the group) that go through a page together: their scores stay in the first-level cache.
#define ROW_BLOCK 24
// Vectors of scores a row has in the largest page, of 256 tokens.
#define MOST_VECTORS 16

typedef struct {
    size_t rows, depth, keys; // rows of queries; head_dim and page_size rounded up to 16
    float *queries, *out, *top, *total, *transposed, *values, *scores;
} workspace;

#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// Sixteen vectors to their columns: four perfect shuffles of all 256 elements.
INLINE void transpose(v16 rows[CENGINE_LANES]) {
    UNROLL for (int round = 0; round < 4; round++) {
        v16 next[CENGINE_LANES];
        UNROLL for (int i = 0; i < 8; i++) {
            next[2 * i] = INTERLEAVE_LOW(rows[i], rows[i + 8]);
            next[2 * i + 1] = INTERLEAVE_HIGH(rows[i], rows[i + 8]);
        }
        UNROLL for (int i = 0; i < CENGINE_LANES; i++) rows[i] = next[i];
    }
}

// The page's first `count` keys to columns of `transposed`, its values to rows of `values`.
INLINE void page_in(const cengine_attention *b, const workspace *w, const uint8_t *base, size_t count,
                    cengine_element element) {
    const size_t width = element == CENGINE_FP32 ? 4 : 2, stride = b->kv_heads * b->head_dim * width;
    const uint8_t *keys = base + b->key_offset + b->kv_head * b->head_dim * width;
    const uint8_t *values = base + b->value_offset + b->kv_head * b->head_dim * width;
    const size_t whole = b->head_dim / CENGINE_LANES * CENGINE_LANES;
    for (size_t first = 0; first < count; first += CENGINE_LANES) {
        for (size_t d = 0; d < whole; d += CENGINE_LANES) {
            v16 block[CENGINE_LANES];
            UNROLL for (size_t t = 0; t < CENGINE_LANES; t++)
                // The last group repeats its last key: columns past `count` are never used.
                block[t] = widen_lanes(keys + (first + t < count ? first + t : count - 1) * stride, element, d);
            transpose(block);
            UNROLL for (size_t i = 0; i < CENGINE_LANES; i++)
                store(w->transposed + (d + i) * w->keys + first, block[i]);
        }
    }
    for (size_t t = 0; t < count; t++) {
        for (size_t d = 0; d < whole; d += CENGINE_LANES)
            store(w->values + t * w->depth + d, widen_lanes(values + t * stride, element, d));
        for (size_t d = whole; d < b->head_dim; d++) {
            widen(keys + t * stride + d * width, element, w->transposed + d * w->keys + t, 1);
            widen(values + t * stride + d * width, element, w->values + t * w->depth + d, 1);
        }
    }
}

static void key_page(const cengine_attention *b, const workspace *w, size_t page, size_t count) {
    const uint8_t *base = (const uint8_t *)b->pages[page];
    if (b->element == CENGINE_BF16)
        page_in(b, w, base, count, CENGINE_BF16);
    else if (b->element == CENGINE_FP16)
        page_in(b, w, base, count, CENGINE_FP16);
    else
        page_in(b, w, base, count, CENGINE_FP32);
}

// Turns a row of `vectors` times 16 scores into weights, and rescales what the row has summed up so far. The row sees
// the first `visible` keys of the page; in the first page it sees at least one.
INLINE void soften(const workspace *w, const size_t vectors, size_t row, float *scores, size_t visible) {
    const i16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const v16 nothing = splat(-INFINITY);
    v16 weights[MOST_VECTORS];
    v16 most = nothing;
    for (size_t i = 0; i < vectors; i++) weights[i] = load(scores + i * CENGINE_LANES);
    if (visible < vectors * CENGINE_LANES)
        for (size_t i = 0; i < vectors; i++) {
            i16 left = splat_int((int32_t)visible - (int32_t)(i * CENGINE_LANES));
            weights[i] = select((i16)(lane < left), weights[i], nothing);
        }
    for (size_t i = 0; i < vectors; i++) most = greater(weights[i], most);
    float top = largest(most);
    if (!(top > w->top[row])) top = w->top[row];
    v16 total = splat(0.0f);
    for (size_t i = 0; i < vectors; i++) {
        weights[i] = power16(weights[i] - splat(top));
        store(scores + i * CENGINE_LANES, weights[i]);
        total += weights[i];
    }
    // Most pages hold no new largest score: the factor is 1, and multiplying by 1 changes nothing.
    if (top == w->top[row]) {
        w->total[row] += sum(total);
        return;
    }
    const v16 factor = power16(splat(w->top[row] - top));
    w->total[row] = w->total[row] * factor[0] + sum(total);
    w->top[row] = top;
    float *out = w->out + row * w->depth;
    for (size_t d = 0; d < w->depth; d += CENGINE_LANES) store(out + d, load(out + d) * factor);
}

// `rows` rows from row `first` on, whose scores against the page that begins at `first_key` are in `w->scores`.
INLINE void soften_rows(const cengine_attention *b, const workspace *w, const size_t vectors, size_t first, size_t rows,
                        size_t first_key) {
    size_t position = b->position + first / b->group, head = first % b->group;
    for (size_t r = 0; r < rows; r++) {
        const size_t seen = position + 1 > first_key ? position + 1 - first_key : 0;
        soften(w, vectors, first + r, w->scores + r * w->keys, seen < b->page_size ? seen : b->page_size);
        if (++head == b->group) {
            head = 0;
            position++;
        }
    }
}

static void one_page(const cengine_attention *b, const workspace *w, size_t page) {
    const size_t first_key = page * b->page_size, last = b->position + b->count;
    const size_t present = last - first_key < b->page_size ? last - first_key : b->page_size;
    key_page(b, w, page, present);
    for (size_t row = 0; row < w->rows; row += ROW_BLOCK) {
        const size_t rows = w->rows - row < ROW_BLOCK ? w->rows - row : ROW_BLOCK;
        const size_t last_position = b->position + (row + rows - 1) / b->group;
        if (last_position < first_key) continue;
        product(w->queries + row * w->depth, w->depth, rows, w->transposed, w->keys, b->head_dim, w->scores, w->keys,
                w->keys, 0);
        // The usual page has a build of its own, with its scores in registers.
        if (w->keys == 4 * CENGINE_LANES)
            soften_rows(b, w, 4, row, rows, first_key);
        else
            soften_rows(b, w, w->keys / CENGINE_LANES, row, rows, first_key);
        const size_t visible = last_position + 1 - first_key < present ? last_position + 1 - first_key : present;
        product(w->scores, w->keys, rows, w->values, w->depth, visible, w->out + row * w->depth, w->depth, w->depth, 1);
    }
}

static void attention(const cengine_attention *b) {
    workspace w = {.rows = b->count * b->group,
                   .depth = (b->head_dim + CENGINE_LANES - 1) / CENGINE_LANES * CENGINE_LANES,
                   .keys = (b->page_size + CENGINE_LANES - 1) / CENGINE_LANES * CENGINE_LANES};
    w.queries = b->scratch;
    w.out = w.queries + w.rows * w.depth;
    w.transposed = w.out + w.rows * w.depth;
    w.values = w.transposed + w.depth * w.keys;
    w.scores = w.values + w.keys * w.depth;
    w.top = w.scores + ROW_BLOCK * w.keys;
    w.total = w.top + w.rows;
    memset(w.queries, 0, w.rows * w.depth * 2 * sizeof(float));
    memset(w.transposed, 0, 2 * w.depth * w.keys * sizeof(float));
    // Scores in units of ln 2, so that weights are powers of 2.
    const float scale = b->scale * 1.44269504088896341f;
    for (size_t row = 0; row < w.rows; row++) {
        const float *q = b->queries + row / b->group * b->query_stride + row % b->group * b->head_dim;
        for (size_t d = 0; d < b->head_dim; d++) w.queries[row * w.depth + d] = q[d] * scale;
        w.top[row] = -INFINITY;
        w.total[row] = 0.0f;
    }
    for (size_t page = 0; page * b->page_size < b->position + b->count; page++) one_page(b, &w, page);
    for (size_t row = 0; row < w.rows; row++) {
        float *out = b->out + row / b->group * b->out_stride + row % b->group * b->head_dim;
        const float *from = w.out + row * w.depth;
        // Adding 0 turns -0 into +0: the only trace that a page out of sight could leave.
        for (size_t d = 0; d < b->head_dim; d++) out[d] = from[d] / w.total[row] + 0.0f;
    }
}
