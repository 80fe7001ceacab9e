// A data file that is shorter than its last page.
//
// To read a mapped page beyond the end of the file would end the process. Even a sound file may be short: LMDB never
// writes pages that one transaction took at the end of the file and gave back. So a short file is no error. Readers see
// filler there, and the file stays as it is; the first write transaction makes it whole.

import CLMDB
import Glibc
import Synchronization
import Threads

/// Bytes of the map that the file does not have.
struct MissingEnd {
    var start: Int
    let end: Int

    /// A sound file lacks no more than one transaction takes.
    static func longest(pageSize: Int) -> Int { Int(DataFile.transactionPages) * pageSize }
}

extension Environment {
    /// Puts filler into the map where the file has nothing. To be called when the file has been mapped, before a
    /// transaction begins.
    ///
    /// - Throws: `.damaged` when more is missing than a sound file can lack.
    func coverMissingEnd(of opened: Opened) throws(LMDBError) {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(opened.handle, &info), call: "mdb_env_info")
        let (end, overflows) = unsafe (info.me_last_pgno &+ 1).multipliedReportingOverflow(by: pageSize)
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        let start = wholePages(size)
        // LMDB maps all pages that it knows at open. Another process may have enlarged the map since and added pages,
        // but LMDB does not read those before it has adopted the new size.
        guard !overflows, end <= opened.map.byteCount, start < end else { return forgetMissingEnd() }
        guard end - start <= MissingEnd.longest(pageSize: pageSize) else {
            throw .damaged("the data file has lost its end")
        }
        let place = unsafe UnsafeMutableRawPointer(mutating: opened.map.start + start)
        let fixed = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        guard unsafe mmap(place, end - start, PROT_READ | PROT_WRITE, fixed, -1, 0) == place else {
            throw .code(errno, call: "mmap")
        }
        let page = FillerPage(byteCount: pageSize)
        for offset in stride(from: 0, to: end - start, by: pageSize) { unsafe page.copy(to: place + offset) }
        unsafe mprotect(place, end - start, PROT_READ)
        missing.withLock { $0 = MissingEnd(start: start, end: end) }
        isShort.store(true, ordering: .releasing)
    }

    /// Bytes in which values can lie beyond those of the file.
    var coveredBytes: Int { isShort.load(ordering: .acquiring) ? missing.withLock { $0?.end ?? 0 } : 0 }

    /// Lets the map show what the file has got meanwhile. Called inside the gate when a transaction has begun: what the
    /// transaction sees was written before.
    ///
    /// - Parameter isWriting: whether no other process can write now, so that this one can make the file whole.
    func uncoverMissingEnd(of opened: Opened, isWriting: Bool) throws(LMDBError) {
        guard isShort.load(ordering: .acquiring) else { return }
        try missing.withLock { missing throws(LMDBError) in
            guard let old = missing else { return }
            guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
            var start = min(max(old.start, wholePages(size)), old.end)
            if isWriting {
                try fill(start..<old.end)
                start = old.end
            }
            if start > old.start {
                let place = unsafe UnsafeMutableRawPointer(mutating: opened.map.start + old.start)
                let shared = MAP_FIXED | MAP_SHARED
                guard unsafe mmap(place, start - old.start, PROT_READ, shared, descriptor, off_t(old.start)) == place
                else { throw .code(errno, call: "mmap") }
            }
            missing = start < old.end ? MissingEnd(start: start, end: old.end) : nil
        }
        isShort.store(missing.withLock { $0 != nil }, ordering: .releasing)
    }

    private func forgetMissingEnd() {
        missing.withLock { $0 = nil }
        isShort.store(false, ordering: .releasing)
    }

    /// The size of a file in whole pages: the rest of a page that was cut reads as zeros.
    private func wholePages(_ byteCount: Int) -> Int { (byteCount + pageSize - 1) / pageSize * pageSize }

    /// Writes filler to a part of the file that it does not have.
    private func fill(_ bytes: Range<Int>) throws(LMDBError) {
        let page = FillerPage(byteCount: pageSize)
        for offset in stride(from: bytes.lowerBound, to: bytes.upperBound, by: pageSize) {
            guard page.write(to: descriptor, at: offset) else { throw .code(errno, call: "making the data file whole") }
        }
    }
}

/// A page in place of one that is lost: a leaf of LMDB's tree with one entry that has an empty key.
///
/// LMDB looks at the kind of some pages only in an assertion that ends the process. It takes this page for what it is,
/// finds no key in it, and a cursor that comes to its entry meets a key that no table can have.
struct FillerPage {
    private let bytes: [UInt8]

    init(byteCount: Int) {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        // The header: number of the page (8 bytes), padding (2), flags (2: `P_LEAF`), end of the list of entries (2),
        // beginning of the entries (2). Then the list, which is one place. The entry itself is 8 zeros at the end.
        let entry = byteCount - 8
        bytes[10] = 2
        bytes[12] = 16 + 2
        for place in [14, 16] { (bytes[place], bytes[place + 1]) = (UInt8(entry & 0xFF), UInt8(entry >> 8 & 0xFF)) }
        self.bytes = bytes
    }

    @unsafe
    func copy(to place: UnsafeMutableRawPointer) {
        unsafe UnsafeMutableRawBufferPointer(start: place, count: bytes.count).copyBytes(from: bytes)
    }

    /// Writes the page to a file; false, with `errno` set, when it was not written whole.
    func write(to descriptor: Int32, at offset: Int) -> Bool {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
        }
        if count >= 0, count < bytes.count { errno = ENOSPC }
        return count == bytes.count
    }
}
