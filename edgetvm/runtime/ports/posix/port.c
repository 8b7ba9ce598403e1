/* The harness on Linux: runs in a thread of its own, whose stack has known bounds and a guard page. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */

#include "edgetvm_threads.h"
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 8 << 20, PAGE_BYTES = 65536 /* the largest that Linux uses on Arm */ };

static uint8_t *stack_bottom;

int port_open(const char *name, int for_writing) {
    return for_writing ? open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666) : open(name, O_RDONLY);
}

int port_read(int file, void *to, size_t bytes) {
    uint8_t *at = to;
    while (bytes != 0) {
        const ssize_t got = read(file, at, bytes);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return -1;
        }
        if (got > 0) {
            at += got;
            bytes -= (size_t)got;
        }
    }
    return 0;
}

int port_write(int file, const void *from, size_t bytes) {
    const uint8_t *at = from;
    while (bytes != 0) {
        const ssize_t put = write(file, at, bytes);
        if (put < 0 && errno != EINTR) {
            return -1;
        }
        if (put > 0) {
            at += put;
            bytes -= (size_t)put;
        }
    }
    return 0;
}

int port_seek(int file, size_t position) {
    return lseek(file, (off_t)position, SEEK_SET) < 0 ? -1 : 0;
}

int port_close(int file) {
    return close(file);
}

void port_message(const char *line) {
    (void)port_write(STDERR_FILENO, line, strlen(line));
    (void)port_write(STDERR_FILENO, "\n", 1);
}

static void *map(size_t bytes) {
    void *const memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *port_memory(int32_t arena, size_t bytes, size_t align) {
    uint8_t *const memory = map(bytes + align);
    (void)arena;
    if (memory == NULL) {
        return NULL;
    }
    return memory + (align - (uintptr_t)memory % align) % align;
}

uint64_t port_nanoseconds(uint64_t ticks) {
    return ticks;
}

uint64_t port_ticks(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint8_t *port_stack_bottom(void) {
    return stack_bottom;
}

#ifdef EDGETVM_THREADS
int port_threads(int count, int bound) {
    int cores[EDGETVM_MAX_THREADS];
    const int error = bound ? edgetvm_threads_fastest(count, cores) : 0;
    if (error != 0 || (count <= 1 && !bound)) {
        return error;
    }
    return edgetvm_threads_start_on(count, bound ? cores : NULL);
}
#else
int port_threads(int count, int bound) {
    return count > 1 || bound ? ENOSYS : 0;
}
#endif

static void *run(void *exit_status) {
    *(int *)exit_status = harness_main();
    return NULL;
}

int main(void) {
    uint8_t *const stack = map(STACK_BYTES + PAGE_BYTES);
    pthread_attr_t attributes;
    pthread_t thread;
    int exit_status = 1;
    /* A model that hangs must not outlive the tool that waits for it, however that ends. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (stack == NULL || mprotect(stack, PAGE_BYTES, PROT_NONE) != 0) {
        port_message("edgetvm: no memory for the stack");
        return 1;
    }
    stack_bottom = stack + PAGE_BYTES;
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstack(&attributes, stack_bottom, STACK_BYTES) != 0 ||
        pthread_create(&thread, &attributes, run, &exit_status) != 0 || pthread_join(thread, NULL) != 0) {
        port_message("edgetvm: cannot start the harness's thread");
        return 1;
    }
    return exit_status;
}
