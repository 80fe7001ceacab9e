// What of the C library is written in C: the text of the last error, an eventfd, and the layout of the structs as
// programs that were compiled earlier know it.

#include "cprefixstore.h"
#include "prefixstore.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TEXT_BYTES = 1024 };

static _Thread_local char last_error[TEXT_BYTES];

const char *cprefixstore_error(void) { return last_error; }

void cprefixstore_set_error(const char *text, size_t byte_count) {
    if (byte_count > TEXT_BYTES - 1) {
        byte_count = TEXT_BYTES - 1;
        // A byte 10xxxxxx goes on a character that began before it.
        while (byte_count > 0 && ((unsigned char)text[byte_count] & 0xC0) == 0x80) byte_count--;
    }
    memcpy(last_error, text, byte_count);
    last_error[byte_count] = 0;
}

int cprefixstore_event_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cprefixstore_event_set(int event) {
    eventfd_write(event, 1);  // fails only when it is readable already
}

void cprefixstore_event_clear(int event) {
    eventfd_t count;
    eventfd_read(event, &count);  // fails only when it is not readable
}

// A released struct only grows: a number here may rise when fields are added at its end, and no offset changes.
#define AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")

_Static_assert(sizeof(pfx_options) == 96, "pfx_options");
AT(pfx_options, quota, 8);
AT(pfx_options, hot_capacity, 16);
AT(pfx_options, queue_capacity, 24);
AT(pfx_options, spill_rate, 32);
AT(pfx_options, codec, 40);
AT(pfx_options, write_policy, 44);
AT(pfx_options, write_after_hits, 48);
AT(pfx_options, flags, 52);
AT(pfx_options, key_file, 56);
AT(pfx_options, key, 64);
AT(pfx_options, key_bytes, 72);
AT(pfx_options, remote, 80);
AT(pfx_options, remote_puts, 88);
AT(pfx_options, remote_put_after_hits, 92);
_Static_assert(sizeof(pfx_identity) == 168, "pfx_identity");
AT(pfx_identity, weights, 8);
AT(pfx_identity, tokenizer, 40);
AT(pfx_identity, adapter, 72);
AT(pfx_identity, positions, 104);
AT(pfx_identity, engine, 112);
AT(pfx_identity, engine_format, 120);
AT(pfx_identity, tensor_rank, 124);
AT(pfx_identity, tensor_size, 128);
AT(pfx_identity, pipeline_rank, 132);
AT(pfx_identity, pipeline_size, 136);
AT(pfx_identity, reserved, 140);
AT(pfx_identity, salt, 144);
AT(pfx_identity, salt_bytes, 152);
AT(pfx_identity, label, 160);
_Static_assert(sizeof(pfx_plane) == 16, "pfx_plane");
AT(pfx_plane, row_bytes, 4);
AT(pfx_plane, element, 8);
AT(pfx_plane, window, 12);
_Static_assert(sizeof(pfx_layout) == 32, "pfx_layout");
AT(pfx_layout, page_tokens, 8);
AT(pfx_layout, plane_count, 12);
AT(pfx_layout, plane_size, 16);
AT(pfx_layout, planes, 24);
_Static_assert(sizeof(pfx_match_info) == 56, "pfx_match_info");
AT(pfx_match_info, tokens, 8);
AT(pfx_match_info, hot_tokens, 16);
AT(pfx_match_info, cold_tokens, 24);
AT(pfx_match_info, load_ns, 32);
AT(pfx_match_info, worth_tokens, 40);
AT(pfx_match_info, remote_tokens, 48);
_Static_assert(sizeof(pfx_rows) == 64, "pfx_rows");
AT(pfx_rows, planes, 8);
AT(pfx_rows, strides, 16);
AT(pfx_rows, plane_count, 24);
AT(pfx_rows, capacity, 32);
AT(pfx_rows, index, 40);
AT(pfx_rows, index_count, 48);
AT(pfx_rows, first, 56);
_Static_assert(sizeof(pfx_key) == 16 && sizeof(pfx_span) == 16, "pfx_key, pfx_span");
_Static_assert(sizeof(pfx_completion) == 24, "pfx_completion");
AT(pfx_completion, status, 8);
AT(pfx_completion, count, 12);
AT(pfx_completion, succeeded, 16);
AT(pfx_completion, leading, 20);
