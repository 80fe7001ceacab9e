// What the tests of the remote tier share.

import Foundation
import KVFormat
import StoreTestKit
import TestKit

@testable import RemoteTier

/// A file with a password.
struct PasswordFile {
    private let folder: TemporaryFolder
    let path: String

    init(_ text: String) throws {
        folder = try TemporaryFolder()
        path = folder.path("password")
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        unsafe chmod(path, 0o600)
    }
}

extension RedisServer {
    /// Its URL.
    var url: String { "redis://127.0.0.1:\(port)" }
}
