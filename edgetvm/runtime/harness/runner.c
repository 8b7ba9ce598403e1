/* Runs one model on recorded inputs. Reads request.bin and inputs.bin, writes outputs.bin, report.txt
 * and, asked for, taps.bin.
 *
 * One sample is in memory at a time, in the arenas themselves unless the caller's buffers were asked for, so
 * the harness needs next to no RAM of its own. The length of outputs.bin tells the host how far a run
 * that crashed had come. Needs no C library.
 */
#include "edgetvm.h"
#include "guard.h"
#include "mark.h"
#include "port.h"
#include "profile.h"
#include "report.h"
#include "stack.h"
#include "tap.h"

#define NOINLINE __attribute__((noinline, used))

enum { MAGIC = 0x31525645, CALLER_BUFFERS = 1, GUARD = 2, TAP = 4, PROFILE = 8, BOUND = 16 };
enum { MAX_TENSORS = 64 }; /* inputs, and outputs, of one model */
#define COUNT(number, bytes) +1
enum { ARENAS = EDGETVM_ARENAS(COUNT) };
enum { WIDEST_ELEMENT = 8, FIRST_FILL = 0xA5, SECOND_FILL = 0x5A };
enum { DONE = 0, BAD_REQUEST = 2, FILE_FAILED = 3, NO_MEMORY = 4, NO_THREADS = 5, MODEL_FAILED = 6 };

typedef struct {
    uint32_t magic, samples, warmup, repeats, threads, flags;
} runner_request;

extern const edgetvm_model EDGETVM_MODEL;
static const edgetvm_model *const model = &EDGETVM_MODEL;

static runner_request request;
static edgetvm_arena arenas[ARENAS];
static const void *inputs[MAX_TENSORS]; /* NULL: the tensor lies in its arena */
static void *outputs[MAX_TENSORS];
static int inputs_file, outputs_file;

/* One inference is what runs between the markers. */
static NOINLINE int run_model(void) {
    edgetvm_status status;
    markers.begin();
    status = ARENAS == 1 ? edgetvm_run(model, arenas[0].memory, arenas[0].bytes, inputs, outputs)
                         : edgetvm_run_in(model, arenas, ARENAS, inputs, outputs);
    markers.end();
    if (status != EDGETVM_OK) {
        report("status", (uint64_t)status);
        return MODEL_FAILED;
    }
    return DONE;
}

static uint8_t *place_of(const edgetvm_tensor *tensor) {
    return (uint8_t *)arenas[tensor->arena].memory + tensor->offset;
}

static uint8_t *input_at(int32_t i) {
    return inputs[i] != NULL ? (uint8_t *)inputs[i] : place_of(&model->inputs[i]);
}

static uint8_t *output_at(int32_t i) {
    return outputs[i] != NULL ? (uint8_t *)outputs[i] : place_of(&model->outputs[i]);
}

static size_t sample_bytes(void) {
    size_t bytes = 0;
    int32_t i;
    for (i = 0; i < model->input_count; i++) {
        bytes += model->inputs[i].bytes;
    }
    return bytes;
}

static int load_sample(uint32_t sample) {
    int32_t i;
    if (port_seek(inputs_file, sample * sample_bytes()) != 0) {
        return FILE_FAILED;
    }
    for (i = 0; i < model->input_count; i++) {
        if (port_read(inputs_file, input_at(i), model->inputs[i].bytes) != 0) {
            return FILE_FAILED;
        }
    }
    return DONE;
}

static int save_outputs(void) {
    int32_t i;
    for (i = 0; i < model->output_count; i++) {
        if (port_write(outputs_file, output_at(i), model->outputs[i].bytes) != 0) {
            return FILE_FAILED;
        }
    }
    return DONE;
}

/* FNV-1a: tells two runs apart without room for both outputs. */
static uint32_t outputs_hash(void) {
    uint32_t hash = 2166136261u;
    int32_t i;
    size_t k;
    for (i = 0; i < model->output_count; i++) {
        const uint8_t *const bytes = output_at(i);
        for (k = 0; k < model->outputs[i].bytes; k++) {
            hash = (hash ^ bytes[k]) * 16777619u;
        }
    }
    return hash;
}

/* Runs sample 0 twice on arenas that differ in every byte. What was written cannot equal both fills, so
 * arena_touched is exact; and a kernel that reads what nobody wrote gives itself away by its output. */
static int run_guarded(void) {
    static const uint8_t fills[2] = {FIRST_FILL, SECOND_FILL};
    uint32_t hash[2] = {0, 0};
    size_t touched[ARENAS] = {0};
    size_t all_touched = 0;
    int guards_hold = 1;
    int i, k;
    for (i = 0; i < 2; i++) {
        int error;
        for (k = 0; k < ARENAS; k++) {
            guard_fill(arenas[k].memory, arenas[k].bytes, fills[i]);
        }
        error = load_sample(0);
        if (error == DONE) {
            error = run_model();
        }
        if (error != DONE) {
            return error;
        }
        hash[i] = outputs_hash();
        for (k = 0; k < ARENAS; k++) {
            const size_t now = guard_touched(arenas[k].memory, arenas[k].bytes, fills[i]);
            guards_hold = guards_hold && guard_holds(arenas[k].memory, arenas[k].bytes, fills[i]);
            touched[k] = now > touched[k] ? now : touched[k];
        }
    }
    for (k = 0; k < ARENAS; k++) {
        all_touched += touched[k];
    }
    report("guard_ok", (uint64_t)guards_hold);
    report("arena_touched", all_touched);
    report("repeatable", hash[0] == hash[1]);
    return DONE;
}

