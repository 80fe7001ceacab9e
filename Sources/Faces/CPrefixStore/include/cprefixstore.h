/// The text of `pfx_last_error`, one per thread: Swift has no thread-local storage of its own. Not installed.
#pragma once
#include <stddef.h>

/// The text that this thread was given last; empty at first.
const char *cprefixstore_error(void);

/// Keeps the first bytes of `text` for this thread, whole UTF-8 characters, and ends them with a NUL.
void cprefixstore_set_error(const char *text, size_t byte_count);
