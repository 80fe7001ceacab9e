// A real S3 server for tests of the remote tier: moto or radosgw, both of which check signatures, started by
// tools/remote/s3_server.

internal import Foundation
internal import TestKit

/// An S3 server of its own on the loopback interface, with the bucket `pages` and two users. Ends with this process.
public final class S3Server: Sendable {
    private struct Ready: Decodable {
        struct User: Decodable {
            let key: String
            let secret: String
        }
        let port: Int
        let faulty_port: Int
        let store: User
        let reader: User
    }

    /// A server could not be started: `tools/engines/install-moto` installs what it needs.
    public struct StartError: Error { let text: String }

    /// Its port.
    public let port: Int
    /// The port at which it is asked where something is to be wrong with it.
    private let faultyPort: Int
    /// The secret of the user who may do everything, for tests that look where it shows up.
    public let secret: String
    private let folder: TemporaryFolder
    private let process: ChildProcess
    private let scheme: String

    /// A server that tests share; each has a prefix of its own.
    public static let shared = Result { try S3Server() }

    /// Whether there is one to start, or there must be: `tools/remote/test --s3` says so.
    public static var isExpected: Bool {
        ProcessInfo.processInfo.environment["PFX_S3"] == "1" || FileManager.default.isExecutableFile(atPath: python)
    }

    /// Whether the tests run on Ceph's radosgw: `tools/remote/test --radosgw` says so.
    public static var isRadosgw: Bool { ProcessInfo.processInfo.environment["PFX_S3_SERVER"] == "radosgw" }

    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    private static var python: String { repository + "/.build-engines/moto/venv/bin/python" }

    /// Starts a server and waits until it answers.
    ///
    /// - Parameters:
    ///   - certificate, key: files of the certificate of a server with TLS.
    public init(certificate: String? = nil, key: String? = nil) throws {
        folder = try TemporaryFolder()
        scheme = certificate == nil ? "http" : "https"
        var arguments = [Self.repository + "/tools/remote/s3_server", folder.path]
        if let certificate, let key { arguments += ["--certificate", certificate, "--key", key] }
        if Self.isRadosgw { arguments.append("--radosgw") }
        guard FileManager.default.isExecutableFile(atPath: Self.python) else {
            throw StartError(text: "moto is not installed; tools/engines/install-moto installs it")
        }
        process = try ChildProcess(Self.python, arguments)
        var found: Data?
        for _ in 0..<6000 where found == nil {
            found = FileManager.default.contents(atPath: folder.path("server.json"))
            usleep(10_000)
        }
        guard let found else { throw StartError(text: "the S3 server does not start") }
        let ready = try JSONDecoder().decode(Ready.self, from: found)
        port = ready.port
        faultyPort = ready.faulty_port
        secret = ready.store.secret
        for (name, user) in [("store", ready.store), ("reader", ready.reader)] {
            try credentials(name, key: user.key, secret: user.secret)
        }
        try credentials("stranger", key: ready.store.key, secret: String(ready.store.secret.reversed()))
    }

    deinit { kill() }

    /// Ends it at once.
    public func kill() {
        process.send(SIGKILL)
        _ = process.wait()
    }

    private func credentials(_ name: String, key: String, secret: String) throws {
        let text = "[default]\naws_access_key_id = \(key)\naws_secret_access_key=\(secret)\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path(name)))
    }

    /// The URL of a prefix.
    ///
    /// - Parameters:
    ///   - user: `store`, `reader`, or `stranger`, who has a wrong secret.
    ///   - isFaulty: whether `disturb` says what is wrong with the server.
    public func url(_ prefix: String, as user: String = "store", isFaulty: Bool = false) -> String {
        "s3://pages/\(prefix)?endpoint=\(scheme)://127.0.0.1:\(isFaulty ? faultyPort : port)"
            + "&credentials_file=\(folder.path(user))"
    }

    /// Says what is wrong with the objects below a prefix for those who ask at `isFaulty` URLs; nil for nothing. See
    /// tools/remote/s3_server.
    public func disturb(_ prefix: String, _ mode: String?) throws {
        let file = URL(fileURLWithPath: folder.path("mode-\(prefix)"))
        guard let mode else { return try FileManager.default.removeItem(at: file) }
        try Data(mode.utf8).write(to: file, options: .atomic)
    }
}
