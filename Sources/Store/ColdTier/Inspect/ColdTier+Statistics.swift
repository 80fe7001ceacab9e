// How full the cold tier is, and what happened to it.

package import KVFormat
internal import LMDB

/// The state of a cold tier at one moment, all processes together.
package struct ColdStatistics: Sendable, Equatable {
    /// Pages stored.
    package let pages: Int
    /// Side states stored.
    package let sideStates: Int
    /// Spaces registered.
    package let spaces: Int
    /// Bytes of the decoded pages.
    package let rawBytes: Int
    /// Bytes of records, without padding.
    package let encodedBytes: Int
    /// Bytes counted against the quota: records in their slots, and the index.
    package let usedBytes: Int
    /// Bytes that may be used.
    package let quota: ByteCount
    /// Bytes of the data file, as the file system has them.
    package let fileBytes: Int
    /// Bytes of it that are free and will be used again.
    package let freeBytes: Int
    /// Pages evicted since the store was made.
    package let evictedPages: Int
    /// Pages quarantined since the store was made.
    package let quarantinedPages: Int
    /// Write transactions since the store was made.
    package let generation: Int
    /// Read transactions open now.
    package let readers: Int
    /// How many could be.
    package let maxReaders: Int
    /// How many transactions were committed since the oldest open read transaction began; nil without readers.
    package let oldestReaderLag: Int?
    /// Damaged pages that this process has found.
    package let damagedPages: Int
    /// Uses that this process has dropped, since too many were pending.
    package let droppedTouches: Int
}

extension ColdTier {
    /// The state of the cold tier. Walks LMDB's list of free pages: about a microsecond for every thousand.
    package var statistics: ColdStatistics {
        get throws(StoreError) {
            let info: EnvironmentInfo
            do throws(LMDBError) {
                info = try environment.info()
            } catch {
                throw StoreError(error, path: path, options: options)
            }
            let (counters, spaces) = try reading { (transaction) throws(LMDBError) in
                let stored = try transaction.read(tables.meta, MetaKey.counters) { CountersRecord($0) }
                return (stored.record ?? CountersRecord(), try transaction.entryCount(tables.spaces))
            }
            return ColdStatistics(
                pages: Int(clamping: counters.pages), sideStates: Int(clamping: counters.sideStates), spaces: spaces,
                rawBytes: Int(clamping: counters.rawBytes), encodedBytes: Int(clamping: counters.encodedBytes),
                usedBytes: Int(clamping: counters.usedBytes), quota: ByteCount(counters.quota),
                fileBytes: info.fileBytes, freeBytes: info.freeBytes,
                evictedPages: Int(clamping: counters.evicted), quarantinedPages: Int(clamping: counters.quarantined),
                generation: Int(clamping: counters.generation), readers: info.readers, maxReaders: info.maxReaders,
                oldestReaderLag: info.oldestReaderLag, damagedPages: pending.damagedPages,
                droppedTouches: pending.droppedTouches)
        }
    }
}
