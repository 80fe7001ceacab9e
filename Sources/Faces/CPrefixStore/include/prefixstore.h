/* PrefixStore for C and C++: a durable store of attention keys and values (KV) that all processes of a host share.
 *
 * Longer than 400 lines because it is all that a program includes, and all that it reads.
 *
 * There are two levels, and an engine uses one of them.
 *   Token level: the engine gives token ids and rows of KV. The store finds the longest stored prefix, to the token.
 *   Block level: the engine names blocks of bytes by keys of its own, and moves them without blocking.
 *
 * Results. A function that returns int gives PFX_OK (0) or a negative PFX_ code. One that returns int64_t gives a
 * number that its comment names, or a negative code. pfx_last_error() says what happened and what to do about it. A
 * miss, and a damaged page or block, is a smaller number and never an error.
 *
 * Handles. pfx_store and the other handle types are numbers in the form of pointers. Nothing lies at that address. Give
 * each handle back once, with its own function. A handle that was given back, or was never handed out, is refused with
 * PFX_INVALID_HANDLE. NULL is no handle; giving NULL back does nothing. Closing a store gives back all its handles, but
 * not those of loads that were begun.
 *
 * Memory. The library keeps no pointer of the caller after a call returns, except where pfx_load_begin,
 * pfx_submit_put and pfx_submit_get say so. It cannot check that an address is valid, but checks every count and size
 * that comes with it. When the system has no memory left for the library's own work, the process ends.
 *
 * Structs. A struct begins with its own size. Set all of it to zero, then `size` to sizeof, then what you need: zero is
 * the default everywhere. A struct that lies in an array has its size beside the array instead. Structs only grow, and
 * a function never changes its meaning, so a program runs with any later library of the same major number.
 *
 * Threads. Every handle may be used from any thread, and from several at once. Calls on one sequence wait for each
 * other, and so do the loads that were begun of one match. The system may deliver the host's signals to a thread of the
 * library.
 *
 * Fork. A child process cannot use handles of its parent: every call returns PFX_FORKED. It may open stores of its own.
 * The library starts no thread before the first store is opened. It installs no signal handler.
 *
 * Limits of the process. A store needs address space of four times its quota, and at least 1 GiB. A write beyond
 * RLIMIT_FSIZE is PFX_DISK_FULL: the library holds SIGXFSZ back while it writes. */
#ifndef PREFIXSTORE_H
#define PREFIXSTORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------ Results --- */

enum {
    PFX_OK = 0,
    /* Mistakes at this door, which only the C library knows. */
    PFX_INVALID_ARGUMENT = -1, /* a NULL pointer, a wrong size, a number outside its range */
    PFX_INVALID_HANDLE = -2,   /* the handle was given back, or is of another type */
    PFX_TIMED_OUT = -3,        /* the time that the caller allowed has passed */
    PFX_TOO_MANY = -4,         /* a bound on handles or waiting jobs was reached: give some back, or drain */
    PFX_OUT_OF_MEMORY = -5,    /* the system has no memory, thread or descriptor to give */
    /* The caller's mistakes. */
    PFX_INVALID_LAYOUT = -101,
    PFX_INVALID_IDENTITY = -102,
    PFX_INVALID_OPTION = -103,
    PFX_INVALID_TOKENS = -104,
    PFX_INVALID_PAGES = -105,
    PFX_INVALID_SIDE_STATE = -106,
    PFX_ALREADY_OPEN = -107,
    PFX_FORKED = -108,
    PFX_CLOSED = -109,
    PFX_NO_SUCH_PAGE = -110,
    PFX_NO_SUCH_SPACE = -111,
    PFX_INVALID_BLOCK = -112,
    PFX_INVALID_NAME = -113,
    PFX_TOO_MANY_NAMES = -114,
    PFX_NO_SUCH_NAME = -115,
    /* The folder. */
    PFX_NOT_A_FOLDER = -201,
    PFX_NOT_A_STORE = -202,
    PFX_READ_ONLY = -203,
    PFX_PERMISSIONS = -204,
    PFX_NETWORK_FILE_SYSTEM = -205,
    PFX_FORMAT_MISMATCH = -206,
    PFX_SEALED_SPACE = -207,
    PFX_WRONG_KEY = -208,
    PFX_INVALID_KEY = -209,

