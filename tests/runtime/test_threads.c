/* The thread pool, called as compiled kernels call it: through the weak variable. */
#define _GNU_SOURCE /* cpu_set_t */

#include "check.h"
#include "edgetvm_threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    void *sync_handle;
    int32_t num_task;
} task_environment;

typedef int (*task_function)(int task_id, task_environment *environment, void *closure);
extern int (*__TVMBackendParallelLaunch)(task_function, void *, int); /* TVM's name */

static int launch(task_function task, void *closure) {
    return __TVMBackendParallelLaunch(task, closure, 0);
}

enum { ITEMS = 1000 };

typedef struct {
    int visits[ITEMS];
    int num_task;
    int fail_at; /* the task that fails, or -1 */
    int nested;
} job;

/* A loop split as compiled kernels split it: by the environment's number of tasks. */
static int visit_items(int task_id, task_environment *environment, void *closure) {
    job *const this_job = closure;
    const int share = (ITEMS + environment->num_task - 1) / environment->num_task;
    int i;
    for (i = task_id * share; i < (task_id + 1) * share && i < ITEMS; i++) {
        this_job->visits[i]++;
    }
    if (task_id == 0) {
        this_job->num_task = environment->num_task;
    }
    return 0;
}

static int visit(int task_id, task_environment *environment, void *closure) {
    job *const this_job = closure;
    visit_items(task_id, environment, closure);
    if (this_job->nested && task_id == 0) {
        job inner;
        memset(&inner, 0, sizeof inner);
        inner.fail_at = -1;
        CHECK(launch(visit, &inner) == 0);
        CHECK(inner.num_task == 1); /* the pool is taken: it runs alone */
        CHECK(inner.visits[0] == 1 && inner.visits[ITEMS - 1] == 1);
    }
    return task_id == this_job->fail_at ? 40 + task_id : 0;
}

static job new_job(void) {
    job fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.fail_at = -1;
    return fresh;
}

static void check_all_visited(const job *done, int times) {
    int i;
    for (i = 0; i < ITEMS; i++) {
        CHECK(done->visits[i] == times);
    }
}

static void test_without_start_the_caller_runs_alone(void) {
    job one = new_job();
    CHECK(launch(visit, &one) == 0);
    CHECK(one.num_task == 1);
    check_all_visited(&one, 1);
}

static void test_every_item_once(int threads) {
    enum { LAUNCHES = 2000 };
    job many = new_job();
    int i;
    CHECK(edgetvm_threads_start(threads) == 0);
    for (i = 0; i < LAUNCHES; i++) {
        CHECK(launch(visit, &many) == 0);
    }
    CHECK(threads == 1 ? many.num_task == 1 : many.num_task > threads);
    check_all_visited(&many, LAUNCHES);
    edgetvm_threads_stop();
}

static void test_sleeping_workers_wake(void) {
    const struct timespec longer_than_they_spin = {0, 20 * 1000 * 1000};
    job sleepy = new_job();
    int i;
    CHECK(edgetvm_threads_start(3) == 0);
    for (i = 0; i < 5; i++) {
        nanosleep(&longer_than_they_spin, NULL);
        CHECK(launch(visit, &sleepy) == 0);
    }
    check_all_visited(&sleepy, 5);
    edgetvm_threads_stop();
}

static double cpu_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

static void test_idle_workers_cost_nothing(void) {
    const struct timespec idle = {0, 300 * 1000 * 1000};
    double began;
    CHECK(edgetvm_threads_start(4) == 0);
    nanosleep(&idle, NULL); /* so long they may still be starting and spinning */
    began = cpu_seconds();
    nanosleep(&idle, NULL);
    CHECK(cpu_seconds() - began < 0.1);
    edgetvm_threads_stop();
}

static void test_a_failing_task_is_reported(void) {
    int task;
    CHECK(edgetvm_threads_start(3) == 0);
    for (task = 0; task < 3; task++) {
        job failing = new_job();
        job fine = new_job();
        failing.fail_at = task;
        CHECK(launch(visit, &failing) == 40 + task);
        CHECK(launch(visit, &fine) == 0);
        check_all_visited(&failing, 1);
    }
    edgetvm_threads_stop();
}

static void test_nested_launches_run_alone(void) {
    job outer = new_job();
    outer.nested = 1;
    CHECK(edgetvm_threads_start(2) == 0);
    CHECK(launch(visit, &outer) == 0);
    check_all_visited(&outer, 1);
    edgetvm_threads_stop();
}

static int finished_tasks;

/* Task 0 ends when all others have: its thread's share must have gone to the other thread. */
static int outlast_the_others(int task_id, task_environment *environment, void *closure) {
    const struct timespec moment = {0, 1000 * 1000};
    (void)closure;
    while (task_id == 0 && __atomic_load_n(&finished_tasks, __ATOMIC_ACQUIRE) < environment->num_task - 1) {
        nanosleep(&moment, NULL);
    }
    __atomic_add_fetch(&finished_tasks, 1, __ATOMIC_RELEASE);
    return 0;
}

