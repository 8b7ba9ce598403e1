/* Checks one call's arguments and enters the model. */
#include "edgetvm.h"

#ifdef EDGETVM_THREADS
#include "edgetvm_threads.h"
#endif

/* In the order of edgetvm_dtype. */
static const uint8_t element_bytes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};

/* By mask, since a Cortex-M0 or A8 divides in a loop. Every alignment is a power of two. */
static int is_aligned(const void *pointer, size_t align) {
    return ((uintptr_t)pointer & (align - 1)) == 0;
}

/* A tensor without a buffer lies in an arena, where the plan has aligned it. */
static int all_aligned(const edgetvm_tensor *tensors, int32_t count, const void *const *buffers) {
    int32_t i;
    for (i = 0; buffers != NULL && i < count; i++) {
        if (!is_aligned(buffers[i], element_bytes[tensors[i].dtype])) {
            return 0;
        }
    }
    return 1;
}

static edgetvm_status check_arenas(const edgetvm_model *model, const edgetvm_arena *arenas, int32_t count) {
    int32_t i;
    if (arenas == NULL || count < model->arena_count) {
        return EDGETVM_BAD_ARGUMENT;
    }
    for (i = 0; i < model->arena_count; i++) {
        if (arenas[i].memory == NULL) {
            return EDGETVM_BAD_ARGUMENT;
        }
        if (arenas[i].bytes < model->arena_bytes[i]) {
            return EDGETVM_ARENA_TOO_SMALL;
        }
        if (!is_aligned(arenas[i].memory, model->arena_align)) {
            return EDGETVM_ARENA_MISALIGNED;
        }
    }
    return EDGETVM_OK;
}

edgetvm_status edgetvm_run(const edgetvm_model *model, void *arena, size_t arena_bytes,
                           const void *const *inputs, void *const *outputs) {
    edgetvm_arena one;
    one.memory = arena;
    one.bytes = arena_bytes;
    return edgetvm_run_in(model, &one, 1, inputs, outputs);
}

edgetvm_status edgetvm_run_in(const edgetvm_model *model, const edgetvm_arena *arenas, int32_t count,
                              const void *const *inputs, void *const *outputs) {
    edgetvm_status status;
    if (model == NULL) {
        return EDGETVM_BAD_ARGUMENT;
    }
    if (model->abi != EDGETVM_ABI) {
        return EDGETVM_OTHER_ABI;
    }
    if (model->input_count < 0 || model->output_count < 0) {
        return EDGETVM_BAD_ARGUMENT;
    }
    status = check_arenas(model, arenas, count);
    if (status != EDGETVM_OK) {
        return status;
    }
    if (!all_aligned(model->inputs, model->input_count, inputs) ||
        !all_aligned(model->outputs, model->output_count, (const void *const *)outputs)) {
        return EDGETVM_BUFFER_MISALIGNED;
    }
#ifdef EDGETVM_THREADS
    edgetvm_threads_link();
#endif
    return model->entry(arenas, inputs, outputs) == 0 ? EDGETVM_OK : EDGETVM_KERNEL_FAILED;
}
