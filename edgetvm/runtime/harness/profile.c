#include "profile.h"
#include "mark.h"
#include "port.h"
#include "report.h"

#include <stddef.h>
#include <stdint.h>

#ifndef EDGETVM_TAPS
#define EDGETVM_TAPS 1 /* how many a run of the model has; only a build to profile needs to know */
#endif

enum { CALIBRATIONS = 32 };

static uint64_t times[EDGETVM_TAPS + 2];
static uint32_t count;

static void stamp(void) {
    if (count < sizeof times / sizeof times[0]) {
        times[count++] = port_ticks();
    }
}

void profile_start(void) {
    count = 0;
    stamp();
}

void profile_tap(void) {
    markers.end();
    stamp();
    markers.begin();
}

void profile_calibrate(void) {
    uint64_t least = UINT64_MAX;
    int i;
    for (i = 0; i < CALIBRATIONS; i++) {
        count = 0;
        profile_tap();
        profile_tap();
        least = times[1] - times[0] < least ? times[1] - times[0] : least;
    }
    markers.end();
    report("tap_ns", port_nanoseconds(least));
}

void profile_report(void) {
    uint32_t i;
    for (i = 1; i < count; i++) {
        report("call_ns", port_nanoseconds(times[i] - times[i - 1]));
    }
}
