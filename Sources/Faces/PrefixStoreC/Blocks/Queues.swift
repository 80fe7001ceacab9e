// pfx_queue_open, pfx_queue_fd, pfx_submit_put, pfx_submit_get, pfx_submit_exists, pfx_drain, pfx_queue_wait,
// pfx_queue_close.

public import CPrefixStore
internal import PrefixStore
internal import Threads

/// See prefixstore.h.
@c @implementation
public func pfx_queue_open(_ blocks: OpaquePointer!, _ queue: UnsafeMutablePointer<OpaquePointer?>!) -> Int32 {
    answer {
        let result = try unsafe place(queue, "queue")
        let (blocks, store) = try unsafe blocks.found(BlockSpace.self)
        try unsafe result.give(BlockQueue(blocks), of: store)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_queue_fd(_ queue: OpaquePointer!) -> Int32 {
    let event: Int64 = answer { Int64(try unsafe queue.object(BlockQueue.self).event) }
    return Int32(event)
}

/// See prefixstore.h.
@c @implementation
public func pfx_submit_put(
    _ queue: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ spans: UnsafePointer<pfx_span>!,
    _ spans_per_key: Int, _ count: Int, _ results: UnsafeMutablePointer<UInt8>!
) -> Int64 {
    answer { try unsafe submit(.put, queue, keys, PrefixStoreC.spans(spans, spans_per_key, count), count, results) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_submit_get(
    _ queue: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ spans: UnsafePointer<pfx_span>!,
    _ spans_per_key: Int, _ count: Int, _ results: UnsafeMutablePointer<UInt8>!
) -> Int64 {
    answer { try unsafe submit(.get, queue, keys, PrefixStoreC.spans(spans, spans_per_key, count), count, results) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_submit_exists(
    _ queue: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ count: Int, _ results: UnsafeMutablePointer<UInt8>!
) -> Int64 {
    answer { try unsafe submit(.exists, queue, keys, [], count, results) }
}

private func submit(
    _ work: BlockJob.Work, _ queue: OpaquePointer?, _ keys: UnsafePointer<pfx_key>?,
    _ spans: [[UnsafeMutableRawBufferPointer]], _ count: Int, _ results: UnsafeMutablePointer<UInt8>?
) throws -> Int64 {
    let queue = try unsafe queue.object(BlockQueue.self)
    let keys = try unsafe PrefixStoreC.keys(keys, count)
    guard unsafe results != nil || count == 0 else { throw Refusal.argument("results is NULL") }
    return Int64(try queue.submit(unsafe BlockJob(work: work, keys: keys, spans: spans, results: results)))
}

/// See prefixstore.h.
@c @implementation
public func pfx_drain(
    _ queue: OpaquePointer!, _ completions: UnsafeMutablePointer<pfx_completion>!, _ completion_size: Int,
    _ capacity: Int
) -> Int64 {
    answer {
        let queue = try unsafe queue.object(BlockQueue.self)
        let known = MemoryLayout<pfx_completion>.size
        guard (known...4096).contains(completion_size) else {
            throw Refusal.argument("the size of pfx_completion is given as \(completion_size): set it to sizeof")
        }
        guard capacity >= 0, unsafe completions != nil || capacity == 0 else {
            throw Refusal.argument("there is no list of \(capacity) completions")
        }
        let taken = queue.drain(capacity)
        if let completions = unsafe completions {
            for (index, completion) in taken.enumerated() {
                let target = unsafe UnsafeMutableRawBufferPointer(
                    start: UnsafeMutableRawPointer(completions) + index * completion_size, count: completion_size)
                unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
                unsafe withUnsafeBytes(of: completion) { unsafe target.copyMemory(from: $0) }
            }
        }
        return Int64(taken.count)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_queue_wait(_ queue: OpaquePointer!, _ timeout_ms: UInt64) -> Int32 {
    answer {
        let queue = try unsafe queue.object(BlockQueue.self)
        let limit = timeout_ms == 0 ? Int64.max : Int64(clamping: timeout_ms)
        guard queue.wait(before: .after(.milliseconds(limit))) else {
            throw Refusal(
                code: PFX_TIMED_OUT, text: "Not every job had ended after \(timeout_ms) ms. They go on; wait again.")
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_queue_close(_ queue: OpaquePointer!) -> Int32 {
    answer { try unsafe queue.giveBack(BlockQueue.self)?.close() }
}
