/* Files of the host over a serial line. Each request is a letter with its arguments, words of four bytes with the
 * lowest first; a text or data comes behind its length.
 *
 *     o writes name    -> handle      r file bytes -> status, then the bytes
 *     w file data      -> status      s file position -> status       c file -> status
 *     m text           no answer      x status     the program ends, no answer
 *
 * An answer begins with ">". A status is 0, or not 0 where it failed; a handle below 0 is no file. The board begins
 * with the line "EdgeTVM?" again and again until the host, which answers each with "!", is heard.
 */
#ifndef EDGETVM_SERIAL_H
#define EDGETVM_SERIAL_H

#include <stddef.h>
#include <stdint.h>

void serial_open(void); /* sets up the port, and waits for the host */
void serial_send(const void *data, size_t bytes);
void serial_receive(void *data, size_t bytes);

#endif
