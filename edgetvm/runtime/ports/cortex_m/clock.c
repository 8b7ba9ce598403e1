/* The clock of a real board: cycles of its core at the clock that it is made for, whatever it runs at. An emulator
 * without one stands at 0. */
#include "cortex_m.h"
#include "port.h"

#if !defined EDGETVM_CLOCK_KHZ

void clock_start(void) {
}

uint64_t port_ticks(void) {
    return 0;
}

uint64_t port_nanoseconds(uint64_t ticks) {
    return ticks;
}

#else

uint64_t port_nanoseconds(uint64_t ticks) {
    return ticks * 1000000u / EDGETVM_CLOCK_KHZ;
}

#if HAS_THUMB2

#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)

void clock_start(void) {
    DEMCR |= 1u << 24;     /* TRCENA: the counter has power */
    DWT_LAR = 0xC5ACCE55u; /* some chips lock it */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
}

/* The counter wraps in half a minute or more: it is looked at more often. */
uint64_t port_ticks(void) {
    static uint64_t wrapped;
    static uint32_t last;
    const uint32_t now = DWT_CYCCNT;
    if (now < last) {
        wrapped += (uint64_t)1 << 32;
    }
    last = now;
    return wrapped + now;
}

#else

#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)

enum { BITS = 24, LARGEST = (1 << BITS) - 1 };

static volatile uint32_t wraps;

void tick_handler(void) {
    wraps++;
}

void clock_start(void) {
    SYST_RVR = LARGEST;
    SYST_CVR = 0;
    SYST_CSR = 7; /* on, with its exception, at the clock of the core */
}

/* It counts down, and its exception comes as it reaches 0. */
uint64_t port_ticks(void) {
    uint32_t before, left;
    do {
        before = wraps;
        left = SYST_CVR;
    } while (before != wraps);
    return ((uint64_t)before << BITS) + (-left & LARGEST);
}

#endif
#endif
