#include "stack.h"
#include "port.h"

/* Reads and writes stack that belongs to no variable, which AddressSanitizer takes for a mistake. */
#define RAW_STACK __attribute__((noinline, no_sanitize_address))

enum { FILL = 0xA5, OWN_FRAME_BYTES = 128 };

RAW_STACK void stack_paint(void) {
    volatile uint8_t *at = port_stack_bottom();
    const uintptr_t end = (uintptr_t)__builtin_frame_address(0) - OWN_FRAME_BYTES;
    while ((uintptr_t)at < end) {
        *at++ = FILL;
    }
}

RAW_STACK size_t stack_touched(void) {
    const volatile uint8_t *at = port_stack_bottom();
    const uintptr_t end = (uintptr_t)__builtin_frame_address(0);
    while ((uintptr_t)at < end && *at == FILL) {
        at++;
    }
    return end - (uintptr_t)at;
}

RAW_STACK size_t stack_available(void) {
    return (uintptr_t)__builtin_frame_address(0) - (uintptr_t)port_stack_bottom();
}
