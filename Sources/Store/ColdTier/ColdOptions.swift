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

    /// What a store is opened with whose counters are damaged: it decides about the map only, which follows the file
    /// anyway.
    static let quotaWhenUnknown = ByteCount.gibibytes(1)

    /// Bytes on disk that pages, side states and their index may occupy, whoever writes. The last opener that may
    /// create the store decides; for others it is what the store has.
    package var quota: ByteCount
    /// What to do when there is no store.
    package var opening: Opening
    /// How side states are encoded; pages come encoded.
    package var codec: CodecChoice
    /// Read transactions at once, all processes together. The first process that opens the folder decides.
    package var maxReaders: Int

    /// Options for one store.
    package init(
        quota: ByteCount, opening: Opening = .createIfMissing, codec: CodecChoice = .zstd, maxReaders: Int = 512
    ) {
        self.quota = quota
        self.opening = opening
        self.codec = codec
        self.maxReaders = maxReaders
    }

    /// Address space for LMDB. Four times the quota, since a map that is really full cannot even be deleted from; the
    /// file never comes near it.
    var mapSize: Int {
        let wanted = max(4 * (quota.value >> 20), 1024)
        return Int(wanted << 20)
    }
}
