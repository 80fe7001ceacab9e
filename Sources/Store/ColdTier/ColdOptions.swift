// How a cold tier is opened.

internal import Glibc
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

    /// Bytes on disk that pages, side states and their index may occupy, whoever writes. The last opener decides.
    package var quota: ByteCount
    /// What to do when there is no store.
    package var opening: Opening
    /// How side states are encoded; pages come encoded.
    package var codec: CodecChoice
    /// Read transactions at once, all processes together. The first process that opens the folder decides.
    package var maxReaders: Int
    /// Threads that help a caller to load. They sleep between loads.
    package var loadHelpers = ColdOptions.spareCores

    /// Options for one store.
    package init(
        quota: ByteCount, opening: Opening = .createIfMissing, codec: CodecChoice = .zstd, maxReaders: Int = 512
    ) {
        self.quota = quota
        self.opening = opening
        self.codec = codec
        self.maxReaders = maxReaders
    }

    /// Cores beside the caller's, up to 3: two threads come near the memory's speed, and a store is a guest in its process.
    package static var spareCores: Int { min(3, max(0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)) }

    /// Address space for LMDB. Four times the quota, since a map that is really full cannot even be deleted from; the file
    /// never comes near it.
    var mapSize: Int {
        let wanted = max(4 * (quota.value >> 20), 1024)
        return Int(wanted << 20)
    }
}
