// The Internet checksum (RFC 1071).

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The sum of RFC 1071 without the final complement, of big-endian words.
// `initial` is a sum of the same kind; odd lengths are padded with zero.
unsigned net_checksum(const unsigned char *data, size_t size, unsigned initial)
{
    // Added in the host's order, 32 bits at a time, and turned in the end (RFC 1071, 2B).
    uint64_t sum = 0;
    while (size >= 32) {
        uint32_t words[8];
        memcpy(words, data, 32);
        sum += (uint64_t)words[0] + words[1] + words[2] + words[3];
        sum += (uint64_t)words[4] + words[5] + words[6] + words[7];
        data += 32;
        size -= 32;
    }
    while (size >= 2) {
        uint16_t word;
        memcpy(&word, data, 2);
        sum += word;
        data += 2;
        size -= 2;
    }
    if (size) {
        uint16_t word = 0;
        memcpy(&word, data, 1);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ntohs((uint16_t)sum) + (uint64_t)initial;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned)sum;
}
