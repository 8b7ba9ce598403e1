/* report.txt: one `key=value` line a fact, values unsigned decimal. */
#ifndef EDGETVM_HARNESS_REPORT_H
#define EDGETVM_HARNESS_REPORT_H

#include <stdint.h>

int report_open(void); /* 0, or -1 */
void report(const char *key, uint64_t value);

#endif
