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
    EDGETVM_BAD_ARGUMENT = 1,      /* model or an arena is NULL, there are fewer arenas than the model has, or
                                      it has a negative number of tensors */
    EDGETVM_ARENA_TOO_SMALL = 2,   /* an arena has less than its bytes in model->arena_bytes */
    EDGETVM_ARENA_MISALIGNED = 3,  /* an arena is not a multiple of model->arena_align */
    EDGETVM_BUFFER_MISALIGNED = 4, /* a caller's input or output is less aligned than its element */
    EDGETVM_KERNEL_FAILED = 5,     /* a kernel reported an error */
    EDGETVM_OTHER_ABI = 6          /* the model was made for another version of this file */
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

/* One input or output: row-major, dense. `offset` is its place in arena number `arena` when the caller
 * passes no buffer of its own; `bytes` its size. */
typedef struct {
    const char *name;
    edgetvm_dtype dtype;
    int32_t rank;
    const int64_t *shape;
    size_t bytes;
    size_t offset;
    int32_t arena;
} edgetvm_tensor;

/* Memory for a model's tensors. */
typedef struct {
    void *memory;
    size_t bytes;
} edgetvm_arena;

#define EDGETVM_ABI 0x45544D02u /* "ETM" and the version of the structures here */

typedef struct edgetvm_model {
    uint32_t abi; /* EDGETVM_ABI */
    const char *name;
    int32_t arena_count;       /* 1, unless the model was planned over several memory regions */
    const size_t *arena_bytes; /* of each arena */
    size_t arena_align;        /* of every arena, a power of two */
    int32_t input_count;
    int32_t output_count;
    const edgetvm_tensor *inputs;
    const edgetvm_tensor *outputs;
    /* Runs the kernels in order, with the arguments of edgetvm_run_in, unchecked. Returns 0, or the kernel's
     * error. */
    int32_t (*entry)(const edgetvm_arena *arenas, const void *const *inputs, void *const *outputs);
} edgetvm_model;

/* Run `model`, which has one arena, once.
 *
 * arena    at least model->arena_bytes[0] bytes, aligned to model->arena_align;
 *          its contents are undefined on return.
 * inputs, outputs   one pointer a tensor; a NULL entry (or a NULL array: all of them) means the
 *          tensor lies in the arena at its `offset`, where its bytes are reused once dead.
 * Not reentrant on one arena; any number of arenas may run at once.
 */
edgetvm_status edgetvm_run(const edgetvm_model *model, void *arena, size_t arena_bytes,
                           const void *const *inputs, void *const *outputs);

/* The same for any model: `arenas` has one for each memory region over which it was planned, in the order of
 * model->arena_bytes, that do not overlap. `count` may be more than model->arena_count. */
edgetvm_status edgetvm_run_in(const edgetvm_model *model, const edgetvm_arena *arenas, int32_t count,
                              const void *const *inputs, void *const *outputs);

#ifdef __cplusplus
}
#endif

#endif