    /* Resources, and damage. */
    PFX_DISK_FULL = -301,
    PFX_QUOTA_FULL = -302,
    PFX_MAP_FULL = -303,
    PFX_READERS_FULL = -304,
    PFX_DAMAGED = -305,
    PFX_SYSTEM = -306,
    PFX_WRITER_BUSY = -307,
    PFX_DISK_FAILURE = -308,
    PFX_FILE_REPLACED = -309,
    PFX_REMOTE_FAILURE = -310
};

/* What the last failed call on this thread met, and what to do about it. Empty before the first failure. Good until the
 * next failed call on this thread; a call that succeeds leaves it alone. Never NULL. */
const char *pfx_last_error(void);

/* The name of a code, such as "PFX_DISK_FULL"; "PFX_UNKNOWN" for any other number. Static, never NULL. */
const char *pfx_error_name(int code);

/* The library's version, such as "0.1.0". Static, never NULL. */
const char *pfx_version(void);

/* The bytes of a struct of this header as the library knows it, by its name, such as "pfx_options"; 0 for any other
 * name. A program that was compiled with a header of the same version, and knows more, has met an older build. */
size_t pfx_struct_size(const char *name);

/* ------------------------------------------------------------------------------------------------------- Stores --- */

typedef struct pfx_store pfx_store;

/* How pages are encoded on disk. All codecs are lossless. */
enum { PFX_CODEC_AUTO = 0, PFX_CODEC_ZSTD = 1, PFX_CODEC_KBIT = 2, PFX_CODEC_RAW = 3 };

/* When an inserted page is written to disk: at once in the background; when RAM needs its place, and on flush and
 * close; after `write_after_hits` hits, those of other and earlier processes included. */
enum { PFX_WRITE_THROUGH = 0, PFX_WRITE_BACK = 1, PFX_WRITE_AFTER_HITS = 2 };

/* Which pages go to pfx_options.remote: all, those matched as often as `remote_put_after_hits` says, those of prefixes
 * that this process pins, none. */
enum { PFX_REMOTE_ALL = 0, PFX_REMOTE_AFTER_HITS = 1, PFX_REMOTE_PINNED = 2, PFX_REMOTE_READ_ONLY = 3 };

/* Bits of pfx_options.flags. */
enum {
    PFX_KEEP_LOADED = 1,    /* a page that was loaded from disk is kept in RAM too; needs `hot_capacity` */
    PFX_DROP_WHEN_FULL = 2  /* when `queue_capacity` bytes wait, leave new pages out instead of waiting for the disk */
};

/* All zero suits an engine that has a cache of its own in RAM: the store keeps pages on disk only. */
typedef struct pfx_options {
    size_t size;               /* sizeof(pfx_options) */
    uint64_t quota;            /* bytes on disk, for all processes; 0: as stored, or the default of a new store */
    uint64_t hot_capacity;     /* bytes of RAM for pages in this process; 0: none */
    uint64_t queue_capacity;   /* bytes of pages that may wait for the disk; 0: 384 MiB */
    uint64_t spill_rate;       /* encoded bytes per second written at most; 0: no limit */
    uint32_t codec;            /* PFX_CODEC_ */
    uint32_t write_policy;     /* PFX_WRITE_ */
    uint32_t write_after_hits; /* for PFX_WRITE_AFTER_HITS: 1 or more */
    uint32_t flags;            /* PFX_KEEP_LOADED, PFX_DROP_WHEN_FULL */
    const char *key_file;      /* file with the key that seals what is stored, mode 0600; NULL: see `key` */
    const void *key;           /* the key itself: 32 random bytes, which are copied; NULL: nothing is sealed */
    size_t key_bytes;          /* 32, or 0 */
    const char *remote;        /* URL of a Redis, Valkey or S3 server that other hosts use too; NULL: none */
    uint32_t remote_puts;      /* PFX_REMOTE_ */
    uint32_t remote_put_after_hits; /* for PFX_REMOTE_AFTER_HITS: 1 or more */
} pfx_options;

