// Files with passwords and the like.

internal import Glibc
internal import KVFormat

/// Reads files that are small.
enum SmallFile {
    /// The bytes of a file, the first `limit` of them.
    ///
    /// - Throws: `.invalidOption` when it cannot be read or is empty. The text has nothing of its content.
    static func bytes(_ path: String, limit: Int) throws(StoreError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .invalidOption("the file \(path): \(StoreError.words(of: errno))") }
        defer { Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let got = unsafe bytes.withUnsafeMutableBytes { room in
                unsafe Glibc.read(descriptor, room.baseAddress?.advanced(by: count), room.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { break }
            count += got
        }
        guard count > 0 else { throw .invalidOption("the file \(path) is empty, or cannot be read") }
        bytes.removeLast(limit - count)
        return bytes
    }
}
