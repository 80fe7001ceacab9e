// An open LMDB folder.

import CLMDB
import Glibc
import Synchronization

/// A folder with LMDB's two files, `data.mdb` and `lock.mdb`, open for this process and shared with others.
///
/// Every commit is synced (the flags of LMDB that weaken this are not offered), and readers are not tied to threads.
/// All methods can be called from any thread. Never begin a transaction inside another of the same environment.
@safe
package final class Environment: @unchecked Sendable {
    // LMDB's handle is thread-safe; `map` changes only while the gate is empty, and is read inside it.

    /// The folder as it was named at open.
    package let folder: String
    /// What this environment may be used for.
    package let access: Access
    /// LMDB's page size in bytes.
    package let pageSize: Int

    let handle: OpaquePointer
    let gate = TransactionGate()
    var map: MapRegion
    let descriptor: Int32
    /// The data file's size in bytes when it was last checked; it only grows.
    let fileBytes = Atomic<Int>(0)
    let snapshots = Snapshots()

    /// How often this process has opened an environment: to open a store costs one.
    package static var openings: Int { opened.load(ordering: .relaxed) }
    private static let opened = Atomic<Int>(0)

    private let identity: FolderIdentity
    let processId: pid_t

    /// Opens the files in a folder that exists, and creates them (mode 0600) if they are missing and access is
    /// `.readWrite`. Frees the slots of dead readers.
    ///
    /// - Throws: `.notAFolder`, `.alreadyOpen`, `.networkFileSystem`; an error whose `isDamage` is true when the files
    ///   are not sound; a `.code` otherwise. After an error nothing is open.
    package init(folder: String, options: EnvironmentOptions) throws(LMDBError) {
        let identity = try FolderIdentity(path: folder)
        try FileSystem.requireLocal(folder)
        try OpenFolders.shared.insert(identity, path: folder)
        do throws(LMDBError) {
            let handle = try unsafe Self.open(folder, options)
            do throws(LMDBError) {
                (descriptor, pageSize) = try unsafe Self.describe(handle)
                try unsafe Self.completeFile(handle, descriptor, pageSize: pageSize, in: folder)
                map = try unsafe MapRegion(of: handle)
            } catch {
                unsafe mdb_env_close(handle)
                throw error
            }
            unsafe self.handle = unsafe handle
        } catch {
            OpenFolders.shared.remove(identity)
            throw error
        }
        self.folder = folder
        self.access = options.access
        self.identity = identity
        self.processId = getpid()
        Self.opened.add(1, ordering: .relaxed)
    }

    deinit { close() }

    /// Closes the environment after the running transactions have ended. A second call does nothing, nor does a call in
    /// a forked child. It must not be called inside a transaction of this environment.
    package func close() {
        guard getpid() == processId else { return }
        gate.shut {
            unsafe mdb_env_close(handle)
            map.forget()
            OpenFolders.shared.remove(identity)
        }
    }

    /// Throws `.forked` in a child of the process that opened the environment.
    func requireOwnProcess() throws(LMDBError) {
        guard getpid() == processId else { throw .forked }
    }

    private static func open(_ folder: String, _ options: EnvironmentOptions) throws(LMDBError) -> OpaquePointer {
        var created: OpaquePointer?
        try check(unsafe mdb_env_create(&created), call: "mdb_env_create")
        guard let handle = unsafe created else { throw .code(ENOMEM, call: "mdb_env_create") }
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

    /// The data file's descriptor, and LMDB's page size in bytes.
    private static func describe(_ handle: OpaquePointer) throws(LMDBError) -> (descriptor: Int32, pageSize: Int) {
        var descriptor: Int32 = -1
        try check(unsafe mdb_env_get_fd(handle, &descriptor), call: "mdb_env_get_fd")
        var stat = MDB_stat()
        try check(unsafe mdb_env_stat(handle, &stat), call: "mdb_env_stat")
        return (descriptor, Int(stat.ms_psize))
    }
}
