/// What the functions of `prefixstore.h` need of C: the text of `pfx_last_error`, one per thread, and an eventfd. Not
/// installed.
#pragma once
#include <stddef.h>

/// The text that this thread was given last; empty at first.
const char *cprefixstore_error(void);

/// Keeps the first bytes of `text` for this thread, whole UTF-8 characters, and ends them with a NUL.
void cprefixstore_set_error(const char *text, size_t byte_count);

/// An eventfd that is not readable yet; -1 when the system has no descriptor to give.
int cprefixstore_event_open(void);

/// Makes it readable.
void cprefixstore_event_set(int event);

/// Makes it not readable.
void cprefixstore_event_clear(int event);
