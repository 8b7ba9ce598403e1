/* The console of a debugger or emulator. */
#include "cortex_m.h"
#include "semihosting.h"

void console_put(const char *text) {
    (void)semihosting_call(SYS_WRITE0, text);
}

void console_exit(int status) {
    semihosting_exit((uint32_t)status);
}
