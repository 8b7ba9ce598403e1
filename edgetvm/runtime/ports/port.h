/* What the harness asks of the machine under it: files, memory, a clock, the stack. One port is linked. */
#ifndef EDGETVM_PORT_H
#define EDGETVM_PORT_H

#include <stddef.h>
#include <stdint.h>

/* What the port's start-up calls; its result is the exit status of the program. */
int harness_main(void);

/* Files lie in the current directory. Each call returns 0, or -1 when it failed or fell short;
 * port_open returns a handle, or -1. */
int port_open(const char *name, int for_writing);
int port_read(int file, void *to, size_t bytes);
int port_write(int file, const void *from, size_t bytes);
int port_seek(int file, size_t position);
int port_close(int file);

/* One line for the person at the other end. */
void port_message(const char *line);

/* Memory that lasts until the program ends, or NULL. Never zeroed: the caller cannot rely on it. It lies in the
 * region of the model's arena number `arena`, where a machine has several. */
void *port_memory(int32_t arena, size_t bytes, size_t align);

/* A monotonic clock, or 0 for ever where there is none; what it shows in nanoseconds, which takes a division. */
uint64_t port_ticks(void);
uint64_t port_nanoseconds(uint64_t ticks);

/* The lowest address that the stack of harness_main may reach. */
uint8_t *port_stack_bottom(void);

/* Give parallel kernels `count` threads, each on a core of its own, the fastest, if they are `bound`. 0, or an
 * error number. */
int port_threads(int count, int bound);

#endif
