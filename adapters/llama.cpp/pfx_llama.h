/* PrefixStore for programs on llama.cpp: copy pfx_llama.h and pfx_llama.c into your program, and compile them against
 * your own llama.h and against prefixstore.h.
 *
 *     pfx_store *store;                                     // docs/c-api.md: folder, quota, codec
 *     pfx_open("kv", NULL, &store);
 *     const char *gguf[] = {"model.gguf"};
 *     pfx_llama_options options = {.size = sizeof options, .gguf = gguf, .gguf_count = 1, .context = &context_params,
 *                                  .spare = n_seq_max - 1};
 *     pfx_llama *cache;
 *     pfx_llama_open(store, ctx, &options, &cache);
 *
 *     int64_t have = pfx_llama_restore(cache, seq, tokens, n, 0);  // at most n - 1: decode from token `have` on
 *     ... llama_decode(tokens + have, n - have) ...
 *     pfx_llama_store(cache, seq, tokens, n);                      // what is new is on its way to the disk
 *
 * A restored sequence holds the bytes that the engine computed before, so that what is decoded behind them is what
 * would have been decoded behind the computed ones. If anything is in doubt - a damaged page, a full context, cells
 * that are not where they must be - the answer is fewer tokens, and the engine computes the rest.
 *
 * Which models: all whose memory is a plain attention cache, with or without sliding-window layers, with f32, f16,
 * bf16 and ggml's quantised types for K and V, flash attention on or off. Refused by name: recurrent and hybrid
 * models, encoders, models with positions of several numbers (M-RoPE), and memory that this file does not know.
 *
 * Results are as in prefixstore.h: 0 or more, or a negative PFX_ code; then pfx_llama_last_error() says what to do.
 *
 * Threads: as llama.h: all calls on a context, and so on its pfx_llama, come from one thread at a time. */
#ifndef PFX_LLAMA_H
#define PFX_LLAMA_H

#include "llama.h"

#include <prefixstore.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The pages of one context in one store. */
typedef struct pfx_llama pfx_llama;

/* A LoRA adapter that the host has set on the context. */
typedef struct pfx_llama_lora {
    const char *path; /* its file */
    float scale;
} pfx_llama_lora;

/* What keys and values depend on and libllama does not tell. Zero is the default everywhere. */
typedef struct pfx_llama_options {
    size_t size;             /* sizeof(pfx_llama_options) */
    const char *const *gguf; /* the files of the model: one, or all parts of a split one in their order */
    size_t gguf_count;

    /* The parameters that the context was made with: RoPE and YaRN settings, attention_type and swa_full have no
     * getters. NULL: those of llama_context_default_params. */
    const struct llama_context_params *context;

    const pfx_llama_lora *loras; /* the adapters on the context, in the order in which they were set */
    size_t lora_count;
    const char *changes; /* names whatever else changes keys and values, such as control vectors; NULL: nothing */

    const void *salt; /* a tenant's secret, or NULL; see prefixstore.h */
    size_t salt_bytes;

    /* A sequence id that this adapter alone uses: through it, ranges of tokens move without the rest. Make the context
     * with one sequence more than you need, and give the last: n_seq_max - 1. When n_seq_max is 1, 1 works in every
     * libllama that was tried. 0: none, and every call moves a whole sequence. Contexts with a stream per sequence
     * (kv_unified false and n_seq_max above 1) move whole sequences in any case. */
    llama_seq_id spare;

    uint32_t page_tokens; /* tokens of a page; 0: 64. It is part of the identity. */
    const char *label;    /* the model's name for people, or NULL */
} pfx_llama_options;

/* Opens the pages of a context. Decodes one token in an empty sequence to see how the context keeps keys and values:
 * call it before the context is used. On failure *cache is NULL.
 *
 * PFX_INVALID_LAYOUT: the memory of this model is not known; run without a store. PFX_INVALID_ARGUMENT: an option.
 * Otherwise as pfx_file_digest and pfx_space_open. The store must stay open. */
int pfx_llama_open(pfx_store *store, struct llama_context *ctx, const pfx_llama_options *options, pfx_llama **cache);

/* Gives it back. The context must still be there. NULL does nothing. */
void pfx_llama_close(pfx_llama *cache);

/* The space of the pages, for pfx_pin, pfx_expire, pfx_explain and pfx_record_prefill. */
pfx_space *pfx_llama_space(pfx_llama *cache);

/* Loads the longest stored prefix of `tokens` into a sequence, but not the last token, which must be decoded for its
 * logits. `have` tokens are in the sequence already and are kept if they can be; whatever lies behind them goes.
 *
 * Returns how many tokens the sequence holds then: positions 0 up to this number, and nothing else. It is 0 when
 * nothing was stored, and then the sequence is empty; it is `have` when no more was stored. A negative code leaves the
 * sequence empty. */
int64_t pfx_llama_restore(pfx_llama *cache, llama_seq_id seq, const llama_token *tokens, size_t count, size_t have);

/* Stores what a sequence holds of `tokens`, which are the tokens of its positions from 0 on. What is stored already
 * costs a look-up. pfx_flush makes it durable.
 *
 * Returns how many of the tokens are stored now. Fewer than `count` means that the rest is not in the context any more
 * (pfx_llama_last_error says so): decoded tokens leave the window of a sliding-window layer. For such models make the
 * context with swa_full, or call this after each llama_decode of at most n_ubatch tokens. While a prompt or reply is
 * still growing, give a multiple of the page size: the last, partial page is worth storing once, at the end. */
int64_t pfx_llama_store(pfx_llama *cache, llama_seq_id seq, const llama_token *tokens, size_t count);

/* Says in a sentence, for people and logs, how much of `tokens` is stored, and if nothing is, in which fields this
 * context differs from what is stored. Writes at most `capacity` bytes, with a 0 at the end. Returns PFX_OK, or as
 * pfx_explain. */
int pfx_llama_explain(pfx_llama *cache, const llama_token *tokens, size_t count, char *text, size_t capacity);

/* What the last call on this thread that failed, or stored less than all, met, and what to do. Never NULL. */
const char *pfx_llama_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
