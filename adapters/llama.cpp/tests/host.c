/* A program on llama.cpp with a store, as the tests run it: one process per run.
 *
 *     host live MODEL STORE LOGITS [name=value ...]      computes a prompt, stores it, cuts it, computes the rest again
 *     host restored MODEL STORE LOGITS [name=value ...]  restores it and computes the rest
 *     host session MODEL STORE LOGITS [name=value ...]   loads llama.cpp's own session file and computes the rest
 *     host puts MODEL STORE - [name=value ...]           stores it, and saves its session file, `turns` times in turns
 *     host stream MODEL STORE - [name=value ...]         decodes with and without storing a page, `turns` times
 *     host explain MODEL STORE - [name=value ...]        says why a prompt is a miss
 *
 * It writes the logits of the last token to LOGITS and one line of name=value to standard output. Names:
 *   n=1200 cut=1000      tokens of the prompt, and where the rest begins
 *   seed=1               of the prompt's tokens;  other=N takes the first N from seed 1 and the rest from `seed`
 *   k=f16 v=f16 flash=1  types of K and V, flash attention;  claimed_k=  what the adapter is told of K instead
 *   seqs=2 spare=1 seq=0 unified=1 swa_full=1 batch=128 rope=0
 *   grow=0               store after each batch;  shuffled=0  let the cells lie out of order
 *   session=FILE         write the first `cut` tokens, or read them;  rows=FILE  write the state of each token alone
 *   have=0               tokens that are in the sequence before the restore
 *   salt= lora= changes= context=2048 threads=1 beside=0 (tokens in another sequence) codec=0 (PFX_CODEC_) */
#define _GNU_SOURCE
#include "../pfx_llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_WORD = 259, WORDS = 253 };

static char **settings;
static int setting_count;

static const char *setting(const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 0; i < setting_count; i++)
        if (strncmp(settings[i], name, length) == 0 && settings[i][length] == '=') return settings[i] + length + 1;
    return otherwise;
}

static long number(const char *name, long otherwise) {
    const char *text = setting(name, NULL);
    return text == NULL ? otherwise : strtol(text, NULL, 10);
}

static int64_t check(int64_t result, const char *what) {
    if (result < 0) {
        printf("refused=%s\n", pfx_error_name((int)result));
        fprintf(stderr, "%s: %s\n", what, *pfx_llama_last_error() ? pfx_llama_last_error() : pfx_last_error());
        exit(3);
    }
    return result;
}

