/* What the plugins of QEMU here share: they watch the code between two functions of the guest.
 *
 *     -plugin NAME.so,begin=ADDRESS,end=ADDRESS,out=FILE
 *
 * A function's first instruction opens a translation block, so whole blocks are seen and nothing needs a
 * callback per instruction. Distributions ship no header of QEMU's plugin interface; the few functions used
 * are declared here, as all its versions have them. A plugin defines the four functions at the end.
 */
#ifndef EDGETVM_PLUGIN_H
#define EDGETVM_PLUGIN_H

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

/* QEMU_PLUGIN_VERSION comes from the build: an emulator loads only the versions that it knows. */
const int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t begin_address, end_address;
static unsigned int counting; /* 1 + the virtual core that is between the two functions; 0: none is */
static FILE *out;

/* Other threads than the one between the functions only wait for it: what they still run isn't of the model. */
static int counts_on(unsigned int cpu) {
    return counting == cpu + 1;
}

static void on_begin(unsigned int cpu, void *data);       /* the first function was entered */
static void on_end(unsigned int cpu, void *data);         /* the second one was */
static void on_block(unsigned int cpu, void *data);       /* any other block runs */
static void *data_of(const struct qemu_plugin_tb *block); /* what `on_block` is given for it */

static void on_translate(plugin_id id, struct qemu_plugin_tb *block) {
    const uint64_t address = qemu_plugin_tb_vaddr(block);
    (void)id;
    if (address == begin_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, on_begin, 0, NULL);
    } else if (address == end_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, on_end, 0, NULL);
    } else {
        qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, 0, data_of(block));
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

#endif
