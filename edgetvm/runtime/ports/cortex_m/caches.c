/* The caches of a Cortex-M that has some: off after reset, and with anything in them (Arm DDI 0403E, B2.2 and B3.2). */
#include "cortex_m.h"

#if !defined EDGETVM_CACHES

void caches_start(void) {
}

#else

#define CCR REGISTER(0xE000ED14u)
#define CCSIDR REGISTER(0xE000ED80u)
#define CSSELR REGISTER(0xE000ED84u)
#define ICIALLU REGISTER(0xE000EF50u)
#define DCISW REGISTER(0xE000EF60u)
#define BARRIER() __asm__ volatile("dsb\n\tisb" ::: "memory")

enum { DATA_CACHE = 1 << 16, INSTRUCTION_CACHE = 1 << 17 };

static void invalidate_data_cache(void) {
    uint32_t size, sets, ways, set, way;
    CSSELR = 0; /* of level 1 */
    BARRIER();
    size = CCSIDR;
    sets = ((size >> 13) & 0x7FFFu) + 1;
    ways = ((size >> 3) & 0x3FFu) + 1;
    for (set = 0; set < sets; set++) {
        for (way = 0; way < ways; way++) {
            /* The way stands in the uppermost bits, as many as it needs. */
            const uint32_t upper = ways == 1 ? 0 : way << __builtin_clz(ways - 1);
            DCISW = upper | set << ((size & 7u) + 4);
        }
    }
}

void caches_start(void) {
    ICIALLU = 0;
    invalidate_data_cache();
    BARRIER();
    CCR |= DATA_CACHE | INSTRUCTION_CACHE;
    BARRIER();
}

#endif
