#include "tap.h"
#include "port.h"

extern const edgetvm_model EDGETVM_MODEL;

static int file;
static int is_open;
static int failed;

void tap_write(const void *data, size_t bytes) {
    if (is_open && port_write(file, data, bytes) != 0) {
        failed = 1;
    }
}

void tap_arenas(const edgetvm_arena *arenas, int output) {
    int32_t i;
    for (i = 0; output == 0 && i < EDGETVM_MODEL.arena_count; i++) {
        tap_write(arenas[i].memory, EDGETVM_MODEL.arena_bytes[i]);
    }
}

int tap_open(void) {
    file = port_open("taps.bin", 1);
    is_open = file >= 0;
    return is_open ? 0 : -1;
}

int tap_close(void) {
    is_open = 0;
    return failed ? -1 : 0;
}
