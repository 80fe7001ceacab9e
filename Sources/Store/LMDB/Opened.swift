// LMDB's handle of an open folder, and what is known of it once it is open.

import CLMDB
import Glibc

/// One opening of a folder by LMDB. An environment that LMDB has given up gets another one.
@safe
struct Opened {
    let handle: OpaquePointer
    /// Where the data file is mapped.
    var map: MapRegion
    /// LMDB's page size in bytes.
    let pageSize: Int
    /// The lock file, beside LMDB's own descriptor of it. It stays open until LMDB has closed that.
    let lock: OpenFile?

    /// Opens the files in a folder, and frees the slots of dead readers. After an error nothing is open.
    ///
    /// - Parameter isApart: whether another process, of another PID namespace, has this process's id: LMDB then goes by
    ///   a free one.
    init(_ folder: String, _ options: EnvironmentOptions, isApart: Bool = false) throws(LMDBError) {
        // Where nothing may be written, LMDB makes no lock file either.
        let lock =
            options.access == .readWrite ? try LockFile.prepare(in: folder, readers: options.maxReaders) : nil
        let handle = try unsafe Self.open(folder, options, apartBy: isApart ? lock : nil)
        do throws(LMDBError) {
            if let lock { try LockFile.complete(lock) }
            var stat = MDB_stat()
            try check(unsafe mdb_env_stat(handle, &stat), call: "mdb_env_stat")
            pageSize = Int(stat.ms_psize)
            map = try unsafe MapRegion(of: handle)
        } catch {
            unsafe mdb_env_close(handle)
            throw error
        }
        unsafe self.handle = unsafe handle
        self.lock = lock
    }

    /// Closes LMDB's files. The gate must be empty.
    func close() {
        unsafe mdb_env_close(handle)
        map.forget()
    }

    /// An environment that goes by this process's id or, with a lock file, by one that nobody goes by there.
    private static func create(apartBy lock: OpenFile?) throws(LMDBError) -> OpaquePointer {
        for _ in 0..<LMDBLimits.idAttempts {
            var created: OpaquePointer?
            var id: Int32 = 0
            let status = unsafe lock == nil ? mdb_env_create(&created) : clmdb_env_create_apart(&created, &id)
            try check(status, call: "mdb_env_create")
            guard let handle = unsafe created else { throw .code(ENOMEM, call: "mdb_env_create") }
            guard let lock, lock.isLockedByOthers(at: off_t(id)) else { return unsafe handle }
            unsafe mdb_env_close(handle)
        }
        throw .processIdTaken
    }

    private static func open(
        _ folder: String, _ options: EnvironmentOptions, apartBy lock: OpenFile?
    ) throws(LMDBError) -> OpaquePointer {
        let handle = try unsafe create(apartBy: lock)
        do throws(LMDBError) {
            try check(unsafe mdb_env_set_mapsize(handle, options.mapSize), call: "mdb_env_set_mapsize")
            try check(unsafe mdb_env_set_maxdbs(handle, UInt32(options.maxTables)), call: "mdb_env_set_maxdbs")
            try check(unsafe mdb_env_set_maxreaders(handle, UInt32(options.maxReaders)), call: "mdb_env_set_maxreaders")
            let flags = options.access == .readOnly ? UInt32(MDB_NOTLS | MDB_RDONLY) : UInt32(MDB_NOTLS)
            try DataFile.requireSound(in: folder)
            try check(unsafe mdb_env_open(handle, folder, flags, 0o600), call: "mdb_env_open")
            var dead: Int32 = 0
            try check(unsafe mdb_reader_check(handle, &dead), call: "mdb_reader_check")
        } catch {
            unsafe mdb_env_close(handle)
            throw error
        }
        return unsafe handle
    }
}
