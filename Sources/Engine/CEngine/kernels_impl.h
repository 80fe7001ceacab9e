// The kernels, once. Each kernels_*.c sets PATH_NAME, PATH_TEXT, TILE_VECTORS and HAS_F16C and includes this file under
// its own target attribute. Arithmetic is written on 16-lane vectors, so that a short remainder takes the same steps.

#include <math.h>
#include <string.h>

#include "cengine.h"
#include "half.h"

// Vectors are passed between inlined functions of this file only, so no calling convention is concerned.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4)));
typedef int32_t i16 __attribute__((vector_size(64)));
typedef uint32_t u16v __attribute__((vector_size(64)));
typedef uint16_t h16 __attribute__((vector_size(32)));
typedef uint16_t h16u __attribute__((vector_size(32), aligned(2)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE v16 load(const float *p) { return *(const v16u *)p; }
INLINE void store(float *p, v16 x) { *(v16u *)p = x; }
INLINE v16 splat(float x) { return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE i16 splat_int(int32_t x) { return (i16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE v16 select(i16 mask, v16 yes, v16 no) { return (v16)((mask & (i16)yes) | (~mask & (i16)no)); }

INLINE v16 load_some(const float *p, size_t n) {
    float buffer[CENGINE_LANES] = {0};
    memcpy(buffer, p, n * sizeof(float));
    return load(buffer);
}

INLINE void store_some(float *p, v16 x, size_t n) {
    float buffer[CENGINE_LANES];
    store(buffer, x);
    memcpy(p, buffer, n * sizeof(float));
}

// Both reductions have one fixed tree: halves, quarters, pairs, neighbours.
#define FOLD(OPERATION)                                                                                              \
    x = OPERATION(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));           \
    x = OPERATION(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));           \
    x = OPERATION(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));           \
    x = OPERATION(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));           \
    return x[0]

INLINE v16 plus(v16 a, v16 b) { return a + b; }
INLINE v16 greater(v16 a, v16 b) { return select((i16)(a > b), a, b); }
INLINE float sum(v16 x) { FOLD(plus); }
INLINE float largest(v16 x) { FOLD(greater); }

// e^x to about 1 ulp for x <= 88; 0 below -87.3.
INLINE v16 exp16(v16 x) {
    const v16 magic = splat(12582912.0f);
    v16 scaled = x * splat(1.44269504088896341f) + magic;
    v16 n = scaled - magic;
    v16 r = x - n * splat(0.693359375f);
    r = r - n * splat(-2.12194440e-4f);
    v16 p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * r * r + r + splat(1.0f);
    i16 exponent = ((i16)scaled - (i16)magic) << 23;
    v16 y = (v16)((i16)p + exponent);
    return select((i16)(x < splat(-87.3f)), splat(0.0f), y);
}

// 2^x for x <= 0, to about 1 ulp; exactly 1 at 0 and exactly 0 below -127, so that a masked key adds nothing at all.
INLINE v16 power16(v16 x) {
    const v16 magic = splat(12582912.0f);
    x = greater(x, splat(-127.0f));
    v16 scaled = x + magic;
    v16 r = x - (scaled - magic);
    v16 p = splat(1.3264722265e-3f);
    p = p * r + splat(9.6715129915e-3f);
    p = p * r + splat(5.5507337596e-2f);
    p = p * r + splat(2.4022242078e-1f);
    p = p * r + splat(6.9314697759e-1f);
    p = p * r + splat(1.0f);
    return (v16)((i16)p + (((i16)scaled - (i16)magic) << 23));
}

// --- matrix product ---------------------------------------------------------------------------------------------

// c[rows][16 * vectors] = (c +) a[rows][k] b[k][16 * vectors]; each element adds its products in the order of k.
INLINE void tile(const int rows, const int vectors, const float *a, size_t a_stride, const float *b, size_t b_stride,
                 size_t k, float *c, size_t c_stride, int accumulate) {
    v16 acc[6][4];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            acc[r][v] = accumulate ? load(c + r * c_stride + v * CENGINE_LANES) : splat(0.0f);
    for (size_t i = 0; i < k; i++) {
        v16 column[4];
        UNROLL for (int v = 0; v < vectors; v++) column[v] = load(b + i * b_stride + v * CENGINE_LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            v16 x = splat(a[r * a_stride + i]);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] += x * column[v];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) store(c + r * c_stride + v * CENGINE_LANES, acc[r][v]);
}

#define TILE(R, V)                                                                                                   \
    static __attribute__((noinline)) void tile_##R##_##V(const float *a, size_t a_stride, const float *b,            \
                                                         size_t b_stride, size_t k, float *c, size_t c_stride,       \
                                                         int accumulate) {                                           \
        if (accumulate)                                                                                              \
            tile(R, V, a, a_stride, b, b_stride, k, c, c_stride, 1);                                                 \
        else                                                                                                         \
            tile(R, V, a, a_stride, b, b_stride, k, c, c_stride, 0);                                                 \
    }

