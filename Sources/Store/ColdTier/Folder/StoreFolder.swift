// The store's folder: the checks before LMDB sees it, and how a new store is made.
//
// A new store is made in a separate folder inside the store's folder. It is synced, and then its data file is linked
// into place. The separate folder is inside and not beside the store's folder, which may be a mount point or have a
// parent that this user may not write.

internal import Glibc
internal import KVFormat
internal import LMDB
internal import Threads

/// The folder of a store.
struct StoreFolder {
    /// LMDB's file with all data. A store exists when this file does.
    static let dataFile = "data.mdb"
    /// LMDB's file of locks and readers.
    static let lockFile = "lock.mdb"
    /// The first part of the names of folders in which a store is being made.
    static let makingPrefix = ".making-"

    let path: String
    let options: ColdOptions

    private var dataPath: String { path + "/" + Self.dataFile }

    /// What was read of a store before anything in it is changed.
    struct Found {
        /// LMDB, open for writing; its map is that of the options, which may not know the store's quota.
        let environment: Environment
        /// Which version wrote it.
        let format: FormatRecord
        /// Its counters; nil when they are damaged.
        let counters: CountersRecord?
        /// Its tables.
        let tables: Tables

        /// Its quota; nil when that is damaged.
        var quota: ByteCount? {
            counters.map { ByteCount($0.quota) }.flatMap { Limits.quota.contains($0) ? $0 : nil }
        }
    }

    /// Sees to it that the folder holds a store of this format that this user may write, and says what it read there.
    /// LMDB is opened once, and handed on.
    func prepare() throws(StoreError) -> Found {
        try makeFolderIfMissing()
        try checkFolder()
        if try !hasStore() {
            try requireNothingElse()
            guard options.opening == .createIfMissing else { throw .notAStore(path: path) }
            try make()
        }
        return try look()
    }

    private func openEnvironment(_ folder: String) throws(LMDBError) -> Environment {
        try Environment(
            folder: folder,
            options: EnvironmentOptions(mapSize: options.mapSize, maxTables: 16, maxReaders: options.maxReaders))
    }

    // MARK: Checks

    private func makeFolderIfMissing() throws(StoreError) {
        var status = stat()
        guard unsafe stat(path, &status) != 0 else { return }
        guard errno == ENOENT, options.opening == .createIfMissing else { throw .notAFolder(path: path) }
        guard unsafe mkdir(path, 0o700) != 0 else { return try sync(parent) }
        switch errno {
        case EEXIST: return
        case ENOENT, ENOTDIR: throw .notAFolder(path: path)
        default: throw failure(of: "mkdir")
        }
    }

    /// The error for a call of the system that has just failed: as one of LMDB's calls.
    private func failure(of call: String) -> StoreError {
        StoreError(.code(errno, call: call), path: path, options: options)
    }

