/* What each kernel call takes: its time, and under an emulator its instructions. The clock is stopped after
 * every output of every call; the first call has what edgetvm_run does before it on its account. */
#ifndef EDGETVM_HARNESS_PROFILE_H
#define EDGETVM_HARNESS_PROFILE_H

void profile_tap(void);

/* From here to the first tap is the first call. */
void profile_start(void);

/* `tap_ns=` is what a tap itself takes; to the plugin, the first pair of markers that it gives is one. */
void profile_calibrate(void);

/* One line `call_ns=` a tap since profile_start. */
void profile_report(void);

#endif