#if TILE_VECTORS == 4
TILE(1, 4) TILE(2, 4) TILE(4, 4) TILE(6, 4)
#endif
TILE(1, 1) TILE(2, 1) TILE(4, 1) TILE(6, 1)

#define ROWS_OF(V)                                                                                                   \
    static void rows_##V(const float *a, size_t a_stride, size_t rows, const float *b, size_t b_stride, size_t k,    \
                         float *c, size_t c_stride, int accumulate) {                                                \
        size_t r = 0;                                                                                                \
        for (; r + 6 <= rows; r += 6)                                                                                \
            tile_6_##V(a + r * a_stride, a_stride, b, b_stride, k, c + r * c_stride, c_stride, accumulate);          \
        for (; r + 4 <= rows; r += 4)                                                                                \
            tile_4_##V(a + r * a_stride, a_stride, b, b_stride, k, c + r * c_stride, c_stride, accumulate);          \
        for (; r + 2 <= rows; r += 2)                                                                                \
            tile_2_##V(a + r * a_stride, a_stride, b, b_stride, k, c + r * c_stride, c_stride, accumulate);          \
        for (; r < rows; r++)                                                                                        \
            tile_1_##V(a + r * a_stride, a_stride, b, b_stride, k, c + r * c_stride, c_stride, accumulate);          \
    }

#if TILE_VECTORS == 4
ROWS_OF(4)
#endif
ROWS_OF(1)

// Any number of rows; `columns` is a multiple of 16.
static void product(const float *a, size_t a_stride, size_t rows, const float *b, size_t b_stride, size_t k, float *c,
                    size_t c_stride, size_t columns, int accumulate) {
    size_t j = 0;
#if TILE_VECTORS == 4
    for (; j + 64 <= columns; j += 64) rows_4(a, a_stride, rows, b + j, b_stride, k, c + j, c_stride, accumulate);
#endif
    for (; j < columns; j += CENGINE_LANES) rows_1(a, a_stride, rows, b + j, b_stride, k, c + j, c_stride, accumulate);
}

// --- element types ----------------------------------------------------------------------------------------------

INLINE v16 widen_bf16(const uint16_t *p) {
    h16 x = *(const h16u *)p;
    return (v16)(__builtin_convertvector(x, u16v) << 16);
}

INLINE v16 widen_fp16(const uint16_t *p) {
#if HAS_F16C
    typedef _Float16 f16 __attribute__((vector_size(32), aligned(2)));
    return __builtin_convertvector(*(const f16 *)p, v16);
#else
    float buffer[CENGINE_LANES];
    for (int i = 0; i < CENGINE_LANES; i++) buffer[i] = half_to_float(p[i]);
    return load(buffer);
#endif
}

INLINE h16 narrow_bf16(v16 x) {
    u16v bits = (u16v)x;
    u16v rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    u16v quiet = (bits >> 16) | 0x40;
    u16v is_nan = (u16v)(x != x);
    return __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), h16);
}

INLINE h16 narrow_fp16(v16 x) {
#if HAS_F16C
    typedef _Float16 f16 __attribute__((vector_size(32)));
    return (h16)__builtin_convertvector(x, f16);
#else
    float buffer[CENGINE_LANES];
    uint16_t result[CENGINE_LANES];
    store(buffer, x);
    for (int i = 0; i < CENGINE_LANES; i++) result[i] = half_from_float(buffer[i]);
    return *(const h16u *)result;
#endif
}

INLINE v16 widen_lanes(const void *source, cengine_element element, size_t index) {
    if (element == CENGINE_BF16) return widen_bf16((const uint16_t *)source + index);
    if (element == CENGINE_FP16) return widen_fp16((const uint16_t *)source + index);
    return load((const float *)source + index);
}

static void widen(const void *source, cengine_element element, float *y, size_t n) {
    size_t whole = n / CENGINE_LANES * CENGINE_LANES;
    if (element == CENGINE_FP32) {
        memcpy(y, source, n * sizeof(float));
        return;
    }
    if (element == CENGINE_BF16)
        for (size_t i = 0; i < whole; i += CENGINE_LANES) store(y + i, widen_lanes(source, CENGINE_BF16, i));
    else
        for (size_t i = 0; i < whole; i += CENGINE_LANES) store(y + i, widen_lanes(source, CENGINE_FP16, i));
    if (whole < n) {
        uint16_t buffer[CENGINE_LANES] = {0};
        memcpy(buffer, (const uint16_t *)source + whole, (n - whole) * 2);
        store_some(y + whole, widen_lanes(buffer, element, 0), n - whole);
    }
}

