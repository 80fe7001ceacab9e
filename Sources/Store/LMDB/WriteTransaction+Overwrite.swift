// Overwriting bytes of the data file that no transaction can see any more.

import Glibc

extension WriteTransaction {
    /// Bytes of the file that are read at once.
    private static let window = 1 << 20

    /// Throws `.damaged` unless every page of the last commit's file has exactly one owner. Reads all pages of trees.
    package borrowing func requireSoundTrees() throws(LMDBError) { _ = try soundCensus() }

    private borrowing func soundCensus() throws(LMDBError) -> PageCensus {
        let census = PageCensus(core.pages, core.snapshot)
        if let finding = census.findings.first { throw .damaged(finding.sentence) }
        return census
    }

    /// Overwrites byte strings that lie where nothing is stored with zeros, and syncs. For secrets that were deleted:
    /// LMDB leaves freed pages, and the unused parts of others, as they were.
    ///
    /// What the last commit holds is left alone, also where it looks like such a string. A reader of an older snapshot
    /// may meet the zeros.
    ///
    /// The caller must have changed nothing in this transaction.
    /// - Parameters:
    ///   - magic: what each string begins with; not empty.
    ///   - byteCount: bytes of each string, less than a page. Of one whose end has been overwritten already, what is
    ///     left is overwritten.
    /// - Returns: how many were.
    /// - Throws: `.damaged` when the trees do not say for certain which pages are in use; nothing was overwritten then.
    package borrowing func overwriteUnused(
        beginningWith magic: [UInt8], byteCount: Int
    ) throws(LMDBError) -> Int {
        guard let size = fileSize(core.descriptor) else { throw .code(errno, call: "fstat") }
        let census = try soundCensus()
        let zeros = [UInt8](repeating: 0, count: byteCount)
        var buffer = [UInt8](repeating: 0, count: Self.window + magic.count)
        var count = 0
        for start in stride(from: 0, to: size, by: Self.window) {
            // A magic that begins in this window may end in the next.
            let held = try read(&buffer, at: start)
            for at in ByteSearch.places(of: magic, in: buffer, before: min(held - magic.count + 1, Self.window)) {
                guard let unused = census.unused(around: start + at) else { continue }
                let length = min(byteCount, unused.upperBound - start - at)
                let written = unsafe pwrite(core.descriptor, zeros, length, off_t(start + at))
                guard written == length else { throw .code(written < 0 ? errno : EIO, call: "pwrite") }
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
}
