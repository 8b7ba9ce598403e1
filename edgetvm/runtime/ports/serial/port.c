/* Files and console over a serial line: serial.h has the protocol. */
#include "port.h"
#include "cortex_m.h"
#include "serial.h"

static int is_open; /* a fault may come before the line is */

static void send_word(uint32_t word) {
    serial_send(&word, sizeof word);
}

static int receive_answer(void) {
    char begin;
    int32_t word;
    do {
        serial_receive(&begin, 1);
    } while (begin != '>');
    serial_receive(&word, sizeof word);
    return word;
}

static void request(char letter) {
    if (!is_open) {
        serial_open();
        is_open = 1;
    }
    serial_send(&letter, 1);
}

static size_t length(const char *text) {
    size_t count = 0;
    while (text[count] != '\0') {
        count++;
    }
    return count;
}

static void send_data(const void *data, size_t bytes) {
    send_word((uint32_t)bytes);
    serial_send(data, bytes);
}

int port_open(const char *name, int for_writing) {
    request('o');
    send_word((uint32_t)for_writing);
    send_data(name, length(name));
    return receive_answer();
}

int port_read(int file, void *to, size_t bytes) {
    int status;
    request('r');
    send_word((uint32_t)file);
    send_word((uint32_t)bytes);
    status = receive_answer();
    if (status == 0) {
        serial_receive(to, bytes);
    }
    return status;
}

int port_write(int file, const void *from, size_t bytes) {
    request('w');
    send_word((uint32_t)file);
    send_data(from, bytes);
    return receive_answer();
}

int port_seek(int file, size_t position) {
    request('s');
    send_word((uint32_t)file);
    send_word((uint32_t)position);
    return receive_answer();
}

int port_close(int file) {
    request('c');
    send_word((uint32_t)file);
    return receive_answer();
}

void console_put(const char *text) {
    request('m');
    send_data(text, length(text));
}

void console_exit(int status) {
    request('x');
    send_word((uint32_t)status);
    for (;;) {
    }
}
