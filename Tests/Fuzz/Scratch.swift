// Files for readers that read only files.

import Glibc
import TestKit

/// A folder in which a target puts its inputs. `tools/fuzz` gives each process a temporary folder in memory.
enum Scratch {
    /// A file that could not be written or read.
    struct Failure: Error { let path: String }

    /// The folder of this process.
    static let folder: TemporaryFolder = {
        guard let folder = try? TemporaryFolder() else { preconditionFailure("no temporary folder can be made") }
        return folder
    }()

    /// Writes a file of the folder, and returns its path.
    static func file(_ name: String, _ bytes: [UInt8]) -> String {
        let path = folder.path(name)
        guard (try? write(bytes, to: path)) != nil else { preconditionFailure("\(path) cannot be written") }
        return path
    }

    /// Writes a file, whatever was there.
    static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure(path: path) }
        defer { close(file) }
        guard unsafe Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Failure(path: path) }
    }

    /// All bytes of a file.
    static func read(_ path: String) throws(Failure) -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path: path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: TemporaryFolder.size(path))
        guard unsafe Glibc.read(file, &bytes, bytes.count) == bytes.count else { throw Failure(path: path) }
        return bytes
    }

    /// A file of the repository, for seeds: `tools/fuzz` starts processes in its folder.
    static func fixture(_ path: String) throws(Failure) -> [UInt8] { try read("Tests/" + path) }
}
