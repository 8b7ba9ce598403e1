/* What start-up code and the ports around it share on a Cortex-M. */
#ifndef EDGETVM_CORTEX_M_H
#define EDGETVM_CORTEX_M_H

#include <stdint.h>

/* Reserved names, because linker scripts keep to them: no C identifier of a program can collide. */
extern uint32_t __stack_top[], __stack_bottom[];

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define ICSR REGISTER(0xE000ED04u)
#define SHCSR REGISTER(0xE000ED24u)
#define CFSR REGISTER(0xE000ED28u)
#define CPACR REGISTER(0xE000ED88u)

#define HAS_THUMB2                                                                                           \
    (__ARM_ARCH_ISA_THUMB >= 2) /* not Cortex-M0, M0+, M1 or M23: those have no CPACR, no CFSR */

/* Of a real board, which EDGETVM_CLOCK_KHZ tells: its clock and, with EDGETVM_CACHES, its caches. */
void clock_start(void);
void caches_start(void);

/* Where SysTick goes: to the clock of a core that has no better one. */
#if defined EDGETVM_CLOCK_KHZ && !HAS_THUMB2
void tick_handler(void);
#else
#define tick_handler fault_handler
#endif

/* Given by the port: where every exception goes, and where the program ends. */
void fault_handler(void);
void stop(int status);

/* Given by what stands for a console: text for the person at the other end, and the end of the program. */
void console_put(const char *text);
void console_exit(int status);

#endif
