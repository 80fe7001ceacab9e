// Pages between their insert and their encoding: the engine's bytes, in memory that is touched once and used again.

package import KVFormat
internal import Threads

/// Memory for pages that are not encoded yet, apart from that of the records. Thread-safe. A page gives its memory back
/// when nobody refers to it any more, which may be under the mutex of the tier: its own lock is taken last.
final class Staging: Sendable {
    private let arena: Guarded<PageArena>

    init(capacity: Int) { arena = Guarded(PageArena(capacity: capacity)) }

    /// Room for a whole page of `layout`; nil when there is none now.
    func take(_ layout: KVLayout) -> StagedPage? {
        let page = arena.withLock { arena -> StagedPage? in
            guard let (seat, isFresh) = try? arena.take(layout.bytesPerPage) else { return nil }
            return unsafe StagedPage(self, seat, isFresh: isFresh, arena.address(seat), capacity: layout.pageSize)
        }
        page?.provide()
        return page
    }

    fileprivate func give(_ seat: Seat) { arena.withLock { $0.give(seat) } }

    /// Bytes of memory that it has taken from the system.
    var residentBytes: Int { arena.withLock { $0.residentBytes } }
    /// Bytes of the pages in it.
    var usedBytes: Int { arena.withLock { $0.usedBytes } }
}

/// The bytes of a page as an engine gave them: in one piece, planes of `pageSize` tokens. They stay as they are as long
/// as the object lives.
@safe
final class StagedPage: @unchecked Sendable {
    // Unchecked: the inserting thread writes the bytes before it publishes the page; then they are only read.
    private let staging: Staging
    private let seat: Seat
    private let isFresh: Bool
    private let address: UnsafeMutableRawPointer
    /// The memory, to write to.
    let target: PageTarget

    fileprivate init(
        _ staging: Staging, _ seat: Seat, isFresh: Bool, _ address: UnsafeMutableRawPointer, capacity: Int
    ) {
        self.staging = staging
        self.seat = seat
        self.isFresh = isFresh
        unsafe self.address = address
        unsafe target = PageTarget(address, capacity: capacity)
    }

    deinit { staging.give(seat) }

    /// Has the system provide the memory, if it is not there yet.
    fileprivate func provide() {
        if isFresh { unsafe FreshMemory.provide(address, byteCount: seat.byteCount) }
    }

    /// The page's bytes.
    var source: PageSource { target.source }
}

/// What there is of a page in RAM.
package enum HotContent: Sendable {
    /// Its bytes as the engine gave them, which stay as they are as long as `owner` lives.
    case staged(PageSource, owner: any AnyObject & Sendable)
    /// Its record.
    case record(HeldRecord)
    /// Nothing: there was no room for its record.
    case none
}

/// The bytes of a record in the tier. They stay as they are as long as the lease or pin lives that they come from.
@safe
package struct HeldRecord: @unchecked Sendable {
    // Unchecked: the memory is only read.
    private let memory: UnsafeRawBufferPointer

    init(_ address: UnsafeRawPointer, byteCount: Int) {
        unsafe memory = UnsafeRawBufferPointer(start: address, count: byteCount)
    }

    /// The bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(memory.bytes, borrowing: self) }
    }
}
