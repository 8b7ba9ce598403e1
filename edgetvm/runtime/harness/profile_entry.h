/* A model's entry that is compiled with this header before it (-include) is profiled. */
#ifndef EDGETVM_HARNESS_PROFILE_ENTRY_H
#define EDGETVM_HARNESS_PROFILE_ENTRY_H

#include "profile.h"

#define EDGETVM_TAP(call, output, data, bytes) profile_tap()

#endif
