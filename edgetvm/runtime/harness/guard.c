#include "guard.h"

void guard_fill(uint8_t *arena, size_t bytes, uint8_t fill) {
    uint8_t *const from = arena - GUARD_BYTES;
    size_t i;
    for (i = 0; i < bytes + 2 * (size_t)GUARD_BYTES; i++) {
        from[i] = fill;
    }
}

int guard_holds(const uint8_t *arena, size_t bytes, uint8_t fill) {
    const uint8_t *const before = arena - GUARD_BYTES;
    const uint8_t *const after = arena + bytes;
    size_t i;
    for (i = 0; i < GUARD_BYTES; i++) {
        if (before[i] != fill || after[i] != fill) {
            return 0;
        }
    }
    return 1;
}

size_t guard_touched(const uint8_t *arena, size_t bytes, uint8_t fill) {
    while (bytes != 0 && arena[bytes - 1] == fill) {
        bytes--;
    }
    return bytes;
}
