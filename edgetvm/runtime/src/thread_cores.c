/* Which cores are the fastest, as Linux says: by their capacity, which its scheduler knows of big.LITTLE, or
 * where it tells none by their highest frequency.
 */
#define _GNU_SOURCE /* sched_getaffinity */

#include "edgetvm_threads.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

static long number_in(const char *pattern, int core) {
    char path[80];
    long value = -1;
    FILE *file;
    (void)snprintf(path, sizeof path, pattern, core);
    file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%ld", &value) != 1) {
            value = -1;
        }
        (void)fclose(file);
    }
    return value;
}

static long speed_of(int core) {
    const long capacity = number_in("/sys/devices/system/cpu/cpu%d/cpu_capacity", core);
    return capacity >= 0 ? capacity
                         : number_in("/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", core);
}

int edgetvm_threads_fastest(int count, int *cores) {
    cpu_set_t left;
    int i, core;
    if (count < 1 || count > EDGETVM_MAX_THREADS) {
        return EINVAL;
    }
    if (sched_getaffinity(0, sizeof left, &left) != 0) {
        return errno;
    }
    if (CPU_COUNT(&left) < count) {
        return EINVAL;
    }
    for (i = 0; i < count; i++) {
        long most = 0;
        cores[i] = -1;
        for (core = 0; core < CPU_SETSIZE; core++) {
            if (CPU_ISSET((size_t)core, &left)) {
                const long speed = speed_of(core);
                if (cores[i] < 0 || speed > most) {
                    cores[i] = core;
                    most = speed;
                }
            }
        }
        CPU_CLR((size_t)cores[i], &left);
    }
    return 0;
}
