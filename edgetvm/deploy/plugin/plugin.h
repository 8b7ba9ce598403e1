/* The part of QEMU's plugin interface that is used here, as all its versions have it: distributions ship no
 * header of it. */
#ifndef EDGETVM_PLUGIN_H
#define EDGETVM_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translate_callback)(plugin_id id, struct qemu_plugin_tb *block);
typedef void (*execute_callback)(unsigned int cpu, void *data);

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_callback callback);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, execute_callback callback,
                                                 int flags, void *data);

EXPORT extern const int qemu_plugin_version;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* QEMU_PLUGIN_VERSION comes from the build: an emulator loads only the versions that it knows. */
const int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#endif
