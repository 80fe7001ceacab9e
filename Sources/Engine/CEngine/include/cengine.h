// The engine's kernels: matrix products over packed panels, paged attention, and the element-wise steps between them.
//
// Every output element is computed by one fixed sequence of operations that depends on nothing but its own inputs:
// not on how many rows a call has, where a row stands in it, or how the work is split over threads. That is what
// makes the engine batch invariant; docs/engine.md explains it.
//
// There are three builds of the same source (AVX-512, AVX2 with FMA, portable); `clevel.h` says which of them a process
// uses. Their last bits differ from one another.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Columns of a packed weight panel; rows of activations are padded to a multiple of it.
#define CENGINE_PANEL 64
/// Elements of the vector type all kernels are written in.
#define CENGINE_LANES 16

/// Element types of weights and of KV pages.
typedef enum { CENGINE_BF16 = 0, CENGINE_FP16 = 1, CENGINE_FP32 = 2 } cengine_element;

/// One block of queries of one sequence against one KV head. All strides are in floats, all offsets in bytes.
typedef struct {
    const void *const *pages;  ///< the sequence's pages from position 0 on
    size_t key_offset;         ///< where the layer's K plane begins in a page
    size_t value_offset;       ///< where the layer's V plane begins in a page
    size_t page_size;          ///< tokens a page; a multiple of CENGINE_LANES
    size_t kv_heads;
    size_t kv_head;
    size_t head_dim;
    size_t group;              ///< query heads that share the KV head
    cengine_element element;        ///< of the pages
    const float *queries;      ///< first query token, first head of the group
    size_t query_stride;       ///< from one token to the next
    float *out;                ///< same layout as `queries`
    size_t out_stride;
    size_t position;           ///< of the first query token; its own KV is already in the pages
    size_t count;              ///< query tokens
    float scale;
    float *scratch;            ///< cengine_attention_scratch() floats, 64-byte aligned
} cengine_attention;

/// Floats of scratch that `attention` needs.
size_t cengine_attention_scratch(size_t page_size, size_t head_dim, size_t group, size_t count);

typedef struct {
    /// The build's name: "avx512", "avx2" or "portable".
    const char *name;
    /// c[rows][64] = a[rows][k] panel[k][64]. `scratch` holds 64 * CENGINE_K_BLOCK floats; unused for CENGINE_FP32
    /// panels.
    void (*panel_product)(const float *a, size_t a_stride, size_t rows, const void *panel, cengine_element element,
                          size_t k, float *c, size_t c_stride, float *scratch);
    /// y = x / rms(x) * weight.
    void (*rms_norm)(const float *x, const float *weight, float epsilon, float *y, size_t n);
    /// y += x.
    void (*add)(const float *x, float *y, size_t n);
    /// y = silu(gate) * up.
    void (*silu_product)(const float *gate, const float *up, float *y, size_t n);
    /// Rotates the halves of one head in place; `cosines` and `sines` have n / 2 elements.
    void (*rotate)(float *head, const float *cosines, const float *sines, size_t n);
    /// Stored elements to floats. `source` needs no alignment.
    void (*widen)(const void *source, cengine_element element, float *y, size_t n);
    /// Floats to stored elements, rounded to nearest even.
    void (*narrow)(const float *x, cengine_element element, void *target, size_t n);
    void (*attention)(const cengine_attention *block);
    /// y = exp(x), for the tests.
    void (*exponential)(const float *x, float *y, size_t n);
} cengine_kernels;

/// Rows of a panel that are widened at a time.
#define CENGINE_K_BLOCK 256

/// The build for this CPU and environment. Thread-safe; the answer never changes within a process.
const cengine_kernels *cengine_kernels_get(void);

/// A build by name, or null when this CPU cannot run it. For tests.
const cengine_kernels *cengine_kernels_named(const char *name);

/// Packs `rows` (1 to 64) rows of a row-major matrix with `k` columns into a panel [k][64], missing rows zero.
/// `target_element` is CENGINE_FP32 or the source's element. `source` needs no alignment.
void cengine_pack_panel(const void *source, cengine_element element, size_t rows, size_t k, void *panel,
                        cengine_element target_element, size_t first_column);

/// A few threads that run numbered tasks. One caller at a time; the caller works too.
typedef struct cengine_pool cengine_pool;

/// Starts `threads` - 1 threads. Null when that fails.
cengine_pool *cengine_pool_create(size_t threads);
/// Ends and joins the threads.
void cengine_pool_destroy(cengine_pool *pool);
/// Runs body(context, task, thread) for every task below `count`; returns when all are done.
void cengine_pool_run(cengine_pool *pool, size_t count, void (*body)(void *context, size_t task, size_t thread),
                      void *context);
