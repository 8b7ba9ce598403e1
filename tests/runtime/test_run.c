/* edgetvm_run: which pointers the model gets, and every argument that it refuses. */
#include "check.h"
#include "edgetvm.h"

enum { ARENA_BYTES = 64, IN_A = 0, IN_B = 16, OUT_A = 32, OUT_B = 40 };

static const int64_t shape4[] = {4};
static const int64_t shape1[] = {1};
static const edgetvm_tensor inputs[] = {
    {"a", EDGETVM_FLOAT32, 1, shape4, 16, IN_A, 0},
    {"b", EDGETVM_INT64, 1, shape1, 8, IN_B, 0},
};
static const edgetvm_tensor outputs[] = {
    {"c", EDGETVM_INT8, 1, shape4, 4, OUT_A, 0},
    {"d", EDGETVM_FLOAT16, 1, shape4, 8, OUT_B, 0},
};

/* What the last entry was called with. */
static const edgetvm_arena *seen_arenas;
static const void *seen_memory;
static const void *const *seen_in;
static void *const *seen_out;
static int calls;
static int32_t entry_result;

static int32_t entry(const edgetvm_arena *arenas, const void *const *in, void *const *out) {
    seen_arenas = arenas;
    seen_memory = arenas[0].memory;
    seen_in = in;
    seen_out = out;
    calls++;
    return entry_result;
}

static const size_t arena_bytes[] = {ARENA_BYTES, ARENA_BYTES / 2};
static const edgetvm_model model = {EDGETVM_ABI, "m", 1, arena_bytes, 16, 2, 2, inputs, outputs, entry};

/* The same with a second arena, of half the size. */
static const edgetvm_model apart = {EDGETVM_ABI, "apart", 2, arena_bytes, 16, 2, 2, inputs, outputs, entry};

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
    CHECK(seen_memory == arena && seen_in == NULL && seen_out == NULL);
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

/* What was compiled for an older runtime began with the address of its name. */
static void test_a_model_of_another_abi(void) {
    storage space;
    static const char *const older[16] = {"m"};
    edgetvm_model bad = model;
    const int before = calls;
    const void *const table = older;
    bad.abi = EDGETVM_ABI + 1;
    CHECK(edgetvm_run(&bad, aligned_to_16(&space), ARENA_BYTES, NULL, NULL) == EDGETVM_OTHER_ABI);
    CHECK(edgetvm_run(&bad, NULL, 0, NULL, NULL) == EDGETVM_OTHER_ABI);
    CHECK(edgetvm_run(table, aligned_to_16(&space), ARENA_BYTES, NULL, NULL) == EDGETVM_OTHER_ABI);
    CHECK(calls == before);
}

static void test_the_model_gets_all_arenas(void) {
    storage first, second;
    const edgetvm_arena arenas[] = {{aligned_to_16(&first), ARENA_BYTES},
                                    {aligned_to_16(&second), ARENA_BYTES / 2}};
    CHECK(edgetvm_run_in(&apart, arenas, 2, NULL, NULL) == EDGETVM_OK);
    CHECK(seen_arenas == arenas && seen_in == NULL && seen_out == NULL);
    CHECK(edgetvm_run_in(&model, arenas, 2, NULL, NULL) == EDGETVM_OK); /* one more than it has */
    CHECK(seen_arenas == arenas);
}

/* For each arena in turn, while the other one is right. */
static void test_every_arena_is_checked(void) {
    storage first, second;
    const edgetvm_arena good[] = {{aligned_to_16(&first), ARENA_BYTES},
                                  {aligned_to_16(&second), ARENA_BYTES / 2}};
    const int before = calls;
    int i;
    CHECK(edgetvm_run_in(&apart, NULL, 2, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run_in(&apart, good, 1, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run_in(&apart, good, -1, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run_in(NULL, good, 2, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    CHECK(edgetvm_run(&apart, good[0].memory, ARENA_BYTES, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
    for (i = 0; i < 2; i++) {
        edgetvm_arena arenas[] = {good[0], good[1]};
        arenas[i].memory = NULL;
        CHECK(edgetvm_run_in(&apart, arenas, 2, NULL, NULL) == EDGETVM_BAD_ARGUMENT);
        arenas[i].memory = (uint8_t *)good[i].memory + 8;
        CHECK(edgetvm_run_in(&apart, arenas, 2, NULL, NULL) == EDGETVM_ARENA_MISALIGNED);
        arenas[i] = good[i];
        arenas[i].bytes--;
        CHECK(edgetvm_run_in(&apart, arenas, 2, NULL, NULL) == EDGETVM_ARENA_TOO_SMALL);
    }
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
        const edgetvm_tensor tensor = {"t", types[i].dtype, 1, shape1, types[i].bytes, 0, 0};
        const edgetvm_tensor pair[] = {tensor, tensor};
        const edgetvm_model typed = {EDGETVM_ABI, "typed", 1, arena_bytes, 16, 2, 2, pair, pair, entry};
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
    test_a_model_of_another_abi();
    test_the_model_gets_all_arenas();
    test_every_arena_is_checked();
    test_buffers_need_the_alignment_of_their_elements();
    test_a_kernel_failure_is_reported();
    return 0;
}
