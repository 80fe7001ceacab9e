// Overwriting bytes of the data file that no transaction can see any more.

import Glibc

extension WriteTransaction {
    /// Bytes of the file that are read at once.
    private static let window = 1 << 20

    /// Overwrites byte strings in the data file with zeros, and syncs. For secrets that were deleted: LMDB leaves freed
    /// pages, and the unused parts of others, as they were.
    ///
    /// The caller must have changed nothing in this transaction, and must choose only bytes that no current value
    /// holds: what is overwritten is not looked at in any other way.
    ///
    /// - Parameters:
    ///   - magic: what each string begins with; not empty.
    ///   - byteCount: bytes of each string, at most 64 KiB.
    ///   - isOld: whether a string that was found is to be overwritten.
    /// - Returns: how many were.
    package borrowing func overwriteInFile(
        beginningWith magic: [UInt8], byteCount: Int, where isOld: ([UInt8]) -> Bool
    ) throws(LMDBError) -> Int {
        guard let size = fileSize(core.descriptor) else { throw .code(errno, call: "fstat") }
        let zeros = [UInt8](repeating: 0, count: byteCount)
        var buffer = [UInt8](repeating: 0, count: Self.window + byteCount)
        var count = 0
        for start in stride(from: 0, to: size, by: Self.window) {
            // A string that begins in this window may end in the next.
            let held = try read(&buffer, at: start)
            for at in Self.places(of: magic, in: buffer, before: min(held - byteCount + 1, Self.window))
            where isOld(Array(buffer[at..<at + byteCount])) {
                let written = unsafe pwrite(core.descriptor, zeros, byteCount, off_t(start + at))
                guard written == byteCount else { throw .code(written < 0 ? errno : EIO, call: "pwrite") }
                count += 1
            }
        }
        guard count == 0 || fdatasync(core.descriptor) == 0 else { throw .code(errno, call: "fdatasync") }
        return count
    }

    private borrowing func read(_ buffer: inout [UInt8], at start: Int) throws(LMDBError) -> Int {
        var held = 0
        while held < buffer.count {
            let count = unsafe buffer.withUnsafeMutableBytes { buffer in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[held...])
                return unsafe pread(core.descriptor, room.baseAddress, room.count, off_t(start + held))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .code(errno, call: "pread") }
            if count == 0 { break }
            held += count
        }
        return held
    }

    /// Where `magic` begins in the first `end` places of `bytes`.
    private static func places(of magic: [UInt8], in bytes: [UInt8], before end: Int) -> [Int] {
        guard let first = magic.first, end > 0, bytes.count >= end + magic.count - 1 else { return [] }
        return unsafe bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return [] }
            var places: [Int] = []
            var at = 0
            while at < end, let found = unsafe memchr(base + at, Int32(first), end - at) {
                let place = unsafe UnsafeRawPointer(found) - base
                if unsafe memcmp(found, magic, magic.count) == 0 { places.append(place) }
                at = place + 1
            }
            return places
        }
    }
}
