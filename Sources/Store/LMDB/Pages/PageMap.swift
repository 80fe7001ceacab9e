// The pages of the data file as they lie in memory, read with bounds of our own.
//
// LMDB trusts its file: a page number, an offset or a size that damage has changed ends the process that follows it.
// What is in this folder reads the same pages and trusts nothing. Look-ups in read transactions go through it alone,
// and write transactions have it check what LMDB is about to walk. The layout is that of LMDB 0.9 (`MDB_DATA_VERSION`
// 1).

/// The pages that a snapshot may reach.
@safe
struct PageMap {
    let start: UnsafeRawPointer
    let pageSize: Int
    /// Pages that may be read: those of the snapshot that the file really has, the two meta pages included.
    let count: UInt64

    /// The first page behind the two meta pages.
    static let first: UInt64 = 2
    /// The page number that stands for no page: the root of an empty tree.
    static let none = UInt64.max
    /// Bytes of the header of every page: its number (8), padding (2), flags (2), and bounds (2 and 2) or pages (4).
    static let header = 16
    /// Levels that a tree may have; LMDB's own limit.
    static let levels = 32

    /// Where a page lies. Throws `.damaged` for a number that no page of a tree can have.
    func address(_ number: UInt64) throws(LMDBError) -> UnsafeRawPointer {
        guard number >= Self.first, number < count else { throw .damaged("a page number leads outside the file") }
        return unsafe start + Int(number) * pageSize
    }

    /// Pages that a value of `byteCount` bytes takes behind its header.
    func overflowPages(_ byteCount: Int) -> UInt64 { UInt64((Self.header + byteCount - 1) / pageSize + 1) }

    /// A large value, which lies in a run of pages of its own.
    ///
    /// - Parameter givingBack: whether LMDB is about to give back all pages that the header names: none of them may
    ///   belong to something else. A reader needs to know only that the bytes are there.
    func overflow(
        _ number: UInt64, byteCount: Int, givingBack: Bool = false
    ) throws(LMDBError) -> UnsafeRawBufferPointer {
        let needed = overflowPages(byteCount)
        let page = unsafe try address(number)
        guard needed <= count - number else { throw .damaged("a value reaches outside the file") }
        let header = unsafe PageHeader(page)
        guard header.number == number, header.flags == PageHeader.overflow else {
            throw .damaged("a large value does not begin with its header")
        }
        let run = UInt64(header.pages)
        guard run >= needed, !givingBack || run <= count - number else {
            throw .damaged("the header of a large value has the wrong length")
        }
        // A run is longer than its value where one transaction has stored a longer value there first. Those pages begin
        // with bytes of that value, and the pages of something else with a header.
        if givingBack, run > needed {
            let next = unsafe PageHeader(page + Int(needed) * pageSize)
            guard next.number != number + needed else {
                throw .damaged("the header of a large value has the wrong length")
            }
        }
        return unsafe UnsafeRawBufferPointer(start: page + Self.header, count: byteCount)
    }
}

/// The header of an LMDB page. It is a private struct of the library, which has not changed in any version 0.9.
struct PageHeader {
    static let branch: UInt16 = 0x01
    static let leaf: UInt16 = 0x02
    static let overflow: UInt16 = 0x04
    static let meta: UInt16 = 0x08
    /// `P_OVERFLOW | P_DIRTY`: the first page of a large value, written by the transaction that is open.
    static let writtenOverflow: UInt16 = 0x04 | 0x10

    let number: UInt64
    let flags: UInt16
    /// Pages of the run of a large value; the bounds of the free part in a page of a tree.
    let pages: UInt32

    init(_ start: UnsafeRawPointer) {
        number = unsafe start.loadUnaligned(as: UInt64.self)
        // There are two bytes of padding between the two fields.
        flags = unsafe start.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        pages = unsafe start.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
    }
}
