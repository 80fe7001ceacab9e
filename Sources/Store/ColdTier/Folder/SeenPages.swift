// How often pages were used that are not stored, by all processes and since long before this one: for engines that
// write only what is used again.
//
// The file `seen` is one table of 32,767 lines behind a first line of 64 bytes that begins with `PFXseen1`. A page has
// one line, and the line has room for eight pages: the one that was used longest ago makes room for a new one. The
// table is read and written in place, without a lock, a sync or a map: of two uses at the same moment one may be lost,
// and a full disk or a file that somebody cuts short ends no process. Whatever is in it only hastens or delays a write.

internal import Glibc
package import KVFormat
internal import LMDB
internal import Threads

/// The uses of pages that are not stored. Thread-safe.
package final class SeenPages: Sendable {
    /// The file in the store's folder.
    static let file = "seen"
    static let fileBytes = 2 << 20
    private static let lineBytes = 64
    static let header: [UInt8] = Array("PFXseen1".utf8) + [UInt8](repeating: 0, count: 56)

    /// -1 when there is no file.
    private let descriptor: Int32

    /// The uses that are known in the store's `folder`. Makes the file when it is missing or of another kind; where
    /// that fails, every use is the first.
    package init(folder: String) {
        descriptor = StandardDescriptors.taken { FileLimit.isError { Self.open(folder + "/" + Self.file) } }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Counts one more use of each page.
    ///
    /// - Parameter now: milliseconds since the Unix epoch.
    /// - Returns: how often each was used, this use included; at most 65,535.
    /// - Complexity: two short system calls per page, and nothing that waits.
    package func count(_ hashes: [PrefixHash], now: Int64) -> [Int] {
        FileLimit.isError { hashes.map { count($0, now: now) } }
    }

    private func count(_ hash: PrefixHash, now: Int64) -> Int {
        let start = Self.line(of: hash) * Self.lineBytes
        var line = [UInt64](repeating: 0, count: Self.lineBytes / SeenPage.byteCount)
        // What cannot be read was not seen.
        _ = unsafe pread(descriptor, &line, Self.lineBytes, off_t(start))
        let pages = line.map { SeenPage(word: UInt64(littleEndian: $0)) }
        let slot = pages.firstIndex { $0.isOf(hash) } ?? Self.slotToGive(pages, now: now)
        var page = pages[slot].isOf(hash) ? pages[slot] : SeenPage(hash)
        page.use(at: now)
        var word = page.word.littleEndian
        _ = unsafe pwrite(descriptor, &word, SeenPage.byteCount, off_t(start + slot * SeenPage.byteCount))
        return page.uses
    }

    /// A free slot, or that of the page that was used longest ago, and of several the one that was used least.
    private static func slotToGive(_ pages: [SeenPage], now: Int64) -> Int {
        func worth(_ page: SeenPage) -> (Int, Int) { (page.isFree ? .min : -page.age(at: now), page.uses) }
        return pages.indices.min { worth(pages[$0]) < worth(pages[$1]) } ?? 0
    }

    static func line(of hash: PrefixHash) -> Int {
        1 + Int(hash.prefixWord & 0xFFFF_FFFF) % (fileBytes / lineBytes - 1)
    }

    /// How many pages the file in `folder` knows; 0 when there is none, or none that can be used.
    static func pageCount(folder: String) -> Int {
        let descriptor = unsafe Glibc.open(folder + "/" + file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var words = [UInt64](repeating: 0, count: fileBytes / SeenPage.byteCount)
        guard isTable(descriptor), unsafe pread(descriptor, &words, fileBytes, 0) == fileBytes else { return 0 }
        return words.dropFirst(lineBytes / SeenPage.byteCount).count { $0 != 0 }
    }

    // MARK: The file

    private static func open(_ path: String) -> Int32 {
        let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        guard descriptor >= 0, !isTable(descriptor), !make(descriptor) else { return descriptor }
        close(descriptor)
        return -1
    }

    private static func isTable(_ descriptor: Int32) -> Bool {
        var status = stat()
        var first = [UInt8](repeating: 0, count: lineBytes)
        return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            && status.st_uid == geteuid() && status.st_mode & 0o022 == 0 && status.st_size == fileBytes
            && pread(descriptor, &first, lineBytes, 0) == lineBytes && first == header
    }

    /// Nobody has mapped the file, so it may be cut short at any time.
    private static func make(_ descriptor: Int32) -> Bool {
        guard ftruncate(descriptor, 0) == 0, ftruncate(descriptor, off_t(fileBytes)) == 0 else { return false }
        // On a full disk later, uses are still counted.
        _ = posix_fallocate(descriptor, 0, off_t(fileBytes))
        return unsafe pwrite(descriptor, header, lineBytes, 0) == lineBytes
    }
}

/// One entry of the table: a number of 8 bytes. A free one is 0.
///
/// | bits | field |
/// | --- | --- |
/// | 0..<16 | uses; never 0 in an entry that is taken |
/// | 16..<40 | the last use: milliseconds since the Unix epoch, divided by 1,024, the lowest 24 bits of it |
/// | 40..<64 | the first 3 bytes of the page's hash |
struct SeenPage: Equatable {
    static let byteCount = 8
    private static let timeMask: UInt64 = 0xFF_FFFF
    private static let hashMask: UInt64 = timeMask << 40

    private(set) var word: UInt64

    init(word: UInt64) { self.word = word }

    /// A page that was not used yet.
    init(_ hash: PrefixHash) { word = hash.prefixWord & Self.hashMask }

    var isFree: Bool { word == 0 }
    var uses: Int { Int(word & 0xFFFF) }

    func isOf(_ hash: PrefixHash) -> Bool { uses > 0 && (word ^ hash.prefixWord) & Self.hashMask == 0 }

    /// How long ago the last use was, in units of 1,024 milliseconds, up to half a year.
    func age(at now: Int64) -> Int { Int((Self.units(now) &- (word >> 16)) & Self.timeMask) }

    mutating func use(at now: Int64) {
        word = word & Self.hashMask | Self.units(now) << 16 | UInt64(min(uses + 1, 0xFFFF))
    }

    private static func units(_ time: Int64) -> UInt64 { (UInt64(bitPattern: time) >> 10) & timeMask }
}
