/* The harness on a Cortex-M: memory from one static block, the core's cycle counter as the clock, one core. */
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

#if HAS_THUMB2 && defined EDGETVM_CLOCK_KHZ

/* Cycles at the clock that the board is made for, whatever it runs at. The counter wraps in half a minute or
 * more: it is looked at more often. An emulator's stays 0. */
uint64_t port_nanoseconds(void) {
    static uint64_t wrapped;
    static uint32_t last;
    const uint32_t now = DWT_CYCCNT;
    if (now < last) {
        wrapped += (uint64_t)1 << 32;
    }
    last = now;
    return (wrapped + now) * 1000000u / EDGETVM_CLOCK_KHZ;
}

static void start_clock(void) {
    DEMCR |= 1u << 24;     /* TRCENA: the counter has power */
    DWT_LAR = 0xC5ACCE55u; /* some chips lock it */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
}

#else

uint64_t port_nanoseconds(void) {
    return 0;
}

static void start_clock(void) {
}

#endif

int main(void) {
    start_clock();
    return harness_main();
}
