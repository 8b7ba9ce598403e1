/* Runs kernels one after another on recorded arguments: each once between the markers, whose output is kept; then,
 * where there is a clock, all of them in turn, round after round.
 *
 * The length of outputs.bin tells the host how far a program that crashed had come.
 */
#include "trials.h"

#include "guard.h"
#include "mark.h"
#include "port.h"
#include "report.h"

enum { MAGIC = 0x4c495254, FILL = 0xA5, WARM_UP = 2 };
enum { DONE = 0, BAD_REQUEST = 2, FILE_FAILED = 3, NO_MEMORY = 4, NO_THREADS = 5 };

typedef struct {
    uint32_t magic, rounds, bound, unused;
    uint64_t least_ns; /* that a timed row of calls takes */
} trials_request;

static trials_request request;
static uint8_t *memory, *arena;
static size_t arena_bytes;
static void *arguments[TRIALS_MOST_ARGUMENTS];
static int inputs_file, outputs_file;

static uint8_t *aligned(uint8_t *at) {
    return at + (TRIALS_ALIGN - (uintptr_t)at % TRIALS_ALIGN) % TRIALS_ALIGN;
}

/* Where the inputs of a trial begin in inputs.bin. */
static size_t inputs_at(size_t number) {
    size_t bytes = 0;
    size_t i, k;
    for (i = 0; i < number; i++) {
        for (k = 0; k < trials[i].inputs; k++) {
            bytes += trials[i].bytes[k];
        }
    }
    return bytes;
}

/* Inputs first; outputs and scratch lie between guards, and hold nothing that a kernel could count on. */
static int load(size_t number) {
    const trial *const at = &trials[number];
    uint8_t *next = memory;
    size_t i;
    if (port_seek(inputs_file, inputs_at(number)) != 0) {
        return FILE_FAILED;
    }
    for (i = 0; i < at->inputs; i++) {
        arguments[i] = next;
        if (port_read(inputs_file, next, at->bytes[i]) != 0) {
            return FILE_FAILED;
        }
        next = aligned(next + at->bytes[i]);
    }
    next = aligned(next + GUARD_BYTES);
    arena = next;
    for (; i < at->inputs + at->outputs + at->scratch; i++) {
        next = aligned(next);
        arguments[i] = next;
        next += at->bytes[i];
    }
    arena_bytes = (size_t)(next - arena);
    guard_fill(arena, arena_bytes, FILL);
    return DONE;
}

static int run_once(size_t number) {
    const trial *const at = &trials[number];
    int32_t status;
    size_t i;
    int error = load(number);
    if (error != DONE) {
        return error;
    }
    markers.begin();
    status = at->run(arguments);
    markers.end();
    report("trial_ok", status == 0 && guard_holds(arena, arena_bytes, FILL));
    for (i = at->inputs; i < at->inputs + at->outputs; i++) {
        if (port_write(outputs_file, arguments[i], at->bytes[i]) != 0) {
            error = FILE_FAILED;
        }
    }
    return error;
}

static uint64_t time_calls(const trial *at, uint64_t calls) {
    const uint64_t began = port_ticks();
    uint64_t i;
    for (i = 0; i < calls; i++) {
        (void)at->run(arguments);
    }
    return port_nanoseconds(port_ticks() - began);
}

/* Reports picoseconds a call. */
static int run_timed(size_t number) {
    const trial *const at = &trials[number];
    uint64_t once, calls;
    const int error = load(number);
    if (error != DONE) {
        return error;
    }
    once = time_calls(at, WARM_UP) / WARM_UP + 1;
    calls = request.least_ns / once + 1;
    report("trial_ps", time_calls(at, calls) * 1000u / calls);
    return DONE;
}

static int start(void) {
    const int file = port_open("request.bin", 0);
    if (file < 0 || port_read(file, &request, sizeof request) != 0 || request.magic != MAGIC) {
        return BAD_REQUEST;
    }
    if (port_threads(1, request.bound != 0) != 0) {
        return NO_THREADS;
    }
    memory = port_memory(0, trial_memory, TRIALS_ALIGN);
    if (memory == NULL) {
        return NO_MEMORY;
    }
    inputs_file = port_open("inputs.bin", 0);
    outputs_file = port_open("outputs.bin", 1);
    return inputs_file >= 0 && outputs_file >= 0 && report_open() == 0 ? DONE : FILE_FAILED;
}

int harness_main(void) {
    uint32_t round;
    size_t i;
    int error = start();
    if (error == DONE) {
        markers.begin(); /* an empty pair: what the markers cost by themselves */
        markers.end();
    }
    for (i = 0; error == DONE && i < trial_count; i++) {
        error = run_once(i);
    }
    for (round = 0; error == DONE && round < request.rounds; round++) {
        for (i = 0; error == DONE && i < trial_count; i++) {
            error = run_timed(i);
        }
    }
    return error;
}
