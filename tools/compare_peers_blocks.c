/* QEMU plugin: which blocks of instructions ran between two functions of the guest, and how often.
 *
 *     -plugin blocks.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * writes a line "address instructions times" for each block that ran, in hexadecimal, and an empty one
 * after each pair of calls. See edgetvm/deploy/plugin/count.c, which only counts.
 */
#include "plugin.h"

typedef struct block {
    uint64_t address, instructions, times;
    struct block *next;
} block;

static block *blocks; /* as many as were translated; never freed */

static void on_begin(unsigned int cpu, void *data) {
    (void)data;
    counting = cpu + 1;
}

static void on_end(unsigned int cpu, void *data) {
    block *at;
    (void)data;
    if (counts_on(cpu)) {
        counting = 0;
        for (at = blocks; at != NULL; at = at->next) {
            if (at->times != 0) {
                fprintf(out, "%llx %llx %llx\n", (unsigned long long)at->address,
                        (unsigned long long)at->instructions, (unsigned long long)at->times);
                at->times = 0;
            }
        }
        fputs("\n", out);
        fflush(out);
    }
}

static void on_block(unsigned int cpu, void *data) {
    if (counts_on(cpu)) {
        ((block *)data)->times++;
    }
}

static void *data_of(const struct qemu_plugin_tb *translated) {
    block *const made = calloc(1, sizeof *made);
    if (made == NULL) {
        abort();
    }
    made->address = qemu_plugin_tb_vaddr(translated);
    made->instructions = qemu_plugin_tb_n_insns(translated);
    made->next = blocks;
    blocks = made;
    return made;
}
