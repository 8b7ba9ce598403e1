/* taps.bin: what a model's entry hands over right after each kernel call, one after the other, sample after sample.
 *
 * Written from where it lies, so that it takes no memory.
 */
#ifndef EDGETVM_HARNESS_TAP_H
#define EDGETVM_HARNESS_TAP_H

#include "edgetvm.h"

#include <stddef.h>

/* From tap_open to tap_close; otherwise they do nothing. */
void tap_write(const void *data, size_t bytes);
void tap_arenas(const edgetvm_arena *arenas, int output); /* all of them, once a call: with its output 0 */

int tap_open(void);  /* 0, or -1 */
int tap_close(void); /* 0, or -1 when something was not written */

#endif
