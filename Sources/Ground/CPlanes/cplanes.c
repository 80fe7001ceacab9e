// Plane split and merge: one plain loop each, compiled once for every instruction set and picked at run time.
#include "cplanes.h"

#include "aside.h"
#include "cold.h"
#include "planes_portable.h"

// Bytes that are copied between two steps of the aside: few enough that what is hashed is still near.
enum { COPY_STEP = 4096 };

PLANES_INLINE void copy(const uint8_t *source, size_t size, uint8_t *target, const cplanes_aside *aside) {
    aside_work work;
    aside_begin(&work, aside, size / COPY_STEP);
    for (; size >= COPY_STEP; size -= COPY_STEP, source += COPY_STEP, target += COPY_STEP) {
        aside_step(&work);
        memcpy(target, source, COPY_STEP);
    }
    aside_end(&work, aside);
    memcpy(target, source, size);
}

// The five kernels for one instruction set.
#define KERNELS(name, attribute) \
    attribute static void split16_##name(const uint8_t *source, size_t count, uint8_t *top, uint8_t *low) { \
        planes_split16(source, count, top, low); \
    } \
    attribute static void merge16_##name(const uint8_t *top, const uint8_t *low, size_t count, uint8_t *target) { \
        planes_merge16(top, low, count, target); \
    } \
    attribute static void split32_##name(const uint8_t *source, size_t count, uint8_t *top, uint8_t *low, \
                                         size_t stride) { \
        planes_split32(source, count, top, low, low + stride, low + 2 * stride); \
    } \
    attribute static void merge32_##name(const uint8_t *top, const uint8_t *low, size_t stride, size_t count, \
                                         uint8_t *target) { \
        planes_merge32(top, low, low + stride, low + 2 * stride, count, target); \
    } \
    attribute static void copy_##name(const uint8_t *source, size_t size, uint8_t *target, \
                                      const cplanes_aside *aside) { \
        copy(source, size, target, aside); \
    }

KERNELS(portable, )

#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2,bmi,bmi2"))))
KERNELS(avx512, __attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"))))
#define PICK(level, kernel) \
    ((level) == CLEVEL_AVX512_VBMI2 ? kernel##_avx512 : (level) >= CLEVEL_AVX2 ? kernel##_avx2 : kernel##_portable)
#else
#define PICK(level, kernel) ((void)(level), kernel##_portable)
#endif

void cplanes_split16(clevel level, const void *source, size_t count, uint8_t *top, uint8_t *low) {
    PICK(level, split16)(source, count, top, low);
}

void cplanes_merge16(clevel level, const uint8_t *top, const uint8_t *low, size_t count, void *target, int cold,
                     const cplanes_aside *aside) {
    size_t done = 0;
#if defined(__x86_64__)
    if (cold && level == CLEVEL_AVX512_VBMI2 && (uintptr_t)target % 64 == 0)
        done = cplanes_cold_merge16_avx512(top, low, count, target, aside);
#endif
    (void)cold;
    if (!done) aside_first(aside);
    PICK(level, merge16)(top + done, low + done, count - done, (uint8_t *)target + 2 * done);
}

void cplanes_fence(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

void cplanes_copy(clevel level, const void *source, size_t size, void *target, int cold, const cplanes_aside *aside) {
#if defined(__x86_64__)
    if (cold && level == CLEVEL_AVX512_VBMI2 && (uintptr_t)target % 64 == 0) {
        cplanes_cold_copy_avx512(source, size, target, aside);
        return;
    }
#endif
    (void)cold;
    PICK(level, copy)(source, size, target, aside);
}

void cplanes_split32(clevel level, const void *source, size_t count, uint8_t *top, uint8_t *low, size_t stride) {
    PICK(level, split32)(source, count, top, low, stride);
}

void cplanes_merge32(clevel level, const uint8_t *top, const uint8_t *low, size_t stride, size_t count, void *target,
                     int cold, const cplanes_aside *aside) {
    size_t done = 0;
#if defined(__x86_64__)
    if (cold && level == CLEVEL_AVX512_VBMI2 && (uintptr_t)target % 64 == 0)
        done = cplanes_cold_merge32_avx512(top, low, stride, count, target, aside);
#endif
    (void)cold;
    if (!done) aside_first(aside);
    PICK(level, merge32)(top + done, low + done, stride, count - done, (uint8_t *)target + 4 * done);
}
