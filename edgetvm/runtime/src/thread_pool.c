/* The pool behind parallel kernels: a fixed set of threads that take one task each.
 *
 * A launch publishes the work by bumping `generation`; workers spin for it a little, since the next
 * kernel is usually microseconds away, then sleep. The caller runs task 0 and waits the same way.
 */
#define _POSIX_C_SOURCE 200809L

#include "edgetvm_threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

/* What a task learns about its launch; kernels read num_task to find their share. */
typedef struct {
    void *sync_handle;
    int32_t num_task;
} task_environment;

typedef int (*task_function)(int task_id, task_environment *environment, void *closure);

enum { SPINS = 4000 }; /* some tens of microseconds */

static struct {
    int started; /* threads in use, the caller included; 0 = not started */
    int busy;    /* a launch owns the pool */
    int quit;
    int failure;
    int remaining; /* workers that have not finished this launch */
    unsigned generation;
    task_function task;
    void *closure;
    task_environment environment;
    pthread_t workers[EDGETVM_MAX_THREADS];
} pool;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_ready = PTHREAD_COND_INITIALIZER;
static pthread_cond_t work_done = PTHREAD_COND_INITIALIZER;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("pause");
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
    __asm__ volatile("yield");
#endif
}

static unsigned current_generation(void) {
    return __atomic_load_n(&pool.generation, __ATOMIC_ACQUIRE);
}

static int workers_remaining(void) {
    return __atomic_load_n(&pool.remaining, __ATOMIC_ACQUIRE);
}

static void publish(void) {
    pthread_mutex_lock(&lock);
    __atomic_add_fetch(&pool.generation, 1U, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&work_ready);
    pthread_mutex_unlock(&lock);
}

static unsigned await_work(unsigned seen) {
    int spin;
    for (spin = 0; spin < SPINS && current_generation() == seen; spin++) {
        relax();
    }
    if (current_generation() == seen) {
        pthread_mutex_lock(&lock);
        while (current_generation() == seen) {
            pthread_cond_wait(&work_ready, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
    return current_generation();
}

static void await_workers(void) {
    int spin;
    for (spin = 0; spin < SPINS && workers_remaining() != 0; spin++) {
        relax();
    }
    if (workers_remaining() != 0) {
        pthread_mutex_lock(&lock);
        while (workers_remaining() != 0) {
            pthread_cond_wait(&work_done, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
}

static void *work(void *task_id_of_worker) {
    const int task_id = (int)(intptr_t)task_id_of_worker;
    unsigned seen = 0;
    for (;;) {
        int result;
        seen = await_work(seen);
        if (pool.quit) {
            return NULL;
        }
        result = pool.task(task_id, &pool.environment, pool.closure);
        if (result != 0) {
            __atomic_store_n(&pool.failure, result, __ATOMIC_RELAXED);
        }
        if (__atomic_sub_fetch(&pool.remaining, 1, __ATOMIC_ACQ_REL) == 0) {
            pthread_mutex_lock(&lock);
            pthread_cond_signal(&work_done);
            pthread_mutex_unlock(&lock);
        }
    }
}

static int run_alone(task_function task, void *closure) {
    task_environment alone = {NULL, 1};
    return task(0, &alone, closure);
}

static int launch(task_function task, void *closure, int num_task) {
    int result;
    (void)num_task; /* a wish; tasks divide the loop by the environment's number */
    if (pool.started < 2 || __atomic_exchange_n(&pool.busy, 1, __ATOMIC_ACQUIRE) != 0) {
        return run_alone(task, closure);
    }
    pool.task = task;
    pool.closure = closure;
    pool.environment.num_task = pool.started;
    pool.failure = 0;
    pool.remaining = pool.started - 1;
    publish();
    result = task(0, &pool.environment, closure);
    await_workers();
    if (result == 0) {
        result = __atomic_load_n(&pool.failure, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
    return result;
}

/* A reserved name, because TVM's compiled kernels call through a weak variable of exactly this one. */
extern int (*__TVMBackendParallelLaunch)(task_function, void *, int);
int (*__TVMBackendParallelLaunch)(task_function, void *, int) = launch;

static void join_workers(int count) {
    int i;
    pool.quit = 1;
    publish();
    for (i = 1; i < count; i++) {
        pthread_join(pool.workers[i], NULL);
    }
    pool.quit = 0;
    pool.generation = 0; /* what a new worker believes it has seen */
}

int edgetvm_threads_start(int threads) {
    int i;
    if (threads < 1 || threads > EDGETVM_MAX_THREADS) {
        return EINVAL;
    }
    if (pool.started != 0) {
        return EBUSY;
    }
    for (i = 1; i < threads; i++) {
        const int error = pthread_create(&pool.workers[i], NULL, work, (void *)(intptr_t)i);
        if (error != 0) {
            join_workers(i);
            return error;
        }
    }
    pool.started = threads;
    return 0;
}

void edgetvm_threads_stop(void) {
    if (pool.started != 0) {
        join_workers(pool.started);
        pool.started = 0;
    }
}

void edgetvm_threads_link(void) {
}
