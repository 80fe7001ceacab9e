// LMDB's pages, read without LMDB: snapshots, look-ups, cursors, the census, and the guard of writers.

import TestKit

@testable import LMDB

extension FuzzTarget {
    /// Changes to a file that is otherwise sound.
    static let pages = FuzzTarget(
        name: "pages", subject: "LMDB's pages under guarded reading: meta pages, trees, free list, census",
        longest: 512,
        seeds: { Patches.seeds },
        run: { input in
            let bytes = PagesFile.sound.patches.damaged(by: &input)
            // A copy of exactly this size, so that the sanitizer sees what is read behind its end.
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 4096)
            defer { unsafe memory.deallocate() }
            unsafe memory.copyBytes(from: bytes)
            guard let start = memory.baseAddress else { return }
            unsafe PagesFile.sound.readAll(UnsafeRawBufferPointer(start: start, count: bytes.count), input)
        })
}

/// A file of LMDB's with two tables, values of all sizes and a free list.
struct PagesFile: Sendable {
    let patches: Patches
    private let tables: [Table]

    static let sound: PagesFile = {
        guard let made = try? PagesFile() else { preconditionFailure("a file of LMDB's can be made") }
        return made
    }()

    private static let keys = 150

    private init() throws {
        let folder = try TemporaryFolder()
        let options = EnvironmentOptions(mapSize: 8 << 20, maxTables: 4, maxReaders: 4)
        let environment = try Environment(folder: folder.path, options: options)
        tables = try environment.openTables(["large", "small"])
        for round in 0..<3 {
            try environment.write { [tables] (transaction: inout WriteTransaction) throws(LMDBError) in
                for number in 0..<Self.keys where number % 3 >= round {
                    let key = Self.key(number)
                    let value = [UInt8](repeating: UInt8(number & 255), count: 40 + number % 60)
                    try transaction.put(tables[1], key: unsafe key.span.bytes, value: unsafe value.span.bytes)
                    guard number % 25 == 0 else { continue }
                    let large = [UInt8](repeating: 7, count: 3000 + round * 4000)
                    try transaction.put(tables[0], key: unsafe key.span.bytes, value: unsafe large.span.bytes)
                }
            }
        }
        try environment.write { [tables] (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in stride(from: 0, to: 60, by: 2) {
                for table in tables { _ = try transaction.delete(table, key: unsafe Self.key(number).span.bytes) }
            }
        }
        environment.close()
        let bytes = try Scratch.read(folder.path("data.mdb"))
        precondition(bytes.count / Patches.pageSize < 256, "one byte names every page of the file")
        patches = Patches(whole: bytes)
    }

    private static func key(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255), 0, 1] }

    /// Reads a file in every way that the store reads one.
    @unsafe
    func readAll(_ file: UnsafeRawBufferPointer, _ input: FuzzInput) {
        guard let start = file.baseAddress, file.count >= 2 * Patches.pageSize else { return }
        let metas = [UInt64(0), 1].compactMap { number -> MetaPage? in
            let page = unsafe UnsafeRawBufferPointer(
                start: start + Int(number) * Patches.pageSize, count: MetaPage.byteCount)
            return unsafe MetaPage(page, number: number)
        }
        for meta in metas where meta.isWhole && meta.pageSize == Patches.pageSize {
            let pages = unsafe PageMap(
                start: start, pageSize: meta.pageSize,
                count: min(UInt64(file.count / meta.pageSize), meta.lastPage + 1))
            do throws(LMDBError) {
                let snapshot = try Snapshot(meta, in: pages, handles: tables)
                let census = meta.lastPage < 4096 ? PageCensus(pages, snapshot) : nil
                try? pages.freePages(snapshot.freeList) { (_) throws(LMDBError) in }
                for table in tables { read(table, pages, snapshot) }
                write(pages, snapshot)
                input.plant(census?.findings.contains { $0.sentence.contains("used twice") } == true)
            } catch {
                input.require(error.isDamage, "what is wrong in a file is damage")
            }
        }
    }

    private func read(_ table: Table, _ pages: PageMap, _ snapshot: Snapshot) {
        guard let tree = try? snapshot.tree(table) else { return }
        for number in stride(from: 0, to: Self.keys, by: 7) {
            unsafe try? Self.key(number).withUnsafeBytes { key in
                unsafe touch(try pages.value(under: key, in: tree))
            }
        }
        for isForward in [true, false] {
            var cursor = TreeCursor(pages, tree)
            do {
                unsafe try Self.key(40).withUnsafeBytes { key in unsafe try cursor.seek(key) }
                while let entry = unsafe try cursor.entry() {
                    unsafe touch(entry.key)
                    unsafe touch(entry.value)
                    if isForward { try cursor.next() } else { try cursor.previous() }
                }
            } catch {}
        }
    }

    private func write(_ pages: PageMap, _ snapshot: Snapshot) {
        let guarded = WriteGuard(pages, snapshot)
        for number in stride(from: 1, to: Self.keys, by: 5) {
            for table in tables {
                unsafe Self.key(number).withUnsafeBytes { key in
                    unsafe try? guarded.look(table, key)
                    unsafe try? guarded.put(table, key)
                    unsafe try? guarded.delete(table, key)
                }
            }
        }
    }

    /// Reads the first and the last byte and some between.
    @unsafe
    private func touch(_ bytes: UnsafeRawBufferPointer?) {
        guard let bytes = unsafe bytes, unsafe !bytes.isEmpty else { return }
        var sum: UInt8 = 0
        for index in stride(from: 0, to: bytes.count, by: 64) { sum &+= unsafe bytes[index] }
        sum &+= unsafe bytes[bytes.count - 1]
        withExtendedLifetime(sum) {}
    }
}
