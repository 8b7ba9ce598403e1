/* The smallest program around a model: what it takes of flash and RAM when nothing else is there. */
#include "cortex_m.h"
#include "edgetvm.h"

extern const edgetvm_model EDGETVM_MODEL;

/* In words of 8 bytes, so that it is aligned for every element. */
__attribute__((section(".arena"))) static uint64_t arena[(EDGETVM_ARENA_BYTES + 7) / 8];

int main(void) {
    return (int)edgetvm_run(&EDGETVM_MODEL, arena, sizeof arena, NULL, NULL);
}

void fault_handler(void) {
    for (;;) {
    }
}

void stop(int status) {
    (void)status;
    for (;;) {
    }
}
