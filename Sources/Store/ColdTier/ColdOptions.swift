// How a cold tier is opened.

package import KVFormat
package import PageCodec

/// How a cold tier is opened.
package struct ColdOptions: Sendable {
    /// What to do when there is no store.
    package enum Opening: Sendable {
        /// Make one, in a new or an empty folder.
        case createIfMissing
        /// Refuse. A store that is there keeps its quota.
        case existing
    }

    /// Bytes on disk that pages, side states and their index may occupy, whoever writes. It is stored: the last opener
    /// that names one decides. Nil keeps what is stored; a new store gets `StoreFolder.newQuota`.
    package var quota: ByteCount?
    /// What to do when there is no store.
    package var opening: Opening
    /// How side states are encoded; pages come encoded.
    package var codec: CodecChoice
    /// Read transactions at once, all processes together. The first process that opens the folder decides.
    package var maxReaders: Int

    /// Options for one store.
    package init(
        quota: ByteCount? = nil, opening: Opening = .createIfMissing, codec: CodecChoice = .zstd, maxReaders: Int = 512
    ) {
        self.quota = quota
        self.opening = opening
        self.codec = codec
        self.maxReaders = maxReaders
    }

    /// Address space for LMDB. Four times the quota, since a map that is really full cannot even be deleted from; the
    /// file never comes near it.
    var mapSize: Int {
        let wanted = max(4 * ((quota?.value ?? 0) >> 20), 1024)
        return Int(wanted << 20)
    }
}