/* Opens the store in `folder`, which is made when it is missing or empty. A process opens a folder once. `options` may
 * be NULL: all zero. On failure *store is NULL and nothing was changed. */
int pfx_open(const char *folder, const pfx_options *options, pfx_store **store);

/* Says whether pfx_open found a store that was too damaged to be used, moved it aside and began a new one: one sentence
 * for the operator, with the reason and the folder in which the damaged store is now. It stays the same until the store
 * is closed. Returns 0, and gives an empty text, when that was not so. Length as of pfx_statistics. */
int64_t pfx_set_aside_notice(pfx_store *store, char *text, size_t capacity);

/* Waits until everything that was inserted or put so far is on disk: it survives a kill and a power cut then. Waits
 * for `timeout_ms` milliseconds at most, and without an end when that is 0. PFX_TIMED_OUT loses nothing. The writing
 * goes on. Any other error is what kept a page from being written. */
int pfx_flush(pfx_store *store, uint64_t timeout_ms);

/* Writes what waits, closes the folder, and gives back the store and every handle that came from it. The store is
 * closed in any case; an error says what could not be written. */
int pfx_close(pfx_store *store);

/* As pfx_close, for `timeout_ms` milliseconds at most, and without an end when that is 0: a process that stands still
 * while it writes to the store holds it up no longer. PFX_TIMED_OUT: the store is closed, what was flushed stays, and
 * what was not written by then is not stored. A batch that is being written is not interrupted. */
int pfx_close_within(pfx_store *store, uint64_t timeout_ms);

/* What this process has done with the store, as one JSON object. Writes up to `capacity` bytes into `text`, the
 * terminating NUL among them, and returns the length of the whole text without it, as snprintf does. `text` may be NULL
 * when `capacity` is 0. */
int64_t pfx_statistics(pfx_store *store, char *text, size_t capacity);

/* How full the store in `folder` is, and who uses it, as one JSON object: "used_bytes" of "quota_bytes", "file_bytes",
 * "pages", "tokens", "spaces", "pinned_pages", "evicted_pages", "quarantined_pages", "open_in" and more. Changes
 * nothing, needs no key, and other processes may use the store meanwhile; a process that has it open is
 * PFX_ALREADY_OPEN. Reads all entries: about a second for a million pages. Length as of pfx_statistics. */
int64_t pfx_info(const char *folder, char *text, size_t capacity);

/* SHA-256 of a file's contents: a weights digest. With a store, the digest is remembered in the store's folder under
 * the file's device, inode, size and times, so that the next process does not read gigabytes. `store` may be NULL:
 * nothing is remembered. */
int pfx_file_digest(pfx_store *store, const char *path, uint8_t digest[32]);

/* ----------------------------------------------------------------------------------------------------- Identity --- */

/* What must be equal for two engines to share pages. Every field counts but `label`. */
typedef struct pfx_identity {
    size_t size;            /* sizeof(pfx_identity) */
    uint8_t weights[32];    /* digest of the weights, and of the configuration that changes them; not all zero */
    uint8_t tokenizer[32];  /* digest of the tokenizer; that of the weights when one file holds both; not all zero */
    uint8_t adapter[32];    /* digest of the adapters (LoRA) with their scales; all zero: none */
    const char *positions;  /* parameters of the position encoding, such as "rope theta=500000" */
    const char *engine;     /* the engine's name */
    uint32_t engine_format; /* version of the bytes that the engine's kernels write */
    uint32_t tensor_rank;   /* this part of a model that is split over devices: from 0, below `tensor_size` */
    uint32_t tensor_size;   /* tensor-parallel parts; 0 and 1: not split */
    uint32_t pipeline_rank; /* from 0, below `pipeline_size` */
    uint32_t pipeline_size; /* pipeline stages; 0 and 1: not split */
    uint32_t reserved;      /* 0 */
    const void *salt;       /* a tenant's secret, or NULL; only a digest of it reaches the disk */
    size_t salt_bytes;      /* 16 to 4096, or 0 */
    const char *label;      /* the model's name for people, or NULL; it does not count */
} pfx_identity;

