/* The pool behind parallel kernels.
 *
 * A launch cuts its loop into several tasks a thread. Each thread takes those of its own share in order, the
 * same part of every loop, so that what it wrote for one kernel still lies in its cache for the next. Whoever
 * is done takes from the end of the others' shares: so slow cores (big.LITTLE), cores that others use and
 * threads that wake late take less, and nobody waits for them.
 * Workers spin for the next launch a little, since it is usually microseconds away, then sleep.
 */
#define _GNU_SOURCE /* pthread_setaffinity_np */

#include "edgetvm_threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

/* What a task learns about its launch; kernels read num_task to find their share of the loop. */
typedef struct {
    void *sync_handle;
    int32_t num_task;
} task_environment;

typedef int (*task_function)(int task_id, task_environment *environment, void *closure);

enum { TASKS_PER_THREAD = 8 };

/* As much as the caller usually has: kernels keep a thread's scratch on its stack, and musl's own
 * default is 128 KiB. */
enum { WORKER_STACK_BYTES = 8 << 20 };

/* Some 100 us: `pause` takes 40 to 140 cycles on x86, `yield` next to none on Arm. */
#if defined(__x86_64__) || defined(__i386__)
enum { SPINS = 4000 };
#else
enum { SPINS = 40000 };
#endif

/* The tasks left of one thread's share: the next one and the end, in the halves of a word, so that owner
 * and thief never get the same. A cache line each. */
typedef struct {
    uint32_t left;
    uint8_t apart[60];
} task_share;

