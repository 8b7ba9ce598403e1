/* A model of one operator, y = x + 1 on four floats, laid out as a compiled one is. */
#include "edgetvm.h"
#include "output_tap.h"

static int32_t run(uint8_t *arena, const void *const *in, void *const *out) {
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
static const edgetvm_tensor inputs[1] = {{"x", EDGETVM_FLOAT32, 1, shape, 16, 0}};
static const edgetvm_tensor outputs[1] = {{"y", EDGETVM_FLOAT32, 1, shape, 16, 16}};
const edgetvm_model add_one_model = {"add_one", 32, 16, 1, 1, inputs, outputs, run};