/* What the numbers of a plane or block are stored as. PFX_OPAQUE pages move whole; all others are cut at any token. */
enum {
    PFX_OPAQUE = 0,
    PFX_BF16 = 1, PFX_FP16 = 2,
    PFX_FP32 = 3,
    PFX_INT8 = 4,
    PFX_FP8_E4M3 = 5,
    PFX_FP8_E5M2 = 6,
    PFX_BYTES = 7, /* a row of bytes per token, whatever they mean */
    PFX_Q8_0 = 8,  /* and the following: ggml's block types */
    PFX_Q4_0 = 9, PFX_Q4_1 = 10, PFX_Q5_0 = 11, PFX_Q5_1 = 12, PFX_IQ4_NL = 13
};

/* One row of bytes per token: the keys of a layer, or its values, or what else an engine caches per token. */
typedef struct pfx_plane {
    uint32_t layer;     /* rising from 0, none left out; a layer has one plane or more; 1,024 layers at most */
    uint32_t row_bytes; /* bytes per token, a whole number of the element's groups */
    uint32_t element;   /* PFX_BF16 and so on */
    uint32_t window;    /* tokens before the next one that the layer looks at; 0: all */
} pfx_plane;

/* The planes of a page, in their order, and its size in tokens. A page, which is the rows of `page_tokens` tokens of
 * all planes, has at most 1 GiB. */
typedef struct pfx_layout {
    size_t size;             /* sizeof(pfx_layout) */
    uint32_t page_tokens;    /* tokens of a page: 1 to 4096; 0: 64 */
    uint32_t plane_count;    /* 1 to 4096 */
    size_t plane_size;       /* sizeof(pfx_plane) */
    const pfx_plane *planes; /* `plane_count` of them */
} pfx_layout;

/* -------------------------------------------------------------------------------------------------- Token level --- */

typedef struct pfx_space pfx_space;
typedef struct pfx_match pfx_match;
typedef struct pfx_seq pfx_seq;
typedef struct pfx_loading pfx_loading;

/* The pages of one identity and layout. The first call of all processes registers the space in the folder. */
int pfx_space_open(pfx_store *store, const pfx_identity *identity, const pfx_layout *layout, pfx_space **space);

/* Gives the handle back. Matches and sequences of the space stay good. */
int pfx_space_close(pfx_space *space);

/* Finds the longest stored prefix of `tokens`, to the token, and counts as a use of its pages. Returns the tokens
 * found. *match is NULL when there are none. Pages in RAM stay there until pfx_match_end. Token ids are 0 or more. */
int64_t pfx_match_prefix(pfx_space *space, const int32_t *tokens, size_t count, pfx_match **match);

/* As pfx_match_prefix, but waits for the disk for `timeout_ms` milliseconds at most. When the time is up, the match is
 * what RAM has; the look on disk goes on, so that the next call finds the index in memory. 0 looks in RAM alone. */
int64_t pfx_match_prefix_within(
    pfx_space *space, const int32_t *tokens, size_t count, uint64_t timeout_ms, pfx_match **match);

/* What is known of a match. */
typedef struct pfx_match_info {
    size_t size;           /* sizeof(pfx_match_info), set by the caller */
    uint64_t tokens;       /* tokens found */
    uint64_t hot_tokens;   /* of these, in this process's RAM */
    uint64_t cold_tokens;  /* of these, on disk only */
    uint64_t load_ns;      /* about what loading all of them takes, in nanoseconds */
    uint64_t worth_tokens; /* how many had best be loaded: all, those of this host, those in RAM, or none; see
                              pfx_record_prefill */
    uint64_t remote_tokens; /* of `tokens`, on the remote only */
} pfx_match_info;

