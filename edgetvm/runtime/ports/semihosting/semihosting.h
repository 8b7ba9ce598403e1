/* The debugger or emulator as the operating system of a Cortex-M (Arm's semihosting). */
#ifndef EDGETVM_SEMIHOSTING_H
#define EDGETVM_SEMIHOSTING_H

#include <stdint.h>

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_SEEK = 0x0A,
    SYS_EXIT_EXTENDED = 0x20
};

static inline int32_t semihosting_call(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static inline void semihosting_exit(uint32_t status) {
    const uint32_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, status};
    for (;;) {
        (void)semihosting_call(SYS_EXIT_EXTENDED, block);
    }
}

#endif
