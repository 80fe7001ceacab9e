// Translates failures of LMDB into errors of the store.

internal import Glibc
package import KVFormat
package import LMDB

extension StoreError {
    /// The store's error for a failure of LMDB in the folder `path`.
    package init(_ error: LMDBError, path: String, options: ColdOptions) {
        switch error {
        case .alreadyOpen: self = .alreadyOpen(path: path)
        case .notAFolder: self = .notAFolder(path: path)
        case .networkFileSystem: self = .networkFileSystem(path: path)
        case .forked: self = .forked
        case .closed: self = .closed
        case .processIdTaken:
            self = .system(call: "opening with a process id that another namespace uses", errno: EAGAIN)
        case .busy(let process): self = .writerBusy(path: path, holder: Opener.words(process, folder: path))
        case .replaced(let file): self = .fileReplaced(path: path, file: file)
        case .mapResized: self = .system(call: "following the enlarged map", errno: EBUSY)
        case .tableMissing: self = .notAStore(path: path)
        case .keySize(let bytes): self = .damaged(path: path, "a key of \(bytes) bytes")
        case .pastBound: self = .quotaFull(quota: options.quota ?? ByteCount(0))
        case .damaged(let what): self = .damaged(path: path, what)
        case .code(let status, let call):
            self = Self.code(status, call, error, path: path, options: options)
        }
    }

    private static func code(
        _ status: Int32, _ call: String, _ error: LMDBError, path: String, options: ColdOptions
    ) -> StoreError {
        if error.isMapFull { return .mapFull(mapSize: ByteCount(UInt64(options.mapSize))) }
        if error.isFull { return .diskFull(path: path) }
        if error.isReadersFull { return .readersFull(slots: options.maxReaders) }
        if error.isDiskFailure { return .diskFailure(path: path, call: call) }
        if error.isDamage { return .damaged(path: path, "\(call) reports \(status)") }
        switch status {
        case EACCES, EPERM, EROFS: return .readOnly(path: path)
        default: return .system(call: call, errno: status)
        }
    }
}