int pfx_match_get_info(pfx_match *match, pfx_match_info *info);

/* Where rows lie in the caller's memory. Row r of plane p begins at planes[p] + r * strides[p]. */
typedef struct pfx_rows {
    size_t size;           /* sizeof(pfx_rows) */
    void *const *planes;   /* the address of row 0 of each plane; NULL leaves a plane out of a load */
    const size_t *strides; /* bytes from one row to the next, per plane; NULL: rows without gaps */
    size_t plane_count;    /* numbers in `planes` and in `strides`: the planes of the layout */
    size_t capacity;       /* rows that each plane has room for */
    const uint32_t *index; /* the row of each token of the call, in order, all different; NULL: see `first`.
                              Not checked: a row named twice holds nothing of use after a load */
    size_t index_count;    /* numbers in `index`, at least one per token of the call; 0 when that is NULL */
    size_t first;          /* without `index`: the row of the call's first token; the others follow it */
} pfx_rows;

/* Copies the rows of tokens `from` to `to` (which is not included) of the match into the caller's memory. Returns how
 * many tokens were delivered, counted from `from`. Fewer than asked for means that a page was evicted or damaged
 * meanwhile: rows of later tokens hold nothing of use then. A layout with PFX_OPAQUE planes gives whole pages only. */
int64_t pfx_load(pfx_match *match, size_t from, size_t to, const pfx_rows *rows);

/* As pfx_load, but waits for the disk for `timeout_ms` milliseconds at most. When the time is up, it returns what was
 * delivered until then; the reading goes on, so that the next call finds the bytes in memory. */
int64_t pfx_load_within(pfx_match *match, size_t from, size_t to, uint64_t timeout_ms, const pfx_rows *rows);

/* As pfx_load, on a thread of the library, and returns at once: an engine takes one piece of a prompt into its own
 * memory while the next one is being loaded. Loads of a match are done one after the other, in the order in which they
 * were begun. The memory of the rows must stay, and be left alone, until pfx_load_end has returned; the lists in `rows`
 * may go. What pfx_load would refuse is refused here or by pfx_load_end. */
int pfx_load_begin(pfx_match *match, size_t from, size_t to, const pfx_rows *rows, pfx_loading **loading);

/* Waits for a load that was begun, gives its handle back, and returns what pfx_load returns. Call it for every load
 * that was begun, also after the end of its match or store. */
int64_t pfx_load_end(pfx_loading *loading);

/* Gives the match back. Waits for the load that is being done, if one was begun; those that were begun behind it
 * deliver 0 tokens. So does pfx_close, for all matches of the store. */
int pfx_match_end(pfx_match *match);

/* Begins to write a sequence. With a match, the sequence goes on behind the whole pages of its first `loaded` tokens;
 * without one (NULL and 0) it begins at its first token. Returns the tokens behind the cursor, a multiple of the page
 * size: append the tokens from there on. The match may be given back afterwards. */
int64_t pfx_seq_begin(pfx_space *space, pfx_match *match, size_t loaded, pfx_seq **seq);

/* Appends tokens and their rows, in order. Whole pages are stored as they fill. The sequence keeps a copy of the rest.
 * No token is hashed twice. Every plane must have an address. Returns how many pages were new to the store; pages that
 * are stored already cost one look-up. */
int64_t pfx_seq_append(pfx_seq *seq, const int32_t *tokens, size_t count, const pfx_rows *rows);

/* Stores the last, partial page too, and goes on behind it. Do it once, at the end of a prompt or reply. Returns how
 * many pages were new: 0 or 1. */
int64_t pfx_seq_store_tail(pfx_seq *seq);

