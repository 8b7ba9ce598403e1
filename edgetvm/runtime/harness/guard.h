/* What a run wrote, by filling the arena and both its sides before it and looking afterwards. */
#ifndef EDGETVM_HARNESS_GUARD_H
#define EDGETVM_HARNESS_GUARD_H

#include <stddef.h>
#include <stdint.h>

enum { GUARD_BYTES = 64 }; /* the arena's owner leaves as many on either side of it */

void guard_fill(uint8_t *arena, size_t bytes, uint8_t fill);

/* Whether both sides are still filled. */
int guard_holds(const uint8_t *arena, size_t bytes, uint8_t fill);

/* Bytes from the arena's start to the last one that is not `fill`. */
size_t guard_touched(const uint8_t *arena, size_t bytes, uint8_t fill);

#endif
