// How long the data file may become.
//
// The quota counts what is in use. The file is longer: it has free pages too, because a page that goes leaves a hole
// that only a record of its size or a smaller one fits, and because a snapshot keeps what was freed since it began.
// LMDB makes the file longer whenever no hole is long enough, and the file never shrinks. So records are only stored
// within a bound: where they do not fit, pages are evicted until they do, as on a full disk.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Bytes that the file may have: 1.35 times a quota of up to 256 MiB, and 1.10 times one of 1 GiB or more. A small
    /// store gets up to 8 MiB more than its quota. The free pages of a smaller store are fewer compared with those of
    /// one transaction.
    package static func fileBound(of quota: ByteCount) -> Int {
        let quota = Int(clamping: quota.value)
        return quota + min(max(min(quota, 8 << 20), min(quota / 100 * 35, 90 << 20), quota / 10), .max - quota)
    }

    private var fileBound: Int { Self.fileBound(of: quota) }

    /// Bytes of the file within which records are stored. Behind them are the pages of the index, which may still grow
    /// there, and what an eviction needs.
    var recordBound: Int { fileBound - evictionReserve - Int(clamping: quota.value / 64) }

    /// Whether the file has reached its bound while an old snapshot keeps LMDB from using its free pages: whatever is
    /// written then makes it longer. A reader that was stopped in the middle of a load has such a snapshot.
    func isHeldAtBound() throws(LMDBError) -> Bool {
        try environment.oldestReaderLag(ifLongerThan: recordBound).map { $0 > Self.usualLag } ?? false
    }

    /// Whether it is the file's bound, and not the disk, that leaves no room for `bytes` bytes more.
    func isFileAtBound(for bytes: Int) throws(StoreError) -> Bool {
        do throws(LMDBError) { return try environment.info().fileBytes > recordBound - bytes } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// Commits during which a reader in good health may hold its snapshot.
    private static let usualLag = 4
}
