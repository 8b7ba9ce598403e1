/* The smallest program around a model: what it takes of flash and RAM when nothing else is there. */
#include "cortex_m.h"
#include "edgetvm.h"

extern const edgetvm_model EDGETVM_MODEL;

/* In words of 8 bytes, so that they are aligned for every element. */
#define DEFINED(number, bytes)                                                                               \
    __attribute__((section(".arena." #number))) static uint64_t arena_##number[(bytes + 7) / 8];
#define LISTED(number, bytes) {arena_##number, sizeof arena_##number},
#define COUNT(number, bytes) +1
EDGETVM_ARENAS(DEFINED)

enum { ARENAS = EDGETVM_ARENAS(COUNT) };

int main(void) {
    const edgetvm_arena arenas[] = {EDGETVM_ARENAS(LISTED)};
    return ARENAS == 1 ? (int)edgetvm_run(&EDGETVM_MODEL, arenas[0].memory, arenas[0].bytes, NULL, NULL)
                       : (int)edgetvm_run_in(&EDGETVM_MODEL, arenas, ARENAS, NULL, NULL);
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
