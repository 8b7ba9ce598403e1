/* QEMU plugin: which blocks of instructions ran between two functions of the guest, and how often.
 *
 *     -plugin blocks.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * writes a line "address instructions times" for each block that ran, in hexadecimal, and an empty one
 * after each pair of calls. See edgetvm/deploy/plugin/count.c, which only counts.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void (*translate_callback)(plugin_id id, struct qemu_plugin_tb *block);
typedef void (*execute_callback)(unsigned int cpu, void *data);

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_callback callback);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, execute_callback callback,
                                                 int flags, void *data);

EXPORT extern const int qemu_plugin_version;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

const int qemu_plugin_version = QEMU_PLUGIN_VERSION;

typedef struct block {
    uint64_t address, instructions, times;
    struct block *next;
} block;

static uint64_t begin_address, end_address;
static block *blocks; /* as many as were translated; never freed */
static int counting;
static FILE *out;

static void on_begin(unsigned int cpu, void *data) {
    (void)cpu;
    (void)data;
    counting = 1;
}

static void on_end(unsigned int cpu, void *data) {
    block *at;
    (void)cpu;
    (void)data;
    if (counting) {
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
    (void)cpu;
    if (counting) {
        ((block *)data)->times++;
    }
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *translated) {
    const uint64_t address = qemu_plugin_tb_vaddr(translated);
    (void)id;
    if (address == begin_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_begin, 0, NULL);
    } else if (address == end_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_end, 0, NULL);
    } else {
        block *const made = calloc(1, sizeof *made);
        if (made == NULL) {
            abort();
        }
        made->address = address;
        made->instructions = qemu_plugin_tb_n_insns(translated);
        made->next = blocks;
        blocks = made;
        qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, 0, made);
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
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
