// A folder that is gone when the test is.

internal import Glibc
internal import Threads

/// A new folder under the system's temporary folder. Its files go when the last reference to it goes, the folder itself
/// when the process ends: an environment that still has it open would make the next folder that gets the same inode
/// look open.
package final class TemporaryFolder: Sendable {
    /// The folder.
    package let path: String

    /// No folder could be made; the number says why.
    package struct Failure: Error { let errno: Int32 }

    /// Makes the folder.
    package init() throws(Failure) {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var name = Array((parent + "/pfx-test-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&name) != nil else { throw Failure(errno: errno) }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        Self.allOfThisProcess.withLock { $0.append(path) }
    }

    deinit { for name in Self.names(path) { Self.remove(path + "/" + name) } }

    /// A path inside the folder.
    package func path(_ name: String) -> String { path + "/" + name }

    /// What a folder holds, in the order of the names.
    package static func names(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The permissions of a file; 0 when it is not there.
    package static func mode(_ path: String) -> UInt32 { status(path).map { $0.st_mode & 0o7777 } ?? 0 }

    /// The bytes of a file; 0 when it is not there.
    package static func size(_ path: String) -> Int { status(path).map { Int($0.st_size) } ?? 0 }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status : nil
    }

    private static let allOfThisProcess: Guarded<[String]> = {
        atexit { for path in TemporaryFolder.allOfThisProcess.withLock({ $0 }) { TemporaryFolder.remove(path) } }
        return Guarded([])
    }()

    private static func remove(_ path: String) {
        // A link is removed, not followed.
        if unsafe unlink(path) == 0 { return }
        for name in names(path) { remove(path + "/" + name) }
        unsafe rmdir(path)
    }
}
