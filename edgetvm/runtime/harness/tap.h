/* taps.bin: every output of every kernel call, one after the other, sample after sample.
 *
 * A model's entry that is compiled with this header before it (-include) hands each output over right
 * after its call. Written from where it lies, so that it takes no memory.
 */
#ifndef EDGETVM_HARNESS_TAP_H
#define EDGETVM_HARNESS_TAP_H

#include <stddef.h>

#define EDGETVM_TAP(call, output, data, bytes) tap_write(data, bytes)

/* From tap_open to tap_close; otherwise it does nothing. */
void tap_write(const void *data, size_t bytes);

int tap_open(void);  /* 0, or -1 */
int tap_close(void); /* 0, or -1 when an output was not written */

#endif
