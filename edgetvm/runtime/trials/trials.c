/* Runs kernels one after another on recorded arguments, each to its end: once between the markers, whose output is
 * kept; then, where there is a clock, round after round in turn with the kernel beside it.
 *
 * A trial ends with its line `trial_ok`: what it gave is written by then, so that the host may take it at once, and
 * knows how far a program that crashed had come. Where there is a file `taken` the next one begins when a byte comes from
 * it, so that a host that dies has not taken one result at most.
 */
#include "trials.h"

#include "guard.h"
#include "mark.h"
#include "port.h"
#include "report.h"

enum { MAGIC = 0x4c495254, FILL = 0xA5 };
enum { DONE = 0, BAD_REQUEST = 2, FILE_FAILED = 3, NO_MEMORY = 4, NO_THREADS = 5 };

typedef struct {
    uint32_t magic, rounds, warm_up, threads, bound, digests;
    uint64_t least_ns; /* that a timed row of calls takes */
} trials_request;

/* A kernel with its arguments. What it writes lies in the arena, which has guards. */
typedef struct {
    const trial *kernel;
    void *arguments[TRIALS_MOST_ARGUMENTS];
    uint8_t *arena;
    size_t arena_bytes;
} ready;

static trials_request request;
static uint8_t *memory;
static ready own, other;
static int outputs_file, taken_file;

static uint8_t *aligned(uint8_t *at) {
    return at + (TRIALS_ALIGN - (uintptr_t)at % TRIALS_ALIGN) % TRIALS_ALIGN;
}

static uint8_t *copy(uint8_t *to, const uint8_t *from, size_t bytes) {
    while (bytes-- != 0) {
        *to++ = *from++;
    }
    return to;
}

/* Inputs first; outputs and scratch lie between guards, and hold nothing that a kernel could count on. */
static void load(const trial *kernel, ready *to, uint8_t *next) {
    size_t i;
    to->kernel = kernel;
    for (i = 0; i < kernel->inputs; i++) {
        if ((kernel->constants >> i & 1u) != 0) {
            to->arguments[i] = (void *)(uintptr_t)kernel->data[i];
        } else {
            to->arguments[i] = next;
            next = aligned(copy(next, kernel->data[i], kernel->bytes[i]));
        }
    }
    next = aligned(next + GUARD_BYTES);
    to->arena = next;
    for (; i < kernel->inputs + kernel->outputs + kernel->scratch; i++) {
        next = aligned(next);
        to->arguments[i] = next;
        next += kernel->bytes[i];
    }
    to->arena_bytes = (size_t)(next - to->arena);
    guard_fill(to->arena, to->arena_bytes, FILL);
}

/* Of the outputs, one after another, as zlib has it (ISO 3309). */
static uint32_t digest(const ready *at) {
    const trial *const kernel = at->kernel;
    uint32_t crc = 0xFFFFFFFFu;
    size_t i, k;
    int bit;
    for (i = kernel->inputs; i < kernel->inputs + kernel->outputs; i++) {
        const uint8_t *const from = at->arguments[i];
        for (k = 0; k < kernel->bytes[i]; k++) {
            crc ^= from[k];
            for (bit = 0; bit < 8; bit++) {
                crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
            }
        }
    }
    return ~crc;
}

static int write_outputs(const ready *at) {
    const trial *const kernel = at->kernel;
    size_t i;
    int failed = 0;
    if (request.digests != 0 && kernel->exact) {
        const uint32_t crc = digest(at);
        return port_write(outputs_file, &crc, sizeof crc);
    }
    for (i = kernel->inputs; i < kernel->inputs + kernel->outputs; i++) {
        failed |= port_write(outputs_file, at->arguments[i], kernel->bytes[i]);
    }
    return failed;
}

/* Whether it says that it succeeded, and wrote nothing beside its arena. */
static int run_once(const ready *at) {
    int32_t status;
    markers.begin();
    status = at->kernel->run(at->arguments);
    markers.end();
    return status == 0 && guard_holds(at->arena, at->arena_bytes, FILL);
}

static uint64_t time_calls(const ready *at, uint64_t calls) {
    const uint64_t began = port_ticks();
    uint64_t i;
    for (i = 0; i < calls; i++) {
        (void)at->kernel->run(at->arguments);
    }
    return port_nanoseconds(port_ticks() - began);
}

/* Reports picoseconds a call: 0 if the clock stands still. */
static void run_timed(const ready *at, const char *key) {
    const uint64_t warm_up = time_calls(at, request.warm_up);
    const uint64_t calls = warm_up == 0 ? 1 : request.least_ns * request.warm_up / warm_up + 1;
    report(key, time_calls(at, calls) * 1000u / calls);
}

static int run_trial(const trial *at) {
    const trial *const beside = &trials[at->beside];
    uint32_t round;
    int right;
    load(at, &own, memory);
    right = run_once(&own);
    if (write_outputs(&own) != 0) {
        return FILE_FAILED;
    }
    if (beside != at) {
        load(beside, &other, aligned(own.arena + own.arena_bytes + GUARD_BYTES));
    }
    for (round = 0; right && round < request.rounds; round++) {
        run_timed(&own, "trial_ps");
        if (beside != at) {
            run_timed(&other, "beside_ps");
        }
    }
    report("trial_ok", (uint64_t)right);
    return DONE;
}

static int wait_until_taken(void) {
    uint8_t byte;
    return taken_file < 0 || port_read(taken_file, &byte, 1) == 0 ? DONE : FILE_FAILED;
}

static int start(void) {
    const int file = port_open("request.bin", 0);
    if (file < 0 || port_read(file, &request, sizeof request) != 0 || request.magic != MAGIC) {
        return BAD_REQUEST;
    }
    if (port_threads((int)request.threads, request.bound != 0) != 0) {
        return NO_THREADS;
    }
    memory = port_memory(0, trial_memory, TRIALS_ALIGN);
    if (memory == NULL) {
        return NO_MEMORY;
    }
    taken_file = port_open("taken", 0);
    outputs_file = port_open("outputs.bin", 1);
    return outputs_file >= 0 && report_open() == 0 ? DONE : FILE_FAILED;
}

int harness_main(void) {
    size_t i;
    int error = start();
    if (error == DONE) {
        markers.begin(); /* an empty pair: what the markers cost by themselves */
        markers.end();
    }
    for (i = 0; error == DONE && i < trial_count; i++) {
        error = run_trial(&trials[i]);
        if (error == DONE) {
            error = wait_until_taken();
        }
    }
    return error;
}
