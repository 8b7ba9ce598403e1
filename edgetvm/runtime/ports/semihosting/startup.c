/* Reset, vectors and faults of any Cortex-M. The linker script gives the symbols and places `.vectors`. */
#include "semihosting.h"

/* Reserved names, because linker scripts keep to them: no C identifier of a program can collide. */
extern uint32_t __stack_top[], __stack_bottom[], __data_lma[], __data_start[], __data_end[], __bss_start[],
    __bss_end[];

int main(void);
void reset_handler(void);
void fault_handler(void);
void fault_report(const uint32_t *frame);
void start(void);

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define ICSR REGISTER(0xE000ED04u)
#define SHCSR REGISTER(0xE000ED24u)
#define CFSR REGISTER(0xE000ED28u)
#define CPACR REGISTER(0xE000ED88u)

#define HAS_THUMB2                                                                                           \
    (__ARM_ARCH_ISA_THUMB >= 2) /* not Cortex-M0, M0+, M1 or M23: those have no CPACR, no CFSR */

enum { CFSR_STACK_OVERFLOW = 1 << 20, FAULT_STATUS = 99 };

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
    {.handler = fault_handler},
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
    semihosting_exit((uint32_t)main());
}

/* The stack may be what is broken: report from a fresh one. */
__attribute__((naked)) void fault_handler(void) {
    __asm__ volatile("mrs r0, msp\n\t"
                     "ldr r1, =__stack_top\n\t"
                     "mov sp, r1\n\t"
                     "ldr r1, =fault_report\n\t"
                     "bx r1\n\t"
                     ".ltorg");
}

static void put(const char *text) {
    (void)semihosting_call(SYS_WRITE0, text);
}

static void put_hex(uint32_t value) {
    char text[11] = "0x";
    int i;
    for (i = 0; i < 8; i++) {
        text[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 0xFu];
    }
    text[10] = '\0';
    put(text);
}

static const char *exception_name(uint32_t number) {
    switch (number) {
    case 2:
        return "NMI";
    case 3:
        return "HardFault";
    case 4:
        return "MemManage fault";
    case 5:
        return "BusFault";
    case 6:
        return "UsageFault";
    case 7:
        return "SecureFault";
    default:
        return "unexpected exception";
    }
}

/* `frame` is where the processor saved r0-r3, r12, lr, pc and xpsr, if it could. */
__attribute__((used)) void fault_report(const uint32_t *frame) {
    uint32_t causes = 0;
#if HAS_THUMB2
    causes = CFSR;
#endif
    put("edgetvm: ");
    put((causes & CFSR_STACK_OVERFLOW) != 0 ? "stack overflow" : exception_name(ICSR & 0x1FFu));
    if ((causes & CFSR_STACK_OVERFLOW) == 0 && frame >= __stack_bottom && frame + 8 <= __stack_top) {
        put(" at pc ");
        put_hex(frame[6]);
    }
#if HAS_THUMB2
    put(", CFSR ");
    put_hex(causes);
#endif
    put("\n");
    semihosting_exit(FAULT_STATUS);
}