static void narrow(const float *x, cengine_element element, void *target, size_t n) {
    if (element == CENGINE_FP32) {
        memcpy(target, x, n * sizeof(float));
        return;
    }
    uint16_t *y = target;
    for (size_t i = 0; i < n; i += CENGINE_LANES) {
        size_t lanes = n - i < CENGINE_LANES ? n - i : CENGINE_LANES;
        v16 value = lanes == CENGINE_LANES ? load(x + i) : load_some(x + i, lanes);
        h16 result = element == CENGINE_BF16 ? narrow_bf16(value) : narrow_fp16(value);
        memcpy(y + i, &result, lanes * 2);
    }
}

static void panel_product(const float *a, size_t a_stride, size_t rows, const void *panel, cengine_element element,
                          size_t k, float *c, size_t c_stride, float *scratch) {
    const size_t width = element == CENGINE_FP32 ? 4 : 2;
    for (size_t first = 0; first < k; first += CENGINE_K_BLOCK) {
        size_t count = k - first < CENGINE_K_BLOCK ? k - first : CENGINE_K_BLOCK;
        const void *block = (const uint8_t *)panel + first * CENGINE_PANEL * width;
        const float *b = block;
        if (element != CENGINE_FP32) {
            widen(block, element, scratch, count * CENGINE_PANEL);
            b = scratch;
        }
        product(a + first, a_stride, rows, b, CENGINE_PANEL, count, c, c_stride, CENGINE_PANEL, first > 0);
    }
}

// --- element-wise steps -----------------------------------------------------------------------------------------

static void rms_norm(const float *x, const float *weight, float epsilon, float *y, size_t n) {
    v16 squares = splat(0.0f);
    for (size_t i = 0; i < n; i += CENGINE_LANES) {
        v16 value = n - i < CENGINE_LANES ? load_some(x + i, n - i) : load(x + i);
        squares += value * value;
    }
    v16 factor = splat(1.0f / sqrtf(sum(squares) / (float)n + epsilon));
    for (size_t i = 0; i < n; i += CENGINE_LANES) {
        if (n - i < CENGINE_LANES)
            store_some(y + i, load_some(x + i, n - i) * factor * load_some(weight + i, n - i), n - i);
        else
            store(y + i, load(x + i) * factor * load(weight + i));
    }
}

static void add(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

INLINE v16 silu_lanes(v16 gate, v16 up) { return gate / (splat(1.0f) + exp16(-gate)) * up; }

static void silu_product(const float *gate, const float *up, float *y, size_t n) {
    for (size_t i = 0; i < n; i += CENGINE_LANES) {
        if (n - i < CENGINE_LANES)
            store_some(y + i, silu_lanes(load_some(gate + i, n - i), load_some(up + i, n - i)), n - i);
        else
            store(y + i, silu_lanes(load(gate + i), load(up + i)));
    }
}

static void rotate(float *head, const float *cosines, const float *sines, size_t n) {
    const size_t half = n / 2;
    for (size_t i = 0; i < half; i += CENGINE_LANES) {
        const size_t lanes = half - i < CENGINE_LANES ? half - i : CENGINE_LANES;
        if (lanes == CENGINE_LANES) {
            v16 c = load(cosines + i), s = load(sines + i), a = load(head + i), b = load(head + half + i);
            store(head + i, a * c - b * s);
            store(head + half + i, b * c + a * s);
        } else {
            v16 c = load_some(cosines + i, lanes), s = load_some(sines + i, lanes);
            v16 a = load_some(head + i, lanes), b = load_some(head + half + i, lanes);
            store_some(head + i, a * c - b * s, lanes);
            store_some(head + half + i, b * c + a * s, lanes);
        }
    }
}

static void exponential(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i += CENGINE_LANES) {
        size_t lanes = n - i < CENGINE_LANES ? n - i : CENGINE_LANES;
        store_some(y + i, exp16(load_some(x + i, lanes)), lanes);
    }
}

#include "attention_impl.h"

const cengine_kernels PATH_NAME = {
    .name = PATH_TEXT,
    .panel_product = panel_product,
    .rms_norm = rms_norm,
    .add = add,
    .silu_product = silu_product,
    .rotate = rotate,
    .widen = widen,
    .narrow = narrow,
    .attention = attention,
    .exponential = exponential,
};
