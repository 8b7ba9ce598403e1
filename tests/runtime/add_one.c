/* A model of one operator, y = x + 1 on four floats, laid out as a compiled one is. */
#include "edgetvm.h"
#include "output_tap.h"

static int32_t run(const edgetvm_arena *arenas, const void *const *in, void *const *out) {
    uint8_t *const arena = arenas[0].memory;
    const float *const x = in != NULL && in[0] != NULL ? in[0] : (const void *)arena;
    float *const y = out != NULL && out[0] != NULL ? out[0] : (void *)(arena + 16);
    int i;
    for (i = 0; i < 4; i++) {
        y[i] = x[i] + 1.0f;
    }
    EDGETVM_TAP(0, 0, y, 16);
    return 0;
}

extern const edgetvm_model add_one_model;
static const int64_t shape[1] = {4};
static const edgetvm_tensor inputs[1] = {{"x", EDGETVM_FLOAT32, 1, shape, 16, 0, 0}};
static const edgetvm_tensor outputs[1] = {{"y", EDGETVM_FLOAT32, 1, shape, 16, 16, 0}};
static const size_t arena_bytes[1] = {32};
const edgetvm_model add_one_model = {EDGETVM_ABI, "add_one", 1, arena_bytes, 16, 1, 1, inputs, outputs, run};
