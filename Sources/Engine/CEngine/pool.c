// The engine's threads. A worker watches for the next call for a moment before it sleeps: the steps of a forward pass
// follow one another within microseconds, and waking a sleeping thread takes longer than most of them. The caller never
// waits for a worker that has not begun: on a busy machine that one may be far from a CPU.

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cengine.h"

#define SPINS 2000

// The state word: workers inside the present call, whether it takes more of them, and its number.
#define INSIDE ((uint_fast64_t)0xffff)
#define OPEN ((uint_fast64_t)0x10000)
#define CALL ((uint_fast64_t)0x20000)

struct cengine_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    size_t workers;
    pthread_t *threads;
    void (*body)(void *, size_t, size_t);
    void *context;
    size_t count;
    atomic_size_t next; // the next task nobody has taken
    atomic_uint_fast64_t state;
    atomic_bool ending;
};

typedef struct {
    cengine_pool *pool;
    size_t thread;
} seat;

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_tasks(cengine_pool *pool, size_t thread) {
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->count) return;
        pool->body(pool->context, task, thread);
    }
}

static int something_new(cengine_pool *pool, uint_fast64_t seen) {
    uint_fast64_t state = atomic_load(&pool->state);
    return ((state & OPEN) != 0 && state / CALL != seen) || atomic_load(&pool->ending);
}

static void wait_for_call(cengine_pool *pool, uint_fast64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        if (something_new(pool, seen)) return;
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    while (!something_new(pool, seen)) pthread_cond_wait(&pool->wake, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument) {
    seat mine = *(seat *)argument;
    free(argument);
    cengine_pool *pool = mine.pool;
    uint_fast64_t seen = 0;
    for (;;) {
        wait_for_call(pool, seen);
        if (atomic_load(&pool->ending)) return NULL;
        uint_fast64_t state = atomic_load(&pool->state);
        if ((state & OPEN) == 0 || state / CALL == seen) continue;
        if (!atomic_compare_exchange_strong(&pool->state, &state, state + 1)) continue;
        seen = state / CALL;
        take_tasks(pool, mine.thread);
        atomic_fetch_sub(&pool->state, 1);
    }
}

cengine_pool *cengine_pool_create(size_t threads) {
    cengine_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = calloc(threads, sizeof *pool->threads);
    for (size_t i = 1; pool->threads != NULL && i < threads; i++) {
        seat *mine = malloc(sizeof *mine);
        if (mine == NULL) break;
        *mine = (seat){pool, i};
        if (pthread_create(&pool->threads[pool->workers], NULL, work, mine) != 0) {
            free(mine);
            break;
        }
        pool->workers++;
    }
    return pool;
}

void cengine_pool_destroy(cengine_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->ending, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->workers; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}

void cengine_pool_run(cengine_pool *pool, size_t count, void (*body)(void *, size_t, size_t), void *context) {
    if (pool->workers == 0 || count < 2) {
        for (size_t task = 0; task < count; task++) body(context, task, 0);
        return;
    }
    pool->body = body;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->next, 0);
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->state, (atomic_load(&pool->state) / CALL + 1) * CALL + OPEN);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    take_tasks(pool, 0);
    atomic_fetch_and(&pool->state, ~OPEN);
    for (int i = 0; (atomic_load(&pool->state) & INSIDE) != 0; i++) {
        if (i < SPINS)
            relax();
        else
            sched_yield();
    }
}
