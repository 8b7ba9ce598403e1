/* Checks one call's arguments, gives every tensor an address, and enters the model. */
#include "edgetvm.h"

#ifdef EDGETVM_THREADS
#include "edgetvm_threads.h"
#endif

static size_t element_bytes(edgetvm_dtype dtype) {
    switch (dtype) {
    case EDGETVM_BOOL:
    case EDGETVM_INT8:
    case EDGETVM_UINT8:
        return 1;
    case EDGETVM_INT16:
    case EDGETVM_UINT16:
    case EDGETVM_FLOAT16:
        return 2;
    case EDGETVM_INT32:
    case EDGETVM_UINT32:
    case EDGETVM_FLOAT32:
        return 4;
    case EDGETVM_INT64:
    case EDGETVM_UINT64:
    case EDGETVM_FLOAT64:
        return 8;
    }
    return 1;
}

/* By mask, since a Cortex-M0 or A8 divides in a loop. Every alignment is a power of two. */
static int is_aligned(const void *pointer, size_t align) {
    return ((uintptr_t)pointer & (align - 1)) == 0;
}

static int bad_count(int32_t count) {
    return count < 0 || count > EDGETVM_MAX_TENSORS;
}

edgetvm_status edgetvm_run(const edgetvm_model *model, void *arena, size_t arena_bytes,
                           const void *const *inputs, void *const *outputs) {
    const void *in[EDGETVM_MAX_TENSORS];
    void *out[EDGETVM_MAX_TENSORS];
    uint8_t *const base = arena;
    int32_t i;

    if (model == NULL || arena == NULL || bad_count(model->input_count) || bad_count(model->output_count)) {
        return EDGETVM_BAD_ARGUMENT;
    }
    if (arena_bytes < model->arena_bytes) {
        return EDGETVM_ARENA_TOO_SMALL;
    }
    if (!is_aligned(arena, model->arena_align)) {
        return EDGETVM_ARENA_MISALIGNED;
    }
    for (i = 0; i < model->input_count; i++) {
        const edgetvm_tensor *const tensor = &model->inputs[i];
        in[i] = inputs != NULL && inputs[i] != NULL ? inputs[i] : base + tensor->offset;
        if (!is_aligned(in[i], element_bytes(tensor->dtype))) {
            return EDGETVM_BUFFER_MISALIGNED;
        }
    }
    for (i = 0; i < model->output_count; i++) {
        const edgetvm_tensor *const tensor = &model->outputs[i];
        out[i] = outputs != NULL && outputs[i] != NULL ? outputs[i] : base + tensor->offset;
        if (!is_aligned(out[i], element_bytes(tensor->dtype))) {
            return EDGETVM_BUFFER_MISALIGNED;
        }
    }
#ifdef EDGETVM_THREADS
    edgetvm_threads_link();
#endif
    return model->entry(base, in, out) == 0 ? EDGETVM_OK : EDGETVM_KERNEL_FAILED;
}