static enum ggml_type type_named(const char *name) {
    for (int type = 0; type < GGML_TYPE_COUNT; type++)
        if (ggml_type_name(type) != NULL && strcmp(ggml_type_name(type), name) == 0) return (enum ggml_type)type;
    fprintf(stderr, "no type %s\n", name);
    exit(2);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Processor time of all threads so far, in ms. */
static double used(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void make_prompt(llama_token *tokens, long count) {
    long common = number("other", 0);
    for (long i = 0; i < count; i++) {
        unsigned long seed = i < common ? 1 : (unsigned long)number("seed", 1);
        unsigned long mixed = seed * 7919 + (unsigned long)i * 104729 + (unsigned long)(i * i);
        tokens[i] = FIRST_WORD + (llama_token)(mixed % WORDS);
    }
    tokens[0] = 1;
}

struct host {
    struct llama_context *ctx;
    pfx_llama *cache;
    long batch;
};

/* Computes tokens `from` to `to` of a sequence. */
static void decode(struct host *host, const llama_token *tokens, long from, long to, llama_seq_id seq, int grow) {
    for (long first = from; first < to; first += host->batch) {
        long count = to - first < host->batch ? to - first : host->batch;
        struct llama_batch batch = llama_batch_init((int32_t)count, 0, 1);
        batch.n_tokens = (int32_t)count;
        for (long i = 0; i < count; i++) {
            batch.token[i] = tokens[first + i];
            batch.pos[i] = (llama_pos)(first + i);
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = seq;
            batch.logits[i] = first + i == to - 1;
        }
        if (llama_decode(host->ctx, batch) != 0) {
            fprintf(stderr, "llama_decode failed\n");
            exit(1);
        }
        llama_batch_free(batch);
        if (grow) check(pfx_llama_store(host->cache, seq, tokens, (size_t)(first + count) / 64 * 64), "store");
    }
}

/* Makes the cells of `seq` lie out of order: another sequence frees cells before its first ones. */
static void decode_shuffled(struct host *host, const llama_token *tokens, long count, llama_seq_id seq) {
    llama_seq_id other = seq == 0 ? 1 : 0;
    llama_memory_t memory = llama_get_memory(host->ctx);
    decode(host, tokens, 0, count / 2, other, 0);
    decode(host, tokens, 0, count / 2 - 10, seq, 0);
    llama_memory_seq_rm(memory, other, -1, -1);
    decode(host, tokens, count / 2 - 10, count, seq, 0);
}

static void write_logits(struct host *host, const struct llama_model *model, const char *path) {
    FILE *file = fopen(path, "wb");
    size_t count = (size_t)llama_vocab_n_tokens(llama_model_get_vocab(model));
    if (file == NULL || fwrite(llama_get_logits_ith(host->ctx, -1), sizeof(float), count, file) != count) exit(1);
    fclose(file);
}

/* Writes the engine's own state of every token, one after the other: what lies at a position, wherever its cell is. */
static void write_rows(struct host *host, long count, llama_seq_id seq) {
    const char *path = setting("rows", NULL);
    if (path == NULL) return;
    FILE *file = fopen(path, "wb");
    llama_memory_t memory = llama_get_memory(host->ctx);
    llama_seq_id one = (llama_seq_id)number("spare", 1);
    if (one == 0) one = (llama_seq_id)llama_n_seq_max(host->ctx) - 1;
    static uint8_t state[1 << 20];
    for (llama_pos position = 0; position < count; position++) {
        llama_memory_seq_cp(memory, seq, one, position, position + 1);
        size_t size = llama_state_seq_get_data(host->ctx, state, sizeof state, one);
        llama_memory_seq_rm(memory, one, -1, -1);
        if (fwrite(state, 1, size, file) != size) exit(1);
    }
    fclose(file);
}

static void silent(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR && setting("log", NULL) != NULL) fputs(text, stderr);
}

static struct llama_context_params parameters(void) {
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)number("context", 2048);
    params.n_batch = params.n_ubatch = (uint32_t)number("batch", 128);
    params.n_seq_max = (uint32_t)number("seqs", 2);
    params.kv_unified = number("unified", 1) != 0;
    params.no_perf = false;
    params.swa_full = number("swa_full", 1) != 0;
    params.n_threads = params.n_threads_batch = (int32_t)number("threads", 1);
    params.type_k = type_named(setting("k", "f16"));
    params.type_v = type_named(setting("v", "f16"));
    params.rope_freq_base = (float)number("rope", 0);
    params.flash_attn_type = number("flash", 1) != 0 ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    return params;
}

/* Computes and stores the prompt, then computes its end once more: the engine's own hit on a live prefix. */
static void run_live(struct host *host, const llama_token *tokens, long n, long cut, llama_seq_id seq) {
    const char *session = setting("session", NULL);
    int grow = (int)number("grow", 0);
    if (number("shuffled", 0)) {
        decode_shuffled(host, tokens, n, seq);
    } else {
        decode(host, tokens, 0, cut, seq, grow);
        double begin = now();
        if (session != NULL) llama_state_seq_save_file(host->ctx, session, seq, tokens, (size_t)cut);
        printf("session_ms=%.1f ", now() - begin);
        if (number("store_at_cut", 0)) n = cut;
        decode(host, tokens, cut, n, seq, grow);
    }
    double begin = now();
    int64_t stored = check(pfx_llama_store(host->cache, seq, tokens, (size_t)n), "store");
    printf("store_ms=%.1f stored=%lld", now() - begin, (long long)stored);
    write_rows(host, cut, seq);
    llama_memory_seq_rm(llama_get_memory(host->ctx), seq, (llama_pos)cut, -1);
    if (!number("store_at_cut", 0)) decode(host, tokens, cut, n, seq, 0);
}