/* Returns the tokens of the sequence so far: those it began behind, and those appended. */
int64_t pfx_seq_tokens(pfx_seq *seq);

/* Gives the sequence back. A partial page that was not stored is forgotten. */
int pfx_seq_end(pfx_seq *seq);

/* Tells the store how long the engine took to compute `tokens` tokens, so that it knows what is worth loading. */
int pfx_record_prefill(pfx_space *space, uint64_t tokens, uint64_t nanoseconds);

/* Says in JSON what is stored of `tokens`, in which tier, what loading takes, and in which fields other spaces of the
 * store differ from this one. For people and logs: it reads the descriptions of all spaces. Length as of
 * pfx_statistics. */
int64_t pfx_explain(pfx_space *space, const int32_t *tokens, size_t count, char *text, size_t capacity);

/* The prefix of the calls below must end where a stored page ends: behind a whole page, or behind the partial page that
 * pfx_seq_store_tail stored. Any other prefix is PFX_NO_SUCH_PAGE; pfx_side_get finds nothing. */

/* Stores a named blob with a prefix: a recurrent state, a window, the last logits. The prefix must be on disk (call
 * pfx_flush before). It is synced when this returns. `name` has 1 to 64 bytes, `bytes` at most 1 GiB. */
int pfx_side_put(pfx_space *space, const int32_t *tokens, size_t count, const char *name, const void *bytes,
                 size_t byte_count);

/* Copies the blob into `bytes` if it has room for all of it. Returns 1 when there is one, 0 when there is none or it is
 * damaged. *byte_count becomes its size: nothing was copied when that is more than `capacity`. */
int pfx_side_get(pfx_space *space, const int32_t *tokens, size_t count, const char *name, void *bytes,
                 size_t capacity, size_t *byte_count);

/* Keeps every page of a prefix on disk whatever the quota asks, until unpinned as often as pinned; restarts included.
 * PFX_NO_SUCH_PAGE when a page is not on disk: call pfx_flush before. */
int pfx_pin(pfx_space *space, const int32_t *tokens, size_t count);
int pfx_unpin(pfx_space *space, const int32_t *tokens, size_t count);

/* From `unix_ms` (milliseconds since 1970) on, the last page of a prefix and all behind it are a miss; 0 takes the date
 * off. PFX_NO_SUCH_PAGE as above. */
int pfx_expire(pfx_space *space, const int32_t *tokens, size_t count, int64_t unix_ms);

/* Gives a prefix a name of 1 to 64 bytes of UTF-8 for people and tools, in place of an older one of that name.
 * PFX_NO_SUCH_PAGE as above. A name keeps nothing: pin the prefix for that. */
int pfx_name_set(pfx_space *space, const char *name, const int32_t *tokens, size_t count);

/* Takes a name away; its prefix stays, pins included. PFX_NO_SUCH_NAME when there is none. */
int pfx_name_remove(pfx_store *store, const char *name);

/* All names, as one JSON array of objects with "name", "hash", "space" and "is_stored". Length as of pfx_statistics. */
int64_t pfx_names(pfx_store *store, char *text, size_t capacity);

/* -------------------------------------------------------------------------------------------------- Block level --- */

typedef struct pfx_blocks pfx_blocks;
typedef struct pfx_queue pfx_queue;

/* A key of 1 to 511 bytes, which the engine chooses; the identity of the space is part of a block's name besides. */
typedef struct pfx_key {
    const void *bytes;
    size_t byte_count;
} pfx_key;

/* A piece of the caller's memory. A block is one piece or several, one after the other; 1 GiB at most in all. */
typedef struct pfx_span {
    void *bytes;
    size_t byte_count;
} pfx_span;

/* The blocks of one identity. `element` says what the numbers in a block are stored as (PFX_BYTES if you do not know);
 * it counts as part of the identity. */
int pfx_blocks_open(pfx_store *store, const pfx_identity *identity, uint32_t element, pfx_blocks **blocks);

/* Gives the handle back. Its queues stay good. */
int pfx_blocks_close(pfx_blocks *blocks);

