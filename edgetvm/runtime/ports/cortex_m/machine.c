/* The harness on a Cortex-M: memory from a static block an arena, one core. */
#include "cortex_m.h"
#include "port.h"

enum { SLACK_BYTES = 128 /* the harness's guard on both sides of an arena */ };

/* Room for the arenas alone: tensors lie in them. Not in .bss, so that start-up does not have to clear it. */
#define DEFINED(number, bytes)                                                                               \
    __attribute__((section(".arena." #number),                                                               \
                   aligned(64))) static uint8_t memory_##number[bytes + SLACK_BYTES];
#define LISTED(number, bytes) {memory_##number, sizeof memory_##number, 0},
EDGETVM_ARENAS(DEFINED)

static struct {
    uint8_t *memory;
    size_t bytes, used;
} regions[] = {EDGETVM_ARENAS(LISTED)};

void port_message(const char *line) {
    console_put(line);
    console_put("\n");
}

void *port_memory(int32_t arena, size_t bytes, size_t align) {
    const uintptr_t base = (uintptr_t)regions[arena].memory;
    const size_t at = (size_t)((base + regions[arena].used + align - 1) / align * align - base);
    if (at + bytes > regions[arena].bytes) {
        return NULL;
    }
    regions[arena].used = at + bytes;
    return regions[arena].memory + at;
}

uint8_t *port_stack_bottom(void) {
    return (uint8_t *)__stack_bottom;
}

int port_threads(int count, int bound) {
    return count > 1 || bound ? -1 : 0;
}

int main(void) {
    caches_start();
    clock_start();
    return harness_main();
}
