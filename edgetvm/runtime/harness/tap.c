#include "tap.h"
#include "edgetvm.h"
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

void tap_arena(const uint8_t *arena, int output) {
    if (output == 0) {
        tap_write(arena, EDGETVM_MODEL.arena_bytes);
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