static NOINLINE int run_model_on_painted_stack(void) {
    int error;
    stack_paint();
    error = run_model();
    report("stack_bytes", stack_touched());
    report("stack_available", stack_available());
    return error;
}

static int run_samples(void) {
    uint32_t sample;
    if ((request.flags & TAP) != 0 && tap_open() != 0) {
        return FILE_FAILED;
    }
    for (sample = 0; sample < request.samples; sample++) {
        int error = load_sample(sample);
        if (error == DONE) {
            error = sample == 0 ? run_model_on_painted_stack() : run_model();
        }
        if (error == DONE) {
            error = save_outputs();
        }
        if (error != DONE) {
            return error;
        }
    }
    return tap_close() == 0 ? DONE : FILE_FAILED;
}

static int run_timed(void) {
    uint32_t i;
    for (i = 0; i < request.warmup + request.repeats; i++) {
        uint64_t began, ended;
        int error = DONE;
        /* A model reuses the bytes of its arenas but never writes to a caller's input: one load will do. */
        if (i == 0 || (request.flags & CALLER_BUFFERS) == 0) {
            error = load_sample(0);
        }
        if ((request.flags & PROFILE) != 0) {
            profile_start();
        }
        began = port_ticks();
        if (error == DONE) {
            error = run_model();
        }
        ended = port_ticks();
        if (error != DONE) {
            return error;
        }
        if (i >= request.warmup && ended != 0) {
            report("latency_ns", port_nanoseconds(ended - began));
            if ((request.flags & PROFILE) != 0) {
                profile_report();
            }
        }
    }
    return DONE;
}

static int read_request(void) {
    const int file = port_open("request.bin", 0);
    if (file < 0 || port_read(file, &request, sizeof request) != 0 || request.magic != MAGIC ||
        model->arena_count != ARENAS || model->input_count > MAX_TENSORS ||
        model->output_count > MAX_TENSORS) {
        return BAD_REQUEST;
    }
    return port_close(file) == 0 ? DONE : BAD_REQUEST;
}

/* With guards on, no more aligned than a caller has to: a kernel that counts on more shows it. */
static void *caller_buffer(size_t bytes) {
    const size_t offset = (request.flags & GUARD) != 0 ? WIDEST_ELEMENT : 0;
    uint8_t *const memory = port_memory(0, offset + bytes, GUARD_BYTES);
    return memory == NULL ? NULL : memory + offset;
}

static int allocate(void) {
    const size_t align = model->arena_align > GUARD_BYTES ? model->arena_align : GUARD_BYTES;
    int32_t i;
    for (i = 0; i < ARENAS; i++) {
        uint8_t *const memory = port_memory(i, align + model->arena_bytes[i] + GUARD_BYTES, align);
        if (memory == NULL) {
            return NO_MEMORY;
        }
        arenas[i].memory = memory + align;
        arenas[i].bytes = model->arena_bytes[i];
    }
    for (i = 0; (request.flags & CALLER_BUFFERS) != 0 && i < model->input_count; i++) {
        inputs[i] = caller_buffer(model->inputs[i].bytes);
        if (inputs[i] == NULL) {
            return NO_MEMORY;
        }
    }
    for (i = 0; (request.flags & CALLER_BUFFERS) != 0 && i < model->output_count; i++) {
        outputs[i] = caller_buffer(model->outputs[i].bytes);
        if (outputs[i] == NULL) {
            return NO_MEMORY;
        }
    }
    return DONE;
}

static int open_files(void) {
    inputs_file = port_open("inputs.bin", 0);
    outputs_file = port_open("outputs.bin", 1);
    return inputs_file >= 0 && outputs_file >= 0 && report_open() == 0 ? DONE : FILE_FAILED;
}

int harness_main(void) {
    int error = read_request();
    if (error == DONE) {
        error =
            port_threads((int)request.threads, (request.flags & BOUND) != 0) == 0 ? allocate() : NO_THREADS;
    }
    if (error == DONE) {
        error = open_files();
    }
    if (error != DONE) {
        return error;
    }
    markers.begin(); /* an empty pair: what the markers cost by themselves */
    markers.end();
    if ((request.flags & PROFILE) != 0) {
        profile_calibrate();
    }
    error = (request.flags & GUARD) != 0 ? run_guarded() : DONE;
    if (error == DONE) {
        error = run_samples();
    }
    if (error == DONE) {
        error = run_timed();
    }
    if (error == DONE) {
        report("status", EDGETVM_OK);
    }
    return error;
}
