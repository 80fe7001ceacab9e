// Finite state entropy codes as zstd stores the weights of a Huffman code with (RFC 8878, section 4.1).
#pragma once
#include <stdint.h>

enum { FSE_MAX_LOG = 6, FSE_STATES = 1 << FSE_MAX_LOG, FSE_MAX_SYMBOL = 12 };

/// Where each state leads: it stands for `symbol`, and the next state is `base` and a number of `bits` bits.
typedef struct {
    int log;
    uint8_t symbol[FSE_STATES], bits[FSE_STATES];
    uint16_t base[FSE_STATES];
} fse_table;

static inline int fse_highest_bit(uint32_t value) { return 31 - __builtin_clz(value); }

/// Fills the table of 2^log states from how many of them each symbol has; -1 is one state at the end. Together they are
/// all states.
static inline void fse_build_table(const int frequencies[FSE_MAX_SYMBOL + 1], fse_table *table) {
    int size = 1 << table->log, high = size, position = 0;
    uint16_t next[FSE_MAX_SYMBOL + 1];
    for (int symbol = 0; symbol <= FSE_MAX_SYMBOL; symbol++) {
        next[symbol] = (uint16_t)(frequencies[symbol] < 0 ? 1 : frequencies[symbol]);
        if (frequencies[symbol] < 0) table->symbol[--high] = (uint8_t)symbol;
    }
    for (int symbol = 0; symbol <= FSE_MAX_SYMBOL; symbol++)
        for (int i = 0; i < frequencies[symbol]; i++) {
            table->symbol[position] = (uint8_t)symbol;
            do position = (position + (size >> 1) + (size >> 3) + 3) & (size - 1);
            while (position >= high);
        }
    for (int state = 0; state < size; state++) {
        int number = next[table->symbol[state]]++;
        table->bits[state] = (uint8_t)(table->log - fse_highest_bit((uint32_t)number));
        table->base[state] = (uint16_t)((number << table->bits[state]) - size);
    }
}
