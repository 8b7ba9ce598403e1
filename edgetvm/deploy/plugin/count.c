/* QEMU plugin: how many instructions ran between two functions of the guest, exactly.
 *
 *     -plugin count.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * writes one decimal line for each pair of calls.
 */
#include "plugin.h"

static uint64_t count;

static void on_begin(unsigned int cpu, void *data) {
    (void)data;
    count = 0;
    counting = cpu + 1;
}

static void on_end(unsigned int cpu, void *data) {
    (void)data;
    if (counts_on(cpu)) {
        counting = 0;
        fprintf(out, "%llu\n", (unsigned long long)count);
        fflush(out); /* a guest that dies later takes no line with it */
    }
}

static void on_block(unsigned int cpu, void *instructions) {
    if (counts_on(cpu)) {
        count += (uintptr_t)instructions;
    }
}

static void *data_of(const struct qemu_plugin_tb *block) {
    return (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
}
