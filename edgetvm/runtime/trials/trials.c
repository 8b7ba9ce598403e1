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
    uint32_t magic, rounds, bound, digests;
    uint64_t least_ns; /* that a timed row of calls takes */
} trials_request;

static trials_request request;
static uint8_t *memory, *arena;
static size_t arena_bytes;
static void *arguments[TRIALS_MOST_ARGUMENTS];
static int outputs_file;

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
static void load(const trial *at) {
    uint8_t *next = memory;
    size_t i;
    for (i = 0; i < at->inputs; i++) {
        if ((at->constants >> i & 1u) != 0) {
            arguments[i] = (void *)(uintptr_t)at->data[i];
        } else {
            arguments[i] = next;
            next = aligned(copy(next, at->data[i], at->bytes[i]));
        }
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
}

/* Of the outputs, one after another, as zlib has it (ISO 3309). */
static uint32_t digest(const trial *at) {
    uint32_t crc = 0xFFFFFFFFu;
    size_t i, k;
    int bit;
    for (i = at->inputs; i < at->inputs + at->outputs; i++) {
        const uint8_t *const from = arguments[i];
        for (k = 0; k < at->bytes[i]; k++) {
            crc ^= from[k];
            for (bit = 0; bit < 8; bit++) {
                crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
            }
        }
    }
    return ~crc;
}

static int write_outputs(const trial *at) {
    size_t i;
    int failed = 0;
    if (request.digests != 0 && at->exact) {
        const uint32_t crc = digest(at);
        return port_write(outputs_file, &crc, sizeof crc);
    }
    for (i = at->inputs; i < at->inputs + at->outputs; i++) {
        failed |= port_write(outputs_file, arguments[i], at->bytes[i]);
    }
    return failed;
}

static int run_once(const trial *at) {
    int32_t status;
    load(at);
    markers.begin();
    status = at->run(arguments);
    markers.end();
    report("trial_ok", status == 0 && guard_holds(arena, arena_bytes, FILL));
    return write_outputs(at) == 0 ? DONE : FILE_FAILED;
}

static uint64_t time_calls(const trial *at, uint64_t calls) {
    const uint64_t began = port_ticks();
    uint64_t i;
    for (i = 0; i < calls; i++) {
        (void)at->run(arguments);
    }
    return port_nanoseconds(port_ticks() - began);
}

/* Reports picoseconds a call: 0 if the clock stands still. */
static void run_timed(const trial *at) {
    uint64_t warm_up, calls;
    load(at);
    warm_up = time_calls(at, WARM_UP);
    calls = warm_up == 0 ? 1 : request.least_ns * WARM_UP / warm_up + 1;
    report("trial_ps", time_calls(at, calls) * 1000u / calls);
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
    outputs_file = port_open("outputs.bin", 1);
    return outputs_file >= 0 && report_open() == 0 ? DONE : FILE_FAILED;
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
        error = run_once(&trials[i]);
    }
    for (round = 0; error == DONE && round < request.rounds; round++) {
        for (i = 0; i < trial_count; i++) {
            run_timed(&trials[i]);
        }
    }
    return error;
}
