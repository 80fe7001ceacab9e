// How a cold tier is opened.

package import KVFormat
package import PageCodec

/// How a cold tier is opened.
package struct ColdOptions: Sendable {
    /// What to do when there is no store.
    package enum Opening: Sendable {
        /// Make one, in a new or an empty folder.
        case createIfMissing
        /// Refuse. An existing store keeps its quota.
        case existing
    }

    /// Limit on the bytes on disk that pages, side states and their index occupy, for all processes together. It is
    /// stored in the folder: the most recent opener that names one decides. Nil keeps the stored quota; a new store
    /// gets `StoreFolder.newQuota`.
    package var quota: ByteCount?
    /// What to do when there is no store.
    package var opening: Opening
    /// How side states are encoded. Pages are already encoded when they come.
    package var codec: CodecChoice
    /// Read transactions that can run at once, in all processes together. The first process that opens the folder
    /// decides.
    package var maxReaders: Int
    /// How long a call that writes waits for the writers of other processes.
    package var patience: Duration
    /// The owner's key: every space that is made with it is sealed. Nil: sealed spaces are not opened.
    package var sealingKey: SealingKey?

    /// Options for one store.
    package init(
        quota: ByteCount? = nil, opening: Opening = .createIfMissing, codec: CodecChoice = .zstd, maxReaders: Int = 512,
        patience: Duration = .seconds(30), sealingKey: SealingKey? = nil
    ) {
        self.quota = quota
        self.opening = opening
        self.codec = codec
        self.maxReaders = maxReaders
        self.patience = patience
        self.sealingKey = sealingKey
    }

    /// Address space for LMDB: four times the quota, because nothing can even be deleted from a map that is completely
    /// full. The file never comes near that size.
    var mapSize: Int {
        let wanted = max(4 * ((quota?.value ?? 0) >> 20), 1024)
        return Int(wanted << 20)
    }
}
