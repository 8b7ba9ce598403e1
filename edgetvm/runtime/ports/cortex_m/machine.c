/* The harness on a Cortex-M: memory from one static block, one core. */
#include "cortex_m.h"
#include "port.h"

enum { SLACK_BYTES = 128 /* the harness's guard on both sides of the arena */ };

/* Room for the arena alone: tensors lie in it. Not in .bss, so that start-up does not have to clear it. */
__attribute__((section(".arena"), aligned(64))) static uint8_t memory[EDGETVM_ARENA_BYTES + SLACK_BYTES];
static size_t memory_used;

void port_message(const char *line) {
    console_put(line);
    console_put("\n");
}

void *port_memory(size_t bytes, size_t align) {
    const uintptr_t base = (uintptr_t)memory;
    const size_t at = (size_t)((base + memory_used + align - 1) / align * align - base);
    if (at + bytes > sizeof memory) {
        return NULL;
    }
    memory_used = at + bytes;
    return memory + at;
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
