/* memcpy, memmove and memset for chips without a C library: compiler_rt's, when small, go byte by byte. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;
#ifdef __ARM_FEATURE_UNALIGNED
typedef struct {
    uint32_t value;
} __attribute__((packed, may_alias)) source_word;
enum { TOGETHER = 0 }; /* source words may lie anywhere */
#else
typedef struct {
    uint32_t value;
} __attribute__((may_alias)) source_word;
enum { TOGETHER = sizeof(word) - 1 }; /* source and destination must be aligned together */
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* In order, and each word read before it is written: `to` may begin in front of the source and overlap it. */
static void copy_forwards(uint8_t *to, const uint8_t *from, size_t bytes) {
    if ((((uintptr_t)to ^ (uintptr_t)from) & TOGETHER) == 0) {
        for (; bytes > 0 && (uintptr_t)to % sizeof(word) != 0; bytes--) {
            *to++ = *from++;
        }
        for (; bytes >= 4 * sizeof(word); bytes -= 4 * sizeof(word)) {
            const source_word *const in = (const void *)from;
            word *const out = (void *)to;
            const uint32_t a = in[0].value, b = in[1].value, c = in[2].value, d = in[3].value;
            out[0] = a, out[1] = b, out[2] = c, out[3] = d;
            from += 4 * sizeof(word), to += 4 * sizeof(word);
        }
    }
    while (bytes-- > 0) {
        *to++ = *from++;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    copy_forwards(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out - (uintptr_t)in >= bytes) { /* `to` does not lie within the source: forwards is safe */
        copy_forwards(to, from, bytes);
        return to;
    }
    while (bytes-- > 0) {
        out[bytes] = in[bytes];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    uint8_t *out = to;
    const uint8_t byte = (uint8_t)value;
    const uint32_t four = byte * 0x01010101u;
    for (; bytes > 0 && (uintptr_t)out % sizeof(word) != 0; bytes--) {
        *out++ = byte;
    }
    for (; bytes >= 4 * sizeof(word); bytes -= 4 * sizeof(word)) {
        word *const words = (void *)out;
        words[0] = four, words[1] = four, words[2] = four, words[3] = four;
        out += 4 * sizeof(word);
    }
    while (bytes-- > 0) {
        *out++ = byte;
    }
    return to;
}
