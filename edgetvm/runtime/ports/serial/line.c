/* Bytes over the serial port that the board's file describes: a register to send, one to receive, and for each
 * one that tells when. */
#include "cortex_m.h"
#include "serial.h"

typedef struct {
    uint32_t data;  /* the register that a byte is written to or read from */
    uint32_t state; /* ready when the bits `mask` of this register are `ready` */
    uint32_t mask, ready;
} direction;

typedef struct {
    uint32_t address, clear, set;
} setting;

enum { PATIENCE = 100000 /* polls between two lines that nobody answered */ };

static const direction receiving = {EDGETVM_SERIAL_RECEIVE};
static const direction sending = {EDGETVM_SERIAL_SEND};
static const setting settings[] = {EDGETVM_SERIAL_SETUP};

static int is_ready(const direction *way) {
    return (REGISTER(way->state) & way->mask) == way->ready;
}

void serial_send(const void *data, size_t bytes) {
    const uint8_t *at = data;
    while (bytes-- != 0) {
        while (!is_ready(&sending)) {
        }
        REGISTER(sending.data) = *at++;
    }
}

void serial_receive(void *data, size_t bytes) {
    uint8_t *at = data;
    while (bytes-- != 0) {
        while (!is_ready(&receiving)) {
        }
        *at++ = (uint8_t)REGISTER(receiving.data);
    }
}

void serial_open(void) {
    size_t i;
    int polls;
    for (i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        REGISTER(settings[i].address) =
            (REGISTER(settings[i].address) & ~settings[i].clear) | settings[i].set;
    }
    for (;;) {
        /* Empties the receiver. QEMU also listens to its end of the line again only after such a read. */
        (void)REGISTER(receiving.data);
        serial_send("EdgeTVM?\n", 9);
        for (polls = 0; polls < PATIENCE; polls++) {
            if (is_ready(&receiving) && (REGISTER(receiving.data) & 0xFFu) == '!') {
                return;
            }
        }
    }
}
