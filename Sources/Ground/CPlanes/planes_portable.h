// Plane split and merge as plain loops: inlined, they are compiled for the instruction set of the code that uses them.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLANES_INLINE static inline __attribute__((always_inline))

PLANES_INLINE void planes_split16(const uint8_t *restrict source, size_t count, uint8_t *restrict top,
                                  uint8_t *restrict low) {
    for (size_t i = 0; i < count; i++) {
        uint16_t x;
        memcpy(&x, source + 2 * i, 2);
        x = (uint16_t)(x << 1 | x >> 15);
        top[i] = (uint8_t)(x >> 8);
        low[i] = (uint8_t)x;
    }
}

PLANES_INLINE void planes_merge16(const uint8_t *restrict top, const uint8_t *restrict low, size_t count,
                                  uint8_t *restrict target) {
    for (size_t i = 0; i < count; i++) {
        uint16_t x = (uint16_t)((uint16_t)top[i] << 8 | low[i]);
        x = (uint16_t)(x >> 1 | x << 15);
        memcpy(target + 2 * i, &x, 2);
    }
}

PLANES_INLINE void planes_split32(const uint8_t *restrict source, size_t count, uint8_t *restrict top,
                                  uint8_t *restrict low0, uint8_t *restrict low1, uint8_t *restrict low2) {
    for (size_t i = 0; i < count; i++) {
        uint32_t x;
        memcpy(&x, source + 4 * i, 4);
        x = x << 1 | x >> 31;
        top[i] = (uint8_t)(x >> 24);
        low0[i] = (uint8_t)x;
        low1[i] = (uint8_t)(x >> 8);
        low2[i] = (uint8_t)(x >> 16);
    }
}

PLANES_INLINE void planes_merge32(const uint8_t *restrict top, const uint8_t *restrict low0,
                                  const uint8_t *restrict low1, const uint8_t *restrict low2, size_t count,
                                  uint8_t *restrict target) {
    for (size_t i = 0; i < count; i++) {
        uint32_t x = (uint32_t)top[i] << 24 | (uint32_t)low2[i] << 16 | (uint32_t)low1[i] << 8 | low0[i];
        x = x >> 1 | x << 31;
        memcpy(target + 4 * i, &x, 4);
    }
}