static struct {
    int started; /* threads in use, the caller included; 0 = not started */
    int busy;    /* a launch owns the pool */
    int quit;
    unsigned generation; /* of launches: what workers wait for */
    int open;            /* the launch below may be joined */
    int joined;          /* workers that may be reading it */
    int failure;
    task_function task;
    void *closure;
    task_environment environment;
    int bound; /* every thread is, to one core */
    pthread_t caller;
    cpu_set_t caller_cores; /* before it was bound */
    pthread_t workers[EDGETVM_MAX_THREADS];
    task_share shares[EDGETVM_MAX_THREADS];
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

static int joined_workers(void) {
    return __atomic_load_n(&pool.joined, __ATOMIC_SEQ_CST);
}

static void wake_workers(void) {
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

static void await_joined_workers(void) {
    int spin;
    for (spin = 0; spin < SPINS && joined_workers() != 0; spin++) {
        relax();
    }
    if (joined_workers() != 0) {
        pthread_mutex_lock(&lock);
        while (joined_workers() != 0) {
            pthread_cond_wait(&work_done, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
}

/* A task of a share, -1 if none is left: the first one to its owner, the last one to a thief. */
static int take_task(task_share *share, int is_owner) {
    uint32_t left = __atomic_load_n(&share->left, __ATOMIC_RELAXED);
    for (;;) {
        const uint32_t next = left >> 16, end = left & 0xffffu;
        if (next >= end) {
            return -1;
        }
        if (__atomic_compare_exchange_n(&share->left, &left, is_owner ? left + 0x10000u : left - 1u, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return (int)(is_owner ? next : end - 1u);
        }
    }
}

static void run_tasks(int thread) {
    int i;
    for (i = 0; i < pool.started; i++) {
        task_share *const share = &pool.shares[(thread + i) % pool.started];
        int task_id;
        while ((task_id = take_task(share, i == 0)) >= 0) {
            const int result = pool.task(task_id, &pool.environment, pool.closure);
            if (result != 0) {
                __atomic_store_n(&pool.failure, result, __ATOMIC_RELAXED);
            }
        }
    }
}

/* A worker first says that it is here, then looks whether the launch is still open; the caller first
 * closes, then looks who is here. In that order one of the two always sees the other. */
static void join_launch(int thread) {
    __atomic_add_fetch(&pool.joined, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.open, __ATOMIC_SEQ_CST) != 0) {
        run_tasks(thread);
    }
    if (__atomic_sub_fetch(&pool.joined, 1, __ATOMIC_SEQ_CST) == 0) {
        pthread_mutex_lock(&lock);
        pthread_cond_signal(&work_done);
        pthread_mutex_unlock(&lock);
    }
}

static void *work(void *share) {
    const int thread = (int)((task_share *)share - pool.shares);
    unsigned seen = 0;
    for (;;) {
        seen = await_work(seen);
        if (__atomic_load_n(&pool.quit, __ATOMIC_RELAXED) != 0) {
            return NULL;
        }
        join_launch(thread);
    }
}

static int run_alone(task_function task, void *closure) {
    task_environment alone = {NULL, 1};
    return task(0, &alone, closure);
}

static int launch(task_function task, void *closure, int num_task) {
    int failure, i;
    (void)num_task; /* a wish; tasks divide the loop by the environment's number */
    if (pool.started < 2 || __atomic_exchange_n(&pool.busy, 1, __ATOMIC_ACQUIRE) != 0) {
        return run_alone(task, closure);
    }
    pool.task = task;
    pool.closure = closure;
    pool.environment.num_task = pool.started * TASKS_PER_THREAD;
    pool.failure = 0;
    for (i = 0; i < pool.started; i++) {
        const uint32_t next = (uint32_t)(i * TASKS_PER_THREAD);
        pool.shares[i].left = next << 16 | (next + TASKS_PER_THREAD);
    }
    __atomic_store_n(&pool.open, 1, __ATOMIC_SEQ_CST);
    wake_workers();
    run_tasks(0);
    __atomic_store_n(&pool.open, 0, __ATOMIC_SEQ_CST);
    await_joined_workers();
    failure = pool.failure;
    __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
    return failure;
}

/* A reserved name, because TVM's compiled kernels call through a weak variable of exactly this one. */
extern int (*__TVMBackendParallelLaunch)(task_function, void *, int);
int (*__TVMBackendParallelLaunch)(task_function, void *, int) = launch;

static void join_workers(int count) {
    int i;
    __atomic_store_n(&pool.quit, 1, __ATOMIC_RELAXED);
    wake_workers();
    for (i = 1; i < count; i++) {
        pthread_join(pool.workers[i], NULL);
    }
    pool.quit = 0;
    pool.generation = 0; /* what a new worker believes it has seen */
}

static int bind_to_core(pthread_t thread, int core) {
    cpu_set_t only;
    if (core < 0 || core >= CPU_SETSIZE) {
        return EINVAL;
    }
    CPU_ZERO(&only);
    CPU_SET((size_t)core, &only);
    return pthread_setaffinity_np(thread, sizeof only, &only);
}

static int bind_threads(int threads, const int *cores) {
    int i, error;
    pool.caller = pthread_self();
    error = pthread_getaffinity_np(pool.caller, sizeof pool.caller_cores, &pool.caller_cores);
    for (i = 1; i < threads && error == 0; i++) {
        error = bind_to_core(pool.workers[i], cores[i]);
    }
    return error != 0 ? error : bind_to_core(pool.caller, cores[0]);
}

int edgetvm_threads_start(int threads) {
    return edgetvm_threads_start_on(threads, NULL);
}

int edgetvm_threads_start_on(int threads, const int *cores) {
    pthread_attr_t attributes;
    int i, error;
    if (threads < 1 || threads > EDGETVM_MAX_THREADS) {
        return EINVAL;
    }
    if (pool.started != 0) {
        return EBUSY;
    }
    error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    for (i = 1; i < threads && error == 0; i++) {
        error = pthread_create(&pool.workers[i], &attributes, work, &pool.shares[i]);
        if (error != 0) {
            join_workers(i);
        }
    }
    (void)pthread_attr_destroy(&attributes);
    if (error == 0 && cores != NULL) {
        error = bind_threads(threads, cores);
        if (error != 0) {
            join_workers(threads);
        }
    }
    if (error != 0) {
        return error;
    }
    pool.started = threads;
    pool.bound = cores != NULL;
    return 0;
}

void edgetvm_threads_stop(void) {
    if (pool.started != 0) {
        join_workers(pool.started);
        pool.started = 0;
        if (pool.bound) {
            (void)pthread_setaffinity_np(pool.caller, sizeof pool.caller_cores, &pool.caller_cores);
        }
    }
}

void edgetvm_threads_link(void) {
}
