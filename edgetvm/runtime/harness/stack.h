/* How deep a call went, by painting the stack before it and looking afterwards. */
#ifndef EDGETVM_HARNESS_STACK_H
#define EDGETVM_HARNESS_STACK_H

#include <stddef.h>

void stack_paint(void);

/* Bytes below the caller's frame that were written since stack_paint was called from it; all of them,
 * down to the last one, if the stack was too small. */
size_t stack_touched(void);
size_t stack_available(void);

#endif
