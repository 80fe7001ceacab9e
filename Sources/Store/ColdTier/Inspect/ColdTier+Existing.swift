// Opening a store as it is, to look at it.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Opens a store that exists and leaves its quota as it is. Engines of other processes may have it open.
    ///
    /// - Throws: as `init(path:options:)`; `.notAFolder` and `.notAStore` when there is no store. Nothing is made.
    package convenience init(existing path: String) throws(StoreError) {
        let unknown = ColdOptions(quota: Self.quotaWhenUnknown, opening: .existing)
        try StoreFolder(path: path, options: unknown).prepare()
        var options = unknown
        let quota = try Self.storedQuota(path, unknown)
        if let quota, Limits.quota.contains(quota) { options.quota = quota }
        try self.init(path: path, options: options)
    }

    /// What a store is opened with whose counters are damaged: it decides about the map only, which follows the file anyway.
    private static let quotaWhenUnknown = ByteCount.gibibytes(1)

    private static func storedQuota(_ path: String, _ options: ColdOptions) throws(StoreError) -> ByteCount? {
        do throws(LMDBError) {
            let environment = try Environment(
                folder: path,
                options: EnvironmentOptions(
                    mapSize: options.mapSize, maxTables: 16, maxReaders: options.maxReaders, access: .readOnly))
            defer { environment.close() }
            guard let meta = try environment.openTables([TableName.meta.rawValue]).first else { return nil }
            return try environment.read { (transaction) throws(LMDBError) in
                let counters = try transaction.read(meta, MetaKey.counters) { CountersRecord($0) }
                return counters.record.map { ByteCount($0.quota) }
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }
}
