// The file that counts uses of pages that are not stored. What the write policy makes of it: PrefixStoreTests.

import Glibc
import KVFormat
import TestKit
import Testing

@testable import ColdTier

@Suite("The table of seen pages")
struct SeenPagesTests {
    let folder: TemporaryFolder
    private var file: String { folder.path + "/seen" }

    init() throws { folder = try TemporaryFolder() }

    /// A hash whose page has the line of `line`, and that differs from others there by `number`.
    private func hash(_ number: UInt8, line: UInt8 = 0) throws -> PrefixHash {
        try #require(PrefixHash(bytes: [number, 1, 1, 0, 0, 0, 0, line] + [UInt8](repeating: 7, count: 24)))
    }

    private func count(_ number: UInt8, line: UInt8 = 0, now: Int64 = 0) throws -> Int {
        try SeenPages(folder: folder.path).count([hash(number, line: line)], now: now)[0]
    }

    @Test("counts the uses of each page for all that open it, one after the other or at once")
    func counts() throws {
        let hashes = (0..<1000).map { PrefixHash.sha256([UInt8($0 & 255), UInt8($0 >> 8)]) }
        let first = SeenPages(folder: folder.path)
        #expect(first.count(hashes, now: 0) == [Int](repeating: 1, count: 1000))
        #expect(SeenPages(folder: folder.path).count(hashes, now: 1 << 40) == [Int](repeating: 2, count: 1000))
        #expect(first.count([hashes[3], hashes[3]], now: -1) == [3, 4])
        #expect(SeenPages.pageCount(folder: folder.path) == 1000)
        #expect(TemporaryFolder.size(file) == 2 << 20)
    }

    @Test("forgets in a full line the page that was used longest ago, and of several the one that was used least")
    func forgets() throws {
        for number in 0..<8 { #expect(try count(UInt8(number), now: 10_000) == 1) }
        for number in 0..<8 where number != 5 { #expect(try count(UInt8(number), now: 10_000) == 2) }
        #expect(try count(8, now: 10_000) == 1, "it takes the place of 5")
        #expect(try count(8, line: 1, now: 10_000) == 1, "the next line has room")
        for number in 0..<8 where number != 5 && number != 2 { #expect(try count(UInt8(number), now: 20_000) == 3) }
        #expect(try count(8, now: 20_000) == 2)
        #expect(try count(5, now: 20_000) == 1, "it takes the place of 2, which was used ten seconds before the others")
        #expect(try count(2, now: 20_000) == 1)
        #expect(SeenPages.pageCount(folder: folder.path) == 9)
    }

    @Test("ends its counts at 65,535, and takes any clock")
    func limits() throws {
        var page = SeenPage(try hash(1))
        #expect(page.uses == 0)
        for now in [Int64.min, -1, 0, .max] + [Int64](repeating: 1 << 41, count: 70_000) { page.use(at: now) }
        #expect(page.uses == 65_535)
        #expect(try page.isOf(hash(1)))
        #expect(try !page.isOf(hash(2)))
        #expect(page.age(at: 1 << 41) == 0 && page.age(at: (1 << 41) + 1024 * 7) == 7 && page.age(at: 0) >= 0)
    }

    @Test("is made again when it is missing, cut short or of another kind, also while another process uses it")
    func damaged() throws {
        for damage: () -> Void in [
            { unsafe unlink(file) }, { unsafe truncate(file, 100) }, { unsafe truncate(file, 4 << 20) },
            { overwrite(from: 3, with: [0]) },
        ] {
            let other = SeenPages(folder: folder.path)
            #expect(try other.count([hash(1)], now: 0)[0] == 1)
            damage()
            #expect(SeenPages.pageCount(folder: folder.path) == 0)
            #expect(try count(1) == 1)
            #expect(try other.count([hash(1)], now: 0)[0] >= 2)
            #expect(TemporaryFolder.size(file) == 2 << 20)
            unsafe unlink(file)
        }
    }

    @Test("counts something whatever is in it")
    func garbage() throws {
        _ = try count(1)
        for byte: UInt8 in [0xFF, 0x55, 1] {
            overwrite(from: 64, with: [UInt8](repeating: byte, count: 2 << 20 - 64))
            for number in 0..<255 { #expect((1...65_535).contains(try count(UInt8(number), line: 3, now: 5))) }
        }
    }

    @Test("knows of no earlier use where it cannot be made, and is no way out of the folder")
    func impossible() throws {
        unsafe mkdir(file, 0o700)
        #expect(try count(1) == 1)
        #expect(try count(1) == 1)
        unsafe rmdir(file)
        unsafe symlink(folder.path + "/elsewhere", file)
        #expect(try count(1) == 1)
        #expect(try count(1) == 1)
        #expect(TemporaryFolder.size(folder.path + "/elsewhere") == 0)
        #expect(SeenPages.pageCount(folder: folder.path) == 0)
    }

    private func overwrite(from offset: Int, with bytes: [UInt8]) {
        let descriptor = unsafe open(file, O_WRONLY)
        #expect(unsafe pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
        close(descriptor)
    }
}
