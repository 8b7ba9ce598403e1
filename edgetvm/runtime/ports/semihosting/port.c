/* The harness on a Cortex-M: files over semihosting, memory from one static block, no clock, one core. */
#include "port.h"
#include "semihosting.h"

enum {
    SLACK_BYTES = 128 /* the harness's guard on both sides of the arena */,
    MODE_READ = 1,
    MODE_WRITE = 5
};

/* Room for the arena alone: tensors lie in it. Not in .bss, so that start-up does not have to clear it. */
__attribute__((section(".arena"), aligned(64))) static uint8_t memory[EDGETVM_ARENA_BYTES + SLACK_BYTES];
static size_t memory_used;

extern uint8_t __stack_bottom[]; /* from the linker script */

static size_t length(const char *text) {
    size_t count = 0;
    while (text[count] != '\0') {
        count++;
    }
    return count;
}

int port_open(const char *name, int for_writing) {
    const uintptr_t block[3] = {(uintptr_t)name, for_writing ? MODE_WRITE : MODE_READ, length(name)};
    return semihosting_call(SYS_OPEN, block);
}

int port_read(int file, void *to, size_t bytes) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)to, bytes};
    return bytes == 0 || semihosting_call(SYS_READ, block) == 0 ? 0 : -1;
}

int port_write(int file, const void *from, size_t bytes) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)from, bytes};
    return bytes == 0 || semihosting_call(SYS_WRITE, block) == 0 ? 0 : -1;
}

int port_seek(int file, size_t position) {
    const uintptr_t block[2] = {(uintptr_t)file, position};
    return semihosting_call(SYS_SEEK, block) < 0 ? -1 : 0;
}

int port_close(int file) {
    const uintptr_t block[1] = {(uintptr_t)file};
    return semihosting_call(SYS_CLOSE, block);
}

void port_message(const char *line) {
    (void)semihosting_call(SYS_WRITE0, line);
    (void)semihosting_call(SYS_WRITE0, "\n");
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

uint64_t port_nanoseconds(void) {
    return 0;
}

uint8_t *port_stack_bottom(void) {
    return __stack_bottom;
}

int port_threads(int count, int bound) {
    return count > 1 || bound ? -1 : 0;
}

int main(void) {
    return harness_main();
}
