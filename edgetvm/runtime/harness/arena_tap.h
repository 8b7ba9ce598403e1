/* A model's entry that is compiled with this header before it (-include) hands its arenas over after every call. */
#ifndef EDGETVM_HARNESS_ARENA_TAP_H
#define EDGETVM_HARNESS_ARENA_TAP_H

#include "tap.h"

#define EDGETVM_TAP(call, output, data, bytes) tap_arenas(arenas, output)

#endif