    private func checkFolder() throws(StoreError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .notAFolder(path: path) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notAFolder(path: path) }
        try checkOwner(status, what: "the folder")
        try checkAccess(path, R_OK | X_OK, R_OK | W_OK | X_OK)
    }

    private func hasStore() throws(StoreError) -> Bool {
        var status = stat()
        guard unsafe lstat(dataPath, &status) == 0 else {
            guard errno == ENOENT else { throw .system(call: "lstat", errno: errno) }
            return false
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .permissions(path: path, "the data file is not a regular file")
        }
        try checkOwner(status, what: "the data file")
        try checkAccess(dataPath, R_OK, R_OK | W_OK)
        // LMDB would treat a file without its first two pages as a new one.
        guard status.st_size >= 2 * 4096 else { throw .damaged(path: path, "the data file is cut short") }
        return true
    }

    /// Anyone who may write the files can make every process that reads them crash.
    private func checkOwner(_ status: stat, what: String) throws(StoreError) {
        guard status.st_uid == geteuid() else { throw .permissions(path: path, "\(what) belongs to another user") }
        guard status.st_mode & 0o022 == 0 else { throw .permissions(path: path, "others may write \(what)") }
    }

    private func checkAccess(_ path: String, _ reading: Int32, _ writing: Int32) throws(StoreError) {
        guard unsafe faccessat(AT_FDCWD, path, writing, AT_EACCESS) != 0 else { return }
        guard unsafe faccessat(AT_FDCWD, path, reading, AT_EACCESS) != 0 else { throw .readOnly(path: self.path) }
        throw .permissions(path: self.path, "it cannot be read")
    }

    private func requireNothingElse() throws(StoreError) {
        let harmless = [
            Self.lockFile, Opener.file, FileDigests.file, SeenPages.file, OpeningMark.file,
            Containment.damagedFile, Containment.doubtedFile,
        ]
        let prefixes = [Self.makingPrefix, Containment.asidePrefix]
        for name in try names() where !harmless.contains(name) && !prefixes.contains(where: name.hasPrefix) {
            // Another process may have finished making the store since the check.
            guard name == Self.dataFile else { throw .notAStore(path: path) }
        }
    }

    func names() throws(StoreError) -> [String] {
        guard let folder = unsafe opendir(path) else { throw .system(call: "opendir", errno: errno) }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Opens LMDB and reads format and quota; changes nothing, whatever the folder holds.
    private func look() throws(StoreError) -> Found {
        let environment: Environment
        do throws(LMDBError) {
            environment = try openEnvironment(path)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        do throws(StoreError) {
            let found = try read(environment)
            do throws(LMDBError) {
                return Found(
                    environment: environment, format: found.format, counters: found.counters,
                    tables: try Tables(environment))
            } catch {
                throw StoreError(error, path: path, options: options)
            }
        } catch {
            environment.close()
            throw error
        }
    }

    private func read(
        _ environment: Environment
    ) throws(StoreError) -> (format: FormatRecord, counters: CountersRecord?) {
        let found: (format: FormatRecord?, counters: CountersRecord?, entries: Int)
        do throws(LMDBError) {
            // With a read transaction: in a folder of somebody else's nothing must be made.
            guard let meta = try environment.openExistingTables([TableName.meta.rawValue]).first else {
                throw .tableMissing(name: TableName.meta.rawValue)
            }
            found = try environment.read { (transaction) throws(LMDBError) in
                (
                    try transaction.read(meta, MetaKey.format) { FormatRecord($0) }.record,
                    try transaction.read(meta, MetaKey.counters) { CountersRecord($0) }.record,
                    try transaction.entryCount(meta)
                )
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        guard let format = found.format else {
            // A table that has lost its first page has no entries, but LMDB knows how many it had.
            throw found.entries > 0 ? .damaged(path: path, "its format is lost") : .notAStore(path: path)
        }
        guard format.version == FormatRecord.current else {
            throw .formatMismatch(path: path, found: format.version, supported: FormatRecord.current)
        }
        return (format, found.counters)
    }

    // MARK: Making

    private func make() throws(StoreError) {
        let aside = path + "/" + Self.makingPrefix + "\(getpid())-\(SystemClock.monotonicNanoseconds())"
        guard unsafe mkdir(aside, 0o700) == 0 else { throw failure(of: "mkdir") }
        defer { Self.discard(aside) }
        do throws(LMDBError) {
            let environment = try openEnvironment(aside)
            defer { environment.close() }
            try fill(environment)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        guard unsafe link(aside + "/" + Self.dataFile, dataPath) == 0 || errno == EEXIST else {
            throw failure(of: "link")
        }
        try sync(path)
        try sync(parent)
        discardAbandoned()
    }

    private func fill(_ environment: Environment) throws(LMDBError) {
        let tables = try Tables(environment)
        let format = FormatRecord(pageSize: UInt32(environment.pageSize), createdAt: SystemClock.wallMilliseconds())
        var counters = CountersRecord()
        counters.quota = (options.quota ?? newQuota).value
        try environment.write { (transaction) throws(LMDBError) in
            try transaction.write(tables.meta, MetaKey.format, format.encoded)
            try transaction.write(tables.meta, MetaKey.counters, counters.encoded)
        }
    }

    /// The quota of a new store whose opener names none: 20 GiB, or half of the free space on the disk if that is less.
    var newQuota: ByteCount {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return .gibibytes(20) }
        let half = ByteCount(UInt64(status.f_bavail) / 2 * UInt64(status.f_frsize))
        return max(Limits.quota.lowerBound, min(half, .gibibytes(20)))
    }

    private var parent: String { path + "/.." }

    private func sync(_ folder: String) throws(StoreError) {
        let descriptor = unsafe Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A parent that this user may not read cannot be synced here. Then the folder's entry in it is as durable as
        // its creator made it.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(of: "fsync") }
    }

    /// How long ago, in seconds, a process must have begun to make a store that it has not finished. That takes
    /// milliseconds; the process's id says nothing, since it may be one of another PID namespace.
    private static let abandonedAfter = 600

    /// Removes what is left of processes that died while they made a store.
    private func discardAbandoned() {
        let now = Int(SystemClock.wallMilliseconds() / 1000)
        for name in (try? names()) ?? [] where name.hasPrefix(Self.makingPrefix) {
            var status = stat()
            guard unsafe lstat(path + "/" + name, &status) == 0, now - status.st_mtim.tv_sec > Self.abandonedAfter
            else {
                continue
            }
            Self.discard(path + "/" + name)
        }
    }

    static func discard(_ folder: String) {
        unsafe unlink(folder + "/" + dataFile)
        unsafe unlink(folder + "/" + lockFile)
        unsafe rmdir(folder)
    }
}