static void run_restored(struct host *host, const llama_token *tokens, long n, long cut, llama_seq_id seq) {
    decode(host, tokens, 0, number("have", 0), seq, 0);
    double begin = now();
    int64_t restored = check(pfx_llama_restore(host->cache, seq, tokens, (size_t)(cut + 1), (size_t)number("have", 0)),
                             "restore");
    printf("restore_ms=%.2f restored=%lld", now() - begin, (long long)restored);
    write_rows(host, restored, seq);
    decode(host, tokens, restored, n, seq, 0);
}

static void run_session(struct host *host, llama_token *tokens, long n, llama_seq_id seq) {
    size_t loaded = 0;
    double begin = now();
    llama_state_seq_load_file(host->ctx, setting("session", ""), seq, tokens, (size_t)n, &loaded);
    printf("session_ms=%.2f restored=%zu", now() - begin, loaded);
    make_prompt(tokens, n);
    decode(host, tokens, (long)loaded, n, seq, 0);
}

/* Times the engine's wait for the store and for its own session file, in turns. Every turn has a space of its own. */
static void run_puts(struct host *host, pfx_store *store, pfx_llama_options options, const llama_token *tokens,
                     long n) {
    decode(host, tokens, 0, n, 0, 0);
    for (long turn = 0; turn < number("turns", 5); turn++) {
        char name[32];
        snprintf(name, sizeof name, "turn %ld", turn);
        options.changes = name;
        pfx_llama *cache;
        check(pfx_llama_open(store, host->ctx, &options, &cache), "pfx_llama_open");
        double begin = now(), worked = used();
        check(pfx_llama_store(cache, 0, tokens, (size_t)n), "store");
        double stored = now();
        check(pfx_flush(store, 0), "flush");
        double durable = now();
        worked = used() - worked;
        llama_state_seq_save_file(host->ctx, setting("session", "session"), 0, tokens, (size_t)n);
        printf("put_ms=%.1f durable_ms=%.1f cpu_ms=%.1f session_ms=%.1f\n", stored - begin, durable - begin, worked,
               now() - durable);
        pfx_llama_close(cache);
    }
}

/* Times decoding token by token at the end of `n` tokens, with and without storing the page before as a stream does:
 * its encoding and writing go on beside the decoding. Both decode the same tokens at the same positions, one right
 * after the other, and take turns in being the first. They decode a quarter of a page, because the work for a page is
 * done by then, which `left_ms` shows: the wait for what is not. Every turn has another page to store, and has to find
 * the place of it, which a stream knows already. */
