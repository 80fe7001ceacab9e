// Counts this program's heap allocations, in every library that it has loaded.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdint.h>

// Calls of malloc, calloc, realloc and their aligned kin on the calling thread so far.
uint64_t allocation_count(void);

#endif
