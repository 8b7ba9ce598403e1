/* QEMU plugin: which blocks of instructions ran between two functions of the guest, and how often, exactly.
 *
 *     -plugin count.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * writes a line "address bytes instructions times jumps" for each block that ran, in hexadecimal, and an
 * empty line after each pair of calls. `jumps` are the times that the block before it was not the one that
 * ran before it. A function's first instruction opens a block, so that whole blocks are seen and nothing
 * needs a callback per instruction.
 */
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#endif

enum { LEAST_PAGE = 1024, T32_HALF = 2 }; /* bytes */

typedef struct block {
    uint64_t address, bytes, instructions, times, jumps;
    struct block *next;
} block;

static uint64_t begin_address, end_address;
static unsigned int counting; /* 1 + the virtual core that is between the two functions; 0: none is */
static block *previous;       /* that ran last; NULL: none did */
static block *blocks;         /* as many as were translated; never freed */
static FILE *out;

/* Other threads than the one between the functions only wait for it: what they still run isn't of the model. */
static int counts_on(unsigned int cpu) {
    return counting == cpu + 1;
}

static void on_begin(unsigned int cpu, void *data) {
    (void)data;
    counting = cpu + 1;
    previous = NULL;
}

static void on_end(unsigned int cpu, void *data) {
    block *at;
    (void)data;
    if (!counts_on(cpu)) {
        return;
    }
    counting = 0;
    for (at = blocks; at != NULL; at = at->next) {
        if (at->times != 0) {
            fprintf(out, "%llx %llx %llx %llx %llx\n", (unsigned long long)at->address,
                    (unsigned long long)at->bytes, (unsigned long long)at->instructions,
                    (unsigned long long)at->times, (unsigned long long)at->jumps);
            at->times = at->jumps = 0;
        }
    }
    fputs("\n", out);
    fflush(out); /* a guest that dies later takes no line with it */
}

/* An instruction of T32 that crosses a page begins a block; QEMU has looked at its first half by then, and counts that
 * to the instruction before it. */
static int follows(const block *ran, block *before) {
    const uint64_t end = before->address + before->bytes;
    if (end % LEAST_PAGE == 0 && ran->address + T32_HALF == end) {
        before->bytes -= T32_HALF;
        return 1;
    }
    return ran->address == end;
}

static void on_block(unsigned int cpu, void *data) {
    block *const ran = data;
    if (counts_on(cpu)) {
        ran->times++;
        ran->jumps += previous == NULL || !follows(ran, previous);
        previous = ran;
    }
}

static block *make_block(const struct qemu_plugin_tb *translated) {
    block *const made = calloc(1, sizeof *made);
    const struct qemu_plugin_insn *last;
    if (made == NULL) {
        abort();
    }
    made->address = qemu_plugin_tb_vaddr(translated);
    made->instructions = qemu_plugin_tb_n_insns(translated);
    last = qemu_plugin_tb_get_insn(translated, made->instructions - 1);
    made->bytes = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - made->address;
    made->next = blocks;
    blocks = made;
    return made;
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *translated) {
    const uint64_t address = qemu_plugin_tb_vaddr(translated);
    (void)id;
    if (address == begin_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_begin, 0, NULL);
    } else if (address == end_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_end, 0, NULL);
    } else {
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, 0, make_block(translated));
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    int i;
    (void)info;
    for (i = 0; i < argc; i++) {
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin_address = strtoull(argv[i] + 6, NULL, 0);
        } else if (strncmp(argv[i], "end=", 4) == 0) {
            end_address = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (begin_address == 0 || end_address == 0 || out == NULL) {
        return 1;
    }
#ifdef __linux__
    /* An emulator must not outlive the tool that waits for it, however that ends. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
