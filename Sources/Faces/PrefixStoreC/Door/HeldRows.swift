// The rows of a call that goes on after it has returned.

internal import CPrefixStore
internal import PrefixStore

/// A copy of the lists of a `pfx_rows`, which the caller may change after the call. The rows themselves stay the
/// caller's.
@safe
final class HeldRows: Sendable {
    // The lists are only read.
    private nonisolated(unsafe) let planes: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>
    private nonisolated(unsafe) let index: UnsafeMutableBufferPointer<UInt32>
    private nonisolated(unsafe) let rows: pfx_rows
    private let strides: [Int]?

    /// - Parameter tokens: how many tokens the call may deliver: no more of the caller's list is read.
    /// - Throws: what a call on these rows throws before it looks at their memory.
    init(_ pointer: UnsafePointer<pfx_rows>?, tokens: Int) throws {
        try unsafe withRows(pointer) { _ in }
        let rows = try unsafe sized(pointer, "pfx_rows")
        strides = unsafe rows.strides.map { unsafe Array(UnsafeBufferPointer(start: $0, count: rows.plane_count)) }
        unsafe planes = .allocate(capacity: rows.plane_count)
        unsafe index = .allocate(capacity: rows.index == nil ? 0 : min(rows.index_count, tokens))
        unsafe self.rows = unsafe rows
        unsafe _ = planes.initialize(from: UnsafeBufferPointer(start: rows.planes, count: rows.plane_count))
        unsafe _ = index.initialize(from: UnsafeBufferPointer(start: rows.index, count: index.count))
    }

    deinit {
        unsafe planes.deallocate()
        unsafe index.deallocate()
    }

    /// The memory of the rows for `body`.
    func withMemory<R>(_ body: (RowMemory) throws -> R) rethrows -> R {
        let addresses = unsafe UnsafeBufferPointer(planes)
        let (capacity, first) = unsafe (rows.capacity, rows.first)
        guard unsafe rows.index != nil else {
            return try body(unsafe RowMemory(planes: addresses, strides: strides, capacity: capacity, first: first))
        }
        return try body(
            unsafe RowMemory(
                planes: addresses, strides: strides, capacity: capacity, index: UnsafeBufferPointer(index)))
    }
}