static void test_a_slow_thread_holds_nobody_up(void) {
    CHECK(edgetvm_threads_start(2) == 0);
    CHECK(launch(outlast_the_others, NULL) == 0);
    CHECK(finished_tasks > 2);
    edgetvm_threads_stop();
}

static int use_what_kernels_may(int task_id, task_environment *environment, void *closure) {
    const struct timespec moment = {0, 1000 * 1000};
    volatile char scratch[256 << 10];
    int i;
    (void)environment, (void)closure;
    for (i = 0; i < (int)sizeof scratch; i += 4096) {
        scratch[i] = (char)task_id;
    }
    nanosleep(&moment, NULL); /* lets every thread have a task */
    return scratch[4096] == (char)task_id ? 0 : 1;
}

static void test_stack_of_workers(void) {
    CHECK(edgetvm_threads_start(3) == 0);
    CHECK(launch(use_what_kernels_may, NULL) == 0);
    edgetvm_threads_stop();
}

static void *launch_many(void *closure) {
    int i;
    for (i = 0; i < 500; i++) {
        CHECK(launch(visit, closure) == 0);
    }
    return NULL;
}

static void test_two_callers_at_once(void) {
    job first = new_job();
    job second = new_job();
    pthread_t other;
    CHECK(edgetvm_threads_start(2) == 0);
    CHECK(pthread_create(&other, NULL, launch_many, &first) == 0);
    (void)launch_many(&second);
    CHECK(pthread_join(other, NULL) == 0);
    check_all_visited(&first, 500);
    check_all_visited(&second, 500);
    edgetvm_threads_stop();
}

static void test_start_and_stop(void) {
    int i;
    CHECK(edgetvm_threads_start(0) == EINVAL);
    CHECK(edgetvm_threads_start(-1) == EINVAL);
    CHECK(edgetvm_threads_start(EDGETVM_MAX_THREADS + 1) == EINVAL);
    edgetvm_threads_stop();
    for (i = 0; i < 20; i++) {
        job short_lived = new_job();
        CHECK(edgetvm_threads_start(1 + i % 4) == 0);
        CHECK(edgetvm_threads_start(2) == EBUSY);
        CHECK(launch(visit, &short_lived) == 0);
        CHECK((short_lived.num_task == 1) == (i % 4 == 0));
        edgetvm_threads_stop();
        edgetvm_threads_stop();
    }
    test_without_start_the_caller_runs_alone();
}

static void test_bound_threads(void) {
    int cores[EDGETVM_MAX_THREADS], i, usable;
    cpu_set_t before, during, after;
    job bound = new_job();
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    usable = CPU_COUNT(&before) < 3 ? CPU_COUNT(&before) : 3;
    CHECK(edgetvm_threads_fastest(0, cores) == EINVAL);
    CHECK(CPU_COUNT(&before) >= EDGETVM_MAX_THREADS ||
          edgetvm_threads_fastest(CPU_COUNT(&before) + 1, cores) == EINVAL);
    CHECK(edgetvm_threads_fastest(usable, cores) == 0);
    for (i = 0; i < usable; i++) {
        CHECK(CPU_ISSET((size_t)cores[i], &before));
        CHECK(i == 0 || cores[i] != cores[i - 1]);
    }
    CHECK(edgetvm_threads_start_on(usable, cores) == 0);
    CHECK(sched_getaffinity(0, sizeof during, &during) == 0);
    CHECK(CPU_COUNT(&during) == 1 && CPU_ISSET((size_t)cores[0], &during));
    CHECK(launch(visit, &bound) == 0);
    check_all_visited(&bound, 1);
    edgetvm_threads_stop();
    CHECK(sched_getaffinity(0, sizeof after, &after) == 0);
    CHECK(CPU_EQUAL(&before, &after));
    cores[0] = -1;
    CHECK(edgetvm_threads_start_on(1, cores) == EINVAL);
    cores[0] = CPU_SETSIZE - 1; /* no machine has so many */
    CHECK(edgetvm_threads_start_on(1, cores) == EINVAL);
    CHECK(edgetvm_threads_start(1) == 0); /* what failed has left nothing behind */
    edgetvm_threads_stop();
}

int main(void) {
    alarm(60); /* a lost wake-up hangs: end it with an error */
    test_without_start_the_caller_runs_alone();
    test_every_item_once(1);
    test_every_item_once(2);
    test_every_item_once(8); /* more threads than most test machines have cores */
    test_sleeping_workers_wake();
    test_idle_workers_cost_nothing();
    test_a_failing_task_is_reported();
    test_nested_launches_run_alone();
    test_a_slow_thread_holds_nobody_up();
    test_stack_of_workers();
    test_two_callers_at_once();
    test_start_and_stop();
    test_bound_threads();
    return 0;
}
