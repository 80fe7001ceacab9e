// Packing of weights, done once when a model is loaded, and the scratch that attention needs.

#include <string.h>

#include "cengine.h"
#include "half.h"

#define K_RUN 64

static float widened(const uint8_t *source, cengine_element element) {
    if (element == CENGINE_FP32) {
        float value;
        memcpy(&value, source, 4);
        return value;
    }
    uint16_t half;
    memcpy(&half, source, 2);
    if (element == CENGINE_FP16) return half_to_float(half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void cengine_pack_panel(const void *source, cengine_element element, size_t rows, size_t k, void *panel,
                        cengine_element target_element, size_t first_column) {
    const uint8_t *bytes = source;
    const size_t width = element == CENGINE_FP32 ? 4 : 2;
    // A short run of k at a time keeps the written lines in the cache while the rows go by.
    for (size_t first = 0; first < k; first += K_RUN) {
        const size_t end = first + K_RUN < k ? first + K_RUN : k;
        for (size_t row = 0; row < rows; row++) {
            for (size_t i = first; i < end; i++) {
                const uint8_t *from = bytes + (row * k + i) * width;
                const size_t to = i * CENGINE_PANEL + first_column + row;
                if (target_element == CENGINE_FP32)
                    ((float *)panel)[to] = widened(from, element);
                else
                    memcpy((uint8_t *)panel + to * width, from, width);
            }
        }
    }
}

size_t cengine_attention_scratch(size_t page_size, size_t head_dim, size_t group, size_t count) {
    const size_t depth = (head_dim + CENGINE_LANES - 1) / CENGINE_LANES * CENGINE_LANES;
    const size_t keys = (page_size + CENGINE_LANES - 1) / CENGINE_LANES * CENGINE_LANES, rows = count * group;
    return 2 * rows * depth + 2 * depth * keys + 24 * keys + 2 * rows + CENGINE_LANES;
}