/* Returns how many of the first keys are stored: the first that is not ends the count. Counts as no use. A block that
 * still waits to be written is not stored. */
int64_t pfx_blocks_leading(pfx_blocks *blocks, const pfx_key *keys, size_t count);

/* Loads `count` blocks on the calling thread; reads from the disk. For a few blocks that somebody waits for: there is
 * no queue to open, and no thread to wake. Keys, spans and results are those of pfx_submit_get; results are not written
 * when the call fails. Returns how many succeeded. */
int64_t pfx_blocks_get(pfx_blocks *blocks, const pfx_key *keys, const pfx_span *spans, size_t spans_per_key,
                       size_t count, uint8_t *results);

/* Counts as a use of the blocks that are stored. Does not wait for the disk. */
int pfx_blocks_touch(pfx_blocks *blocks, const pfx_key *keys, size_t count);

/* Removes blocks, with what follows them. Waits for the disk. Returns how many were removed. A block that still waits
 * to be written is written afterwards: call pfx_flush before. */
int64_t pfx_blocks_remove(pfx_blocks *blocks, const pfx_key *keys, size_t count);

/* Opens a queue of jobs on blocks. Its threads start with the first job: one for puts, one for gets and look-ups. Each
 * does its jobs in the order in which they came. */
int pfx_queue_open(pfx_blocks *blocks, pfx_queue **queue);

/* An eventfd that is readable while completions wait. Poll it; pfx_drain resets it. It belongs to the queue: do not
 * close it, and do not read it yourself. Returns the descriptor. */
int pfx_queue_fd(pfx_queue *queue);

/* Submits `count` blocks. None of these calls waits for the disk or for another job. Each returns the job's number, 1
 * or more, or PFX_TOO_MANY while 4096 jobs wait or were not drained. A job has at most 2^20 keys and 2^22 spans.
 *
 * Keys, and the lists of keys and spans, are copied. `spans` has `spans_per_key` spans for the first key, then as many
 * for the second, and so on. The memory behind the spans, and `results`, must stay until the job is reported. `results`
 * has room for `count` bytes: byte i becomes 1 when key i succeeded, and 0 otherwise.
 *
 * A put succeeds when the block waits to be written, or when one of its key is stored already. It can be found once it
 * is written, and pfx_flush makes it durable. A get succeeds when all bytes of the block are in its spans; a block of
 * another length is a miss. A look-up succeeds when the block is stored. */
int64_t pfx_submit_put(pfx_queue *queue, const pfx_key *keys, const pfx_span *spans, size_t spans_per_key,
                       size_t count, uint8_t *results);
int64_t pfx_submit_get(pfx_queue *queue, const pfx_key *keys, const pfx_span *spans, size_t spans_per_key,
                       size_t count, uint8_t *results);
int64_t pfx_submit_exists(pfx_queue *queue, const pfx_key *keys, size_t count, uint8_t *results);

/* A job that has ended. */
typedef struct pfx_completion {
    uint64_t job;       /* its number */
    int32_t status;     /* PFX_OK, or what ended the job early */
    uint32_t count;     /* its keys */
    uint32_t succeeded; /* keys that succeeded */
    uint32_t leading;   /* keys that succeeded before the first that did not */
} pfx_completion;

/* Takes up to `capacity` completions, without waiting. `completion_size` is sizeof(pfx_completion). Returns how many
 * were taken. Each job is reported once. */
int64_t pfx_drain(pfx_queue *queue, pfx_completion *completions, size_t completion_size, size_t capacity);

/* Waits until every job submitted so far has ended, for `timeout_ms` milliseconds at most; 0: without an end. Reports
 * nothing: pfx_drain does. */
int pfx_queue_wait(pfx_queue *queue, uint64_t timeout_ms);

/* Gives the queue back. Jobs that have not begun are left out. When this returns, no thread touches the caller's memory
 * any more. */
int pfx_queue_close(pfx_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
