// An open LMDB folder.

import CLMDB
import Glibc
import Synchronization
import Threads

/// A folder with LMDB's two files, `data.mdb` and `lock.mdb`, open for this process and shared with others.
///
/// Every commit is synced (the flags of LMDB that weaken this are not offered), and readers are not tied to threads.
/// All methods can be called from any thread. Never begin a transaction inside another of the same environment.
@safe
package final class Environment: @unchecked Sendable {
    // LMDB's handle is thread-safe; `opened` changes only while the gate is empty, and is read inside it.

    /// The folder as it was named at open.
    package let folder: String
    /// What this environment may be used for.
    package let access: Access
    /// LMDB's page size in bytes.
    package let pageSize: Int

    let options: EnvironmentOptions
    let gate = TransactionGate()
    let files: FolderFiles
    /// The data file, for its size, its room on the disk and the writers' lock.
    var descriptor: Int32 { files.data.descriptor }
    /// LMDB's handle and what came with it. Changes only while the gate is empty, and is read inside it; nil when LMDB
    /// could not be opened anew.
    var opened: Opened?
    /// The tables that are open, in the order of their handles.
    let tables = Guarded<[Table]>([])
    /// The data file's size in bytes when it was last checked; it only grows.
    let fileBytes = Atomic<Int>(0)
    /// The end of the map that the file does not have, and whether there is one.
    let missing = Guarded<MissingEnd?>(nil)
    let isShort = Atomic<Bool>(false)
    /// Whether a process of another PID namespace has this process's id, so that LMDB goes by another one.
    let isApart = Atomic<Bool>(false)
    /// When readers last checked that the files are in their places, on the monotonic clock.
    let checkedAt = Atomic<UInt64>(0)
    let writer = WriterThread()
    let snapshots = Snapshots()

    /// How often this process has opened an environment: to open a store costs one.
    package static var openings: Int { openCount.load(ordering: .relaxed) }
    private static let openCount = Atomic<Int>(0)

    private let identity: FileIdentity
    let process = OwnProcess()

    /// Opens the files in a folder that exists, and creates them (mode 0600) if they are missing and access is
    /// `.readWrite`. Frees the slots of dead readers.
    ///
    /// - Throws: `.notAFolder`, `.alreadyOpen`, `.networkFileSystem`; an error whose `isDamage` is true when the files
    ///   are not sound; a `.code` otherwise. After an error nothing is open.
    package init(folder: String, options: EnvironmentOptions) throws(LMDBError) {
        let identity = try FileIdentity(folder: folder)
        try FileSystem.requireLocal(folder)
        try OpenFolders.shared.insert(identity, path: folder)
        do throws(LMDBError) {
            (opened, files) = try StandardDescriptors.taken { () throws(LMDBError) in
                try FileLimit.isError { () throws(LMDBError) in
                    let opened = try Opened(folder, options)
                    do throws(LMDBError) {
                        return (opened, try FolderFiles(folder: folder, access: options.access))
                    } catch {
                        opened.close()
                        throw error
                    }
                }
            }
        } catch {
            OpenFolders.shared.remove(identity)
            throw error
        }
        pageSize = opened?.pageSize ?? 0
        self.folder = folder
        self.access = options.access
        self.options = options
        self.identity = identity
        Self.openCount.add(1, ordering: .relaxed)
        do throws(LMDBError) {
            if let opened { try coverMissingEnd(of: opened) }
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    /// Closes the environment after the running transactions have ended. One that still waits for the writer of another
    /// process is not waited for. A second call does nothing, nor does a call in a forked child. It must not be called
    /// inside a transaction of this environment.
    package func close() {
        guard process.isHere else { return }
        writer.close()
        gate.shut {
            opened?.close()
            opened = nil
            OpenFolders.shared.remove(identity)
        }
    }

    /// Throws `.forked` in a child of the process that opened the environment.
    func requireOwnProcess() throws(LMDBError) {
        guard process.isHere else { throw .forked }
    }
}
