/* The table that a program of trials is linked with. */
#ifndef EDGETVM_TRIALS_H
#define EDGETVM_TRIALS_H

#include <stddef.h>
#include <stdint.h>

enum { TRIALS_ALIGN = 64, TRIALS_MOST_ARGUMENTS = 32 };

/* One kernel, called with pointers to `inputs` arrays that inputs.bin holds, then `outputs` arrays that go to
 * outputs.bin, then `scratch` others. `bytes` are those of each. */
typedef struct {
    int32_t (*run)(void *const *arguments);
    const size_t *bytes;
    size_t inputs, outputs, scratch;
} trial;

extern const trial trials[];
extern const size_t trial_count;
extern const size_t trial_memory; /* bytes of the largest, its gaps and guards included */

#endif
