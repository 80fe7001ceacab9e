// What an environment can tell about itself: sizes, readers, free pages.

import CLMDB

/// The state of an environment at one moment.
package struct EnvironmentInfo: Sendable, Equatable {
    /// Bytes of address space reserved.
    package let mapSize: Int
    /// Bytes of an LMDB page.
    package let pageSize: Int
    /// The highest page number in use; the file has this many pages and one more.
    let lastPage: Int
    /// The number of the last committed transaction.
    package let lastTransaction: Int
    /// Pages that were freed and can be used again, unless a reader still sees them.
    package let freePages: Int
    /// Read transactions open now, all processes together, this call's own not counted.
    package let readers: Int
    /// How many could be open at once.
    package let maxReaders: Int
    /// How many transactions were committed since the oldest open snapshot; `nil` without readers.
    package let oldestReaderLag: Int?

    /// Bytes of pages in use, LMDB's own included: what a quota counts.
    package var usedBytes: Int { (lastPage + 1 - freePages) * pageSize }
    /// Bytes of the file, free pages included.
    package var fileBytes: Int { (lastPage + 1) * pageSize }
}

extension Environment {
    /// Sizes, readers and free pages. Walks LMDB's free list: about a microsecond for every thousand free pages.
    package func info() throws(LMDBError) -> EnvironmentInfo {
        let slots = try readerSlots()
        return try read { (transaction) throws(LMDBError) in
            var info = unsafe MDB_envinfo()
            try check(unsafe mdb_env_info(handle, &info), call: "mdb_env_info")
            let last = unsafe info.me_last_txnid
            return unsafe EnvironmentInfo(
                mapSize: info.me_mapsize, pageSize: pageSize, lastPage: info.me_last_pgno, lastTransaction: last,
                freePages: try transaction.countFreePages(), readers: slots.count,
                maxReaders: Int(info.me_maxreaders), oldestReaderLag: slots.min().map { max(0, last - $0) })
        }
    }

    /// Gives the slots of dead readers free, and answers how many there were. Call it before each batch of writes: a
    /// dead reader's slot keeps every page that was freed since from being used again.
    package func freeDeadReaders() throws(LMDBError) -> Int {
        try requireOwnProcess()
        try gate.enter()
        defer { gate.leave() }
        var dead: Int32 = 0
        try check(unsafe mdb_reader_check(handle, &dead), call: "mdb_reader_check")
        return Int(dead)
    }

    /// The transaction numbers that open snapshots see.
    private func readerSlots() throws(LMDBError) -> [Int] {
        try requireOwnProcess()
        try gate.enter()
        defer { gate.leave() }
        var text: [UInt8] = []
        let status = unsafe withUnsafeMutablePointer(to: &text) { text in
            unsafe mdb_reader_list(
                handle,
                { line, context in
                    guard let line = unsafe line, let context = unsafe context else { return -1 }
                    let text = unsafe context.assumingMemoryBound(to: [UInt8].self)
                    unsafe text.pointee += Array(String(cString: line).utf8)
                    return 0
                }, text)
        }
        guard status >= 0 else { throw .code(status, call: "mdb_reader_list") }
        return ReaderList.transactions(in: String(decoding: text, as: UTF8.self))
    }
}

/// LMDB's list of readers, which it gives as text only: `process thread transaction`, the last `-` for an idle slot.
enum ReaderList {
    /// The transaction numbers in a list; lines that hold none (headings, idle slots) are passed over.
    static func transactions(in text: String) -> [Int] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count == 3 ? Int(fields[2]) : nil
        }
    }
}

extension ReadTransaction {
    /// Pages that LMDB could use again, by its own list: each value is a count and that many page numbers.
    func countFreePages() throws(LMDBError) -> Int {
        var pages = 0
        var list = try cursor(.freeList)
        while try list.next() {
            let value = list.value
            guard value.byteCount >= 8 else { throw .damaged("an entry of the free list is too short") }
            let count = unsafe value.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)
            guard count < UInt64(value.byteCount / 8) else { throw .damaged("an entry of the free list is too short") }
            pages += Int(count)
        }
        return pages
    }
}
