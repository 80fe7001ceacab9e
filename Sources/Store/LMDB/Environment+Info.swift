// Information about an environment: sizes, readers, free pages.

import CLMDB
import Glibc

/// The state of an environment at one moment.
package struct EnvironmentInfo: Sendable, Equatable {
    /// Bytes of address space reserved.
    package let mapSize: Int
    /// Bytes of an LMDB page.
    package let pageSize: Int
    /// The highest page number in use.
    let lastPage: Int
    /// Bytes of the file, as the file system has them: the pages in use, those that are free, and room behind the last
    /// page that a writer has reserved.
    package let fileBytes: Int
    /// The number of the last committed transaction.
    package let lastTransaction: Int
    /// Freed pages that can be reused, unless a reader still sees them.
    package let freePages: Int
    /// Read transactions that are open now in all processes, not counting the one of this call.
    package let readers: Int
    /// How many could be open at once.
    package let maxReaders: Int
    /// How many transactions were committed since the oldest open snapshot; `nil` without readers.
    package let oldestReaderLag: Int?

    /// Bytes of pages in use, including LMDB's own: what a quota counts.
    package var usedBytes: Int { (lastPage + 1 - freePages) * pageSize }
    /// Bytes of the file that are free and will be used again.
    package var freeBytes: Int { max(0, fileBytes - usedBytes) }
    /// The transaction that the oldest open snapshot sees; nil without readers. What was freed later cannot be reused
    /// yet.
    package var oldestSnapshot: Int? { oldestReaderLag.map { lastTransaction - $0 } }
}

extension Environment {
    /// Sizes, readers and free pages. Walks LMDB's free list: about a microsecond per thousand free pages.
    package func info() throws(LMDBError) -> EnvironmentInfo {
        let slots = try readerSlots()
        return try read { (transaction) throws(LMDBError) in
            var info = unsafe MDB_envinfo()
            let environment = unsafe mdb_txn_env(transaction.core.handle)
            try check(unsafe mdb_env_info(environment, &info), call: "mdb_env_info")
            let last = unsafe info.me_last_txnid
            guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
            return unsafe EnvironmentInfo(
                mapSize: info.me_mapsize, pageSize: pageSize, lastPage: info.me_last_pgno, fileBytes: size,
                lastTransaction: last, freePages: try transaction.countFreePages(), readers: slots.count,
                maxReaders: Int(info.me_maxreaders), oldestReaderLag: slots.min().map { max(0, last - $0) })
        }
    }

    /// How many transactions were committed since the oldest open snapshot; nil without readers, and when the data file
    /// has at most `bytes` bytes.
    package func oldestReaderLag(ifLongerThan bytes: Int) throws(LMDBError) -> Int? {
        guard try isLonger(than: bytes), let oldest = try readerSlots().min() else { return nil }
        try gate.enter()
        defer { gate.leave() }
        guard let opened else { return nil }
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(opened.handle, &info), call: "mdb_env_info")
        return unsafe max(0, info.me_last_txnid - oldest)
    }

    private func isLonger(than bytes: Int) throws(LMDBError) -> Bool {
        try requireOwnProcess()
        try gate.enter()
        defer { gate.leave() }
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        return size > bytes
    }

    /// Frees the slots of dead readers, and returns how many there were. Call it before each batch of writes: the slot
    /// of a dead reader keeps LMDB from reusing every page that was freed since.
    package func freeDeadReaders() throws(LMDBError) -> Int {
        try requireOwnProcess()
        try gate.enter()
        defer { gate.leave() }
        // What is about to be opened anew frees them then.
        guard let opened else { return 0 }
        var dead: Int32 = 0
        try check(unsafe mdb_reader_check(opened.handle, &dead), call: "mdb_reader_check")
        return Int(dead)
    }

    /// The transaction numbers that open snapshots see.
    private func readerSlots() throws(LMDBError) -> [Int] {
        try requireOwnProcess()
        try gate.enter()
        defer { gate.leave() }
        guard let opened else { return [] }
        var text: [UInt8] = []
        let status = unsafe withUnsafeMutablePointer(to: &text) { text in
            unsafe mdb_reader_list(
                opened.handle,
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
    /// The transaction numbers in a list. Lines without one (headings, idle slots) are skipped.
    static func transactions(in text: String) -> [Int] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count == 3 ? Int(fields[2]) : nil
        }
    }
}

extension ReadTransaction {
    /// The number of pages that LMDB could reuse, from its own list: each value is a count followed by that many page
    /// numbers.
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
