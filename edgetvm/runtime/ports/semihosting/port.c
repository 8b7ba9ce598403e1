/* Files over semihosting. */
#include "port.h"
#include "semihosting.h"

enum { MODE_READ = 1, MODE_WRITE = 5 };

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
