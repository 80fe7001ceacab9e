// What the beginning of a data file says, read before LMDB sees the file: LMDB divides by a page size of 0.

import Glibc

/// The two meta pages of a data file.
package enum DataFile: Equatable, Sendable {
    /// There is no file, or it is empty: LMDB makes a new one.
    case new
    /// LMDB can use both meta pages, and the newer one holds a whole commit.
    case sound
    /// Meta page `bad`, 0 or 1, is damaged, and the other holds a whole commit. LMDB would refuse the file, or take the
    /// damaged page for the newer one.
    case half(bad: UInt64)
    /// Both are damaged, or this is no file of LMDB's.
    case damaged

    /// Pages that one transaction of LMDB can change, and so the most that a file can be shorter than its meta page
    /// says: LMDB does not write pages that a transaction took at the end and gave back.
    static let transactionPages: UInt64 = 1 << 17
    /// How often the pages are read again when they look damaged: a writer of another process may be writing one.
    private static let attempts = 4

    /// Looks at the data file in `folder`. Reads two pages and changes nothing.
    ///
    /// - Throws: a `.code` when the file is there and cannot be read.
    package static func look(in folder: String) throws(LMDBError) -> DataFile {
        let file: OpenFile
        do throws(LMDBError) {
            file = try OpenFile.shared(folder + "/" + FolderFiles.data, O_RDONLY)
        } catch {
            guard case .code(ENOENT, _) = error else { throw error }
            return .new
        }
        let descriptor = file.descriptor
        defer { withExtendedLifetime(file) {} }
        var found = DataFile.damaged
        for _ in 0..<attempts {
            guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
            guard size > 0 else { return .new }
            found = judge(pages(descriptor, size))
            guard found != .sound else { break }
            usleep(1000)
        }
        return found
    }

    private static func judge(_ pages: (MetaPage?, MetaPage?)) -> DataFile {
        switch pages {
        case (let first?, let second?):
            let isSecondNewer = second.transaction > first.transaction
            let (newer, older) = isSecondNewer ? (second, first) : (first, second)
            if newer.isWhole { return .sound }
            return older.isWhole ? .half(bad: isSecondNewer ? 1 : 0) : .damaged
        case (let first?, nil): return first.isWhole ? .half(bad: 1) : .damaged
        case (nil, let second?): return second.isWhole ? .half(bad: 0) : .damaged
        case (nil, nil): return .damaged
        }
    }

    /// Writes the damaged one of two meta pages again: as the sound one, but older, so that the sound one counts. That
    /// commit is whole, since a writer leaves the pages of the commit before its own as they are.
    ///
    /// No other process may have the folder open.
    /// - Throws: `.damaged` unless exactly one of them is damaged; a `.code` when the file cannot be written.
    package static func mend(in folder: String) throws(LMDBError) {
        guard case .half(let bad) = try look(in: folder) else { throw .damaged("not one of two meta pages is damaged") }
        let file = try OpenFile.shared(folder + "/" + FolderFiles.data, O_RDWR)
        let descriptor = file.descriptor
        defer { withExtendedLifetime(file) {} }
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        let metas = pages(descriptor, size)
        guard let good = bad == 0 ? metas.1 : metas.0, good.isWhole else {
            throw .damaged("both meta pages are damaged")
        }
        var bytes = [UInt8](repeating: 0, count: good.pageSize)
        let from = off_t(bad == 0 ? good.pageSize : 0)
        let count = unsafe pread(descriptor, &bytes, bytes.count, from)
        guard count >= 0 else { throw .code(errno, call: "reading a meta page") }
        guard count == bytes.count else { throw .damaged("the data file is cut short") }
        let older = good.transaction == 0 ? 0 : good.transaction - 1
        for index in 0..<8 {
            bytes[index] = UInt8(truncatingIfNeeded: bad >> UInt64(8 * index))
            bytes[MetaPage.transactionOffset + index] = UInt8(truncatingIfNeeded: older >> UInt64(8 * index))
        }
        let written = unsafe pwrite(descriptor, &bytes, bytes.count, off_t(bad) * off_t(good.pageSize))
        guard written == bytes.count, fsync(descriptor) == 0 else { throw .code(errno, call: "writing a meta page") }
    }

    /// Both meta pages, nil where they are damaged. The second lies where the page size of the first says; if that is
    /// damaged, where it has a page size that fits.
    private static func pages(_ descriptor: Int32, _ size: Int) -> (MetaPage?, MetaPage?) {
        func page(_ number: UInt64, at pageSize: Int) -> MetaPage? {
            var bytes = [UInt8](repeating: 0, count: MetaPage.byteCount)
            let offset = off_t(number) * off_t(pageSize)
            guard unsafe pread(descriptor, &bytes, bytes.count, offset) == bytes.count else { return nil }
            guard let meta = unsafe bytes.withUnsafeBytes({ unsafe MetaPage($0, number: number) }),
                meta.lastPage < UInt64(size / meta.pageSize) + transactionPages
            else { return nil }
            return number == 0 || meta.pageSize == pageSize ? meta : nil
        }
        let first = page(0, at: 0)
        let sizes = first.map { [$0.pageSize] } ?? MetaPage.pageSizes.map(Int.init)
        return (first, sizes.lazy.compactMap { page(1, at: $0) }.first)
    }

    /// Throws `.damaged` unless LMDB can open the file.
    static func requireSound(in folder: String) throws(LMDBError) {
        switch try look(in: folder) {
        case .new, .sound: return
        case .half: throw .damaged("one of its two meta pages is damaged")
        case .damaged: throw .damaged("its meta pages are damaged, or it is not a file of LMDB's")
        }
    }
}
