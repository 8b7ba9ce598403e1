/* A model's entry that is compiled with this header before it (-include) hands each output over after its call. */
#ifndef EDGETVM_HARNESS_OUTPUT_TAP_H
#define EDGETVM_HARNESS_OUTPUT_TAP_H

#include "tap.h"

#define EDGETVM_TAP(call, output, data, bytes) tap_write(data, bytes)

#endif
