// The data file read from its beginning to its end, beside LMDB's map: what the disk cannot read is an error here, and
// in the map a signal that ends the process.

import Glibc

extension DataFile {
    /// Bytes that are read at once: whole pages.
    private static let window = 1 << 20

    /// Whether the disk can read all of the data file in `folder`.
    package static func isReadable(in folder: String) -> Bool { contains([], in: folder) != nil }

    /// Whether a page of the data file in `folder` contains `bytes`; nil when the file cannot be read. It may be
    /// damaged in any way, or be no file of LMDB's.
    package static func contains(_ bytes: [UInt8], in folder: String) -> Bool? {
        guard let file = try? OpenFile.shared(folder + "/" + FolderFiles.data, O_RDONLY) else { return nil }
        var window = [UInt8](repeating: 0, count: Self.window)
        var start = 0
        while true {
            let count = unsafe pread(file.descriptor, &window, window.count, off_t(start))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return false }
            if !ByteSearch.places(of: bytes, in: window, before: count - bytes.count + 1).isEmpty { return true }
            start += count
        }
    }
}
