/* edgetvm_run: which pointers the model gets, and every argument that it refuses. */
#include "check.h"
#include "edgetvm.h"

enum { ARENA_BYTES = 64, IN_A = 0, IN_B = 16, OUT_A = 32, OUT_B = 40 };

static const int64_t shape4[] = {4};
static const int64_t shape1[] = {1};
static const edgetvm_tensor inputs[] = {
    {"a", EDGETVM_FLOAT32, 1, shape4, 16, IN_A},
    {"b", EDGETVM_INT64, 1, shape1, 8, IN_B},
};
static const edgetvm_tensor outputs[] = {
    {"c", EDGETVM_INT8, 1, shape4, 4, OUT_A},
    {"d", EDGETVM_FLOAT16, 1, shape4, 8, OUT_B},
};

/* What the last entry was called with. */
static uint8_t *seen_arena;
static const void *const *seen_in;
static void *const *seen_out;
static int calls;
static int32_t entry_result;

static int32_t entry(uint8_t *arena, const void *const *in, void *const *out) {
    seen_arena = arena;
    seen_in = in;
    seen_out = out;
    calls++;
    return entry_result;
}

static const edgetvm_model model = {"m", ARENA_BYTES, 16, 2, 2, inputs, outputs, entry};

typedef union {
    uint8_t bytes[ARENA_BYTES + 32];
    int64_t alignment;
} storage;

static uint8_t *aligned_to_16(storage *space) {
    return space->bytes + (16 - (uintptr_t)space->bytes % 16) % 16;
}

static void test_the_model_gets_what_the_caller_gave(void) {
    storage space;
    uint8_t *const arena = aligned_to_16(&space);
    float a[4] = {0};
    int8_t c[4] = {0};
    const void *const some_in[] = {a, NULL};
    void *const some_out[] = {c, NULL};
    CHECK(edgetvm_run(&model, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_OK);
    CHECK(seen_arena == arena && seen_in == NULL && seen_out == NULL);
    CHECK(edgetvm_run(&model, arena, ARENA_BYTES, some_in, some_out) == EDGETVM_OK);
    CHECK(seen_in == some_in && seen_out == some_out);
}

static void test_refusals_do_not_enter_the_model(void) {
    storage space;
    uint8_t *const arena = aligned_to_16(&space);
    edgetvm_model bad = model;
    const int before = calls;
    CHECK(edgetvm_run(NULL, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run(&model, NULL, ARENA_BYTES, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run(&model, arena, ARENA_BYTES - 1, NULL, NULL) == EDGETVM_ARENA_TOO_SMALL);
    CHECK(edgetvm_run(&model, arena + 8, ARENA_BYTES, NULL, NULL) == EDGETVM_ARENA_MISALIGNED);
    bad.input_count = -1;
    CHECK(edgetvm_run(&bad, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    bad = model;
    bad.output_count = -1;
    CHECK(edgetvm_run(&bad, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(calls == before);
}

/* Every element type: one byte off its alignment is refused, its alignment is enough. */
static void test_buffers_need_the_alignment_of_their_elements(void) {
    static const struct {
        edgetvm_dtype dtype;
        size_t bytes;
    } types[] = {
        {EDGETVM_BOOL, 1},   {EDGETVM_INT8, 1},    {EDGETVM_UINT8, 1},   {EDGETVM_INT16, 2},
        {EDGETVM_UINT16, 2}, {EDGETVM_INT32, 4},   {EDGETVM_UINT32, 4},  {EDGETVM_INT64, 8},
        {EDGETVM_UINT64, 8}, {EDGETVM_FLOAT16, 2}, {EDGETVM_FLOAT32, 4}, {EDGETVM_FLOAT64, 8},
    };
    storage space;
    storage buffer;
    uint8_t *const arena = aligned_to_16(&space);
    uint8_t *const base = aligned_to_16(&buffer);
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        const edgetvm_tensor tensor = {"t", types[i].dtype, 1, shape1, types[i].bytes, 0};
        const edgetvm_tensor pair[] = {tensor, tensor};
        const edgetvm_model typed = {"typed", ARENA_BYTES, 16, 2, 2, pair, pair, entry};
        const edgetvm_status refusal = types[i].bytes == 1 ? EDGETVM_OK : EDGETVM_BUFFER_MISALIGNED;
        const void *const good_in[] = {base + types[i].bytes, NULL};
        void *const good_out[] = {base + types[i].bytes, NULL};
        const void *const bad_in[] = {base + types[i].bytes / 2, NULL};
        void *const bad_out[] = {base + types[i].bytes / 2, NULL};
        CHECK(edgetvm_run(&typed, arena, ARENA_BYTES, good_in, good_out) == EDGETVM_OK);
        CHECK(edgetvm_run(&typed, arena, ARENA_BYTES, bad_in, good_out) == refusal);
        CHECK(edgetvm_run(&typed, arena, ARENA_BYTES, good_in, bad_out) == refusal);
    }
}

static void test_a_kernel_failure_is_reported(void) {
    storage space;
    uint8_t *const arena = aligned_to_16(&space);
    entry_result = -7;
    CHECK(edgetvm_run(&model, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_KERNEL_FAILED);
    entry_result = 0;
    CHECK(edgetvm_run(&model, arena, ARENA_BYTES, NULL, NULL) == EDGETVM_OK);
}

int main(void) {
    test_the_model_gets_what_the_caller_gave();
    test_refusals_do_not_enter_the_model();
    test_buffers_need_the_alignment_of_their_elements();
    test_a_kernel_failure_is_reported();
    return 0;
}