static void run_stream(struct host *host, pfx_store *store, llama_token *tokens, long n) {
    const long page = 64, last = n - page / 4, before = last - page;
    llama_memory_t memory = llama_get_memory(host->ctx);
    decode(host, tokens, 0, before, 0, 0);
    check(pfx_llama_store(host->cache, 0, tokens, (size_t)before), "store");
    for (long turn = 0; turn < number("turns", 5); turn++) {
        llama_memory_seq_rm(memory, 0, (llama_pos)before, -1);
        for (long i = before; i < last; i++) tokens[i] = FIRST_WORD + (llama_token)((i + turn * 31) % WORDS);
        host->batch = page;
        decode(host, tokens, before, last, 0, 0);
        host->batch = 1;
        check(pfx_flush(store, 0), "flush");
        for (long run = 0; run < 2; run++) {
            int is_stored = (turn + run) % 2 == 0;
            llama_memory_seq_rm(memory, 0, (llama_pos)last, -1);
            double begin = now();
            if (is_stored) check(pfx_llama_store(host->cache, 0, tokens, (size_t)last), "store");
            double stored = now();
            decode(host, tokens, last, n, 0, 0);
            double decoded = now();
            check(pfx_flush(store, 0), "flush");
            printf("is_stored=%d quarter_ms=%.3f store_ms=%.3f left_ms=%.3f\n", is_stored, decoded - begin,
                   stored - begin, now() - decoded);
            fflush(stdout);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 5) return fprintf(stderr, "usage: host live|restored|... MODEL STORE LOGITS [name=value ...]\n"), 2;
    settings = arguments + 5;
    setting_count = count - 5;
    long n = number("n", 1200), cut = number("cut", 1000);
    llama_seq_id seq = (llama_seq_id)number("seq", 0);
    llama_log_set(silent, NULL);
    struct llama_model *model = llama_model_load_from_file(arguments[2], llama_model_default_params());
    if (model == NULL) return fprintf(stderr, "no model\n"), 1;
    struct llama_context_params params = parameters();
    struct host host = {.ctx = llama_init_from_model(model, params), .batch = number("batch", 128)};
    if (host.ctx == NULL) return fprintf(stderr, "no context\n"), 1;
    long beside = number("beside", 0), room = n > beside ? n : beside + 1;
    llama_token *tokens = malloc(sizeof *tokens * (size_t)room);
    make_prompt(tokens, room);

    pfx_store *store;
    double begin = now();
    pfx_options store_options = {.size = sizeof store_options, .codec = (uint32_t)number("codec", PFX_CODEC_AUTO)};
    check(pfx_open(arguments[3], &store_options, &store), "open");
    printf("open_ms=%.2f ", now() - begin);
    const char *gguf[] = {arguments[2]};
    const char *salt = setting("salt", NULL);
    pfx_llama_lora lora = {.path = setting("lora", NULL), .scale = 0.5F};
    struct llama_context_params claimed = params;
    claimed.type_k = type_named(setting("claimed_k", setting("k", "f16")));
    pfx_llama_options options = {.size = sizeof options, .gguf = gguf, .gguf_count = 1, .context = &claimed,
                                 .loras = &lora, .lora_count = lora.path != NULL, .changes = setting("changes", NULL),
                                 .salt = salt, .salt_bytes = salt != NULL ? strlen(salt) : 0,
                                 .spare = (llama_seq_id)number("spare", 1), .label = "test"};
    begin = now();
    llama_perf_context_reset(host.ctx);
    check(pfx_llama_open(store, host.ctx, &options, &host.cache), "pfx_llama_open");
    struct llama_perf_context_data done = llama_perf_context(host.ctx);
    printf("llama_open_ms=%.2f decoded=%d ", now() - begin, done.t_eval_ms + done.t_p_eval_ms > 0);
    decode(&host, tokens + 1, 0, beside, seq == 0 ? 1 : 0, 0);
    if (strcmp(arguments[1], "live") == 0) run_live(&host, tokens, n, cut, seq);
    if (strcmp(arguments[1], "restored") == 0) run_restored(&host, tokens, n, cut, seq);
    if (strcmp(arguments[1], "puts") == 0) run_puts(&host, store, options, tokens, n);
    if (strcmp(arguments[1], "stream") == 0) run_stream(&host, store, tokens, n);
    if (strcmp(arguments[1], "session") == 0) run_session(&host, tokens, n, seq);
    if (strcmp(arguments[1], "explain") == 0) {
        static char text[1 << 16];
        check(pfx_explain(pfx_llama_space(host.cache), tokens, (size_t)n, text, sizeof text), "explain");
        printf("%s\n", text);
        check(pfx_llama_explain(host.cache, tokens, (size_t)n, text, sizeof text), "pfx_llama_explain");
        printf("%s\n", text);
    } else if (strcmp(arguments[1], "puts") != 0 && strcmp(arguments[1], "stream") != 0) {
        if (!number("store_at_cut", 0)) write_logits(&host, model, arguments[4]);
        printf(" why=%s\n", pfx_llama_last_error());
    }
    if (getenv("PFX_TEST_KILL") != NULL) { /* flushed, and not closed */
        check(pfx_flush(store, 0), "flush");
        fflush(stdout);
        abort();
    }
    pfx_llama_close(host.cache);
    check(pfx_close(store), "close");
    llama_free(host.ctx);
    llama_model_free(model);
    free(tokens);
    return 0;
}
