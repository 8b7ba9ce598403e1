/* The table that a program of trials is linked with. */
#ifndef EDGETVM_TRIALS_H
#define EDGETVM_TRIALS_H

#include <stddef.h>
#include <stdint.h>

enum { TRIALS_ALIGN = 64, TRIALS_MOST_ARGUMENTS = 32 };

/* One kernel, called with pointers to `inputs` arrays, then `outputs` arrays that go to outputs.bin, then `scratch`
 * others. `bytes` are those of each, `data` what each input holds. Inputs whose bit in `constants` is set are read where
 * they lie, as a model reads its weights. The outputs of a trial that is `exact` may be told by their CRC-32. A trial is
 * timed in turn with the entry `beside` of the table, or alone where that is itself. */
typedef struct {
    int32_t (*run)(void *const *arguments);
    const size_t *bytes;
    const void *const *data;
    size_t inputs, outputs, scratch, beside;
    uint32_t constants;
    int exact;
} trial;

extern const trial trials[];      /* those to run, then what they are timed beside */
extern const size_t trial_count;  /* of those to run */
extern const size_t trial_memory; /* bytes of the largest and what is beside it, but for constants */

#endif
