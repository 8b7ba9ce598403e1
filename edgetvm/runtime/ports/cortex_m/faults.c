/* Every exception ends the program with a line that says what happened and where. */
#include "cortex_m.h"

void fault_report(const uint32_t *frame);

enum { CFSR_STACK_OVERFLOW = 1 << 20, FAULT_STATUS = 99 };

void stop(int status) {
    console_exit(status);
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

static void put_hex(uint32_t value) {
    char text[11] = "0x";
    int i;
    for (i = 0; i < 8; i++) {
        text[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 0xFu];
    }
    text[10] = '\0';
    console_put(text);
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

/* `frame` is where the processor saved r0-r3, r12, lr, pc and xpsr, if it could: not below the stack. */
__attribute__((used)) void fault_report(const uint32_t *frame) {
    uint32_t causes = 0;
    int overflow;
#if HAS_THUMB2
    causes = CFSR;
#endif
    overflow = (causes & CFSR_STACK_OVERFLOW) != 0 || frame < __stack_bottom;
    console_put("edgetvm: ");
    console_put(overflow ? "stack overflow" : exception_name(ICSR & 0x1FFu));
    if (!overflow && frame + 8 <= __stack_top) {
        console_put(" at pc ");
        put_hex(frame[6]);
    }
#if HAS_THUMB2
    console_put(", CFSR ");
    put_hex(causes);
#endif
    console_put("\n");
    console_exit(FAULT_STATUS);
}
