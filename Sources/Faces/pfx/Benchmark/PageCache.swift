// The system's page cache: dropping a file from it, and measuring how much of the file it holds.

internal import Foundation

/// What the page cache holds of a file.
enum PageCache {
    /// Drops a file from the page cache, so that the next read comes from the disk. Parts that other processes have
    /// mapped stay.
    static func drop(_ path: String) throws {
        try withFile(path) { file, _ in
            // Only clean pages can be dropped.
            fsync(file)
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        }
    }

    /// The part of a file that is in the page cache: 0 to 1.
    static func residentShare(of path: String) throws -> Double {
        try withFile(path) { file, size in
            guard size > 0 else { return 0 }
            let map = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, file, 0)
            guard let map = unsafe map, unsafe map != MAP_FAILED else { return 0 }
            defer { unsafe munmap(map, size) }
            let page = Int(getpagesize())
            var flags = [UInt8](repeating: 0, count: (size + page - 1) / page)
            let status = unsafe mincore(map, size, &flags)
            guard status == 0 else { return 0 }
            return Double(flags.count { $0 & 1 == 1 }) / Double(flags.count)
        }
    }

    private static func withFile<R>(_ path: String, _ body: (Int32, Int) throws -> R) throws -> R {
        let file = unsafe open(path, O_RDONLY)
        guard file >= 0 else {
            throw CommandFailure(
                status: .missingInput, sentence: "The file \(path) cannot be opened.",
                remedy: "Run the phase `fill` first.")
        }
        defer { close(file) }
        return try body(file, Int(lseek(file, 0, SEEK_END)))
    }
}
