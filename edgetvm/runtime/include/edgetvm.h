/* EdgeTVM: run one ahead-of-time compiled model. C99, no heap, no globals to initialise. */
#ifndef EDGETVM_H
#define EDGETVM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    EDGETVM_OK = 0,
    EDGETVM_BAD_ARGUMENT = 1,      /* model or arena is NULL, or the model has a negative number of tensors */
    EDGETVM_ARENA_TOO_SMALL = 2,   /* arena_bytes < model->arena_bytes */
    EDGETVM_ARENA_MISALIGNED = 3,  /* arena is not a multiple of model->arena_align */
    EDGETVM_BUFFER_MISALIGNED = 4, /* a caller's input or output is less aligned than its element */
    EDGETVM_KERNEL_FAILED = 5      /* a kernel reported an error */
} edgetvm_status;

typedef enum {
    EDGETVM_BOOL = 0,
    EDGETVM_INT8 = 1,
    EDGETVM_UINT8 = 2,
    EDGETVM_INT16 = 3,
    EDGETVM_UINT16 = 4,
    EDGETVM_INT32 = 5,
    EDGETVM_UINT32 = 6,
    EDGETVM_INT64 = 7,
    EDGETVM_UINT64 = 8,
    EDGETVM_FLOAT16 = 9,
    EDGETVM_FLOAT32 = 10,
    EDGETVM_FLOAT64 = 11
} edgetvm_dtype;

/* One input or output: row-major, dense. `offset` is its place in the arena when the caller
 * passes no buffer of its own; `bytes` its size. */
typedef struct {
    const char *name;
    edgetvm_dtype dtype;
    int32_t rank;
    const int64_t *shape;
    size_t bytes;
    size_t offset;
} edgetvm_tensor;

typedef struct edgetvm_model {
    const char *name;
    size_t arena_bytes;
    size_t arena_align; /* a power of two */
    int32_t input_count;
    int32_t output_count;
    const edgetvm_tensor *inputs;
    const edgetvm_tensor *outputs;
    /* Runs the kernels in order, with the arguments of edgetvm_run, unchecked. Returns 0, or the kernel's error. */
    int32_t (*entry)(uint8_t *arena, const void *const *inputs, void *const *outputs);
} edgetvm_model;

/* Run `model` once.
 *
 * arena    at least model->arena_bytes, aligned to model->arena_align;
 *          its contents are undefined on return.
 * inputs, outputs   one pointer a tensor; a NULL entry (or a NULL array: all of them) means the
 *          tensor lies in the arena at its `offset`, where its bytes are reused once dead.
 * Not reentrant on one arena; any number of arenas may run at once.
 */
edgetvm_status edgetvm_run(const edgetvm_model *model, void *arena, size_t arena_bytes,
                           const void *const *inputs, void *const *outputs);

#ifdef __cplusplus
}
#endif

#endif
