/* Reset and vectors of any Cortex-M. The linker script gives the symbols and places `.vectors`. */
#include "cortex_m.h"

extern uint32_t __data_lma[], __data_start[], __data_end[], __bss_start[], __bss_end[];

int main(void);
void reset_handler(void);
void start(void);

typedef union {
    void (*handler)(void);
    const uint32_t *stack;
} vector;

__attribute__((section(".vectors"), used)) const vector edgetvm_vectors[16] = {
    {.stack = __stack_top},     {.handler = reset_handler}, {.handler = fault_handler},
    {.handler = fault_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = fault_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = fault_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = fault_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = tick_handler},
};

/* Only what must precede any float or vector instruction, one of which may open `start`. */
void reset_handler(void) {
#if HAS_THUMB2
    CPACR |= 0xFu << 20; /* full access to CP10 and CP11: FPU and MVE */
    SHCSR |= 0xFu << 16; /* memory, bus, usage and secure faults under their own names */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
#if HAS_THUMB2 && __ARM_ARCH >= 8
    __asm__ volatile("msr msplim, %0" ::"r"(__stack_bottom));
#endif
    start();
}

/* Volatile, or a compiler makes these loops calls of memcpy and memset. */
__attribute__((noinline)) void start(void) {
    const volatile uint32_t *from = __data_lma;
    volatile uint32_t *to;
    for (to = __data_start; to < __data_end; to++) {
        *to = *from++;
    }
    for (to = __bss_start; to < __bss_end; to++) {
        *to = 0;
    }
    stop(main());
}
