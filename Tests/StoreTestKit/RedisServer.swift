// Real servers for tests of the remote tier: redis-server, started and ended by the test.

internal import Foundation
internal import TestKit

/// A redis-server of its own on the loopback interface. Ends with its object.
public final class RedisServer: @unchecked Sendable {
    // Unchecked because `process` is only changed by the test that owns the server, one thread at a time.

    /// Its port.
    public let port: Int
    private let folder: TemporaryFolder
    private let arguments: [String]
    private var process: ChildProcess?

    /// A server could not be started: `tools/bootstrap` installs it.
    public struct StartError: Error { let text: String }

    /// Starts a server and waits until it answers.
    ///
    /// - Parameters:
    ///   - options: more options, as on its command line.
    ///   - port: its port; nil for a free one.
    public init(_ options: [String] = [], port: Int? = nil) throws {
        folder = try TemporaryFolder()
        self.port = try port ?? Self.freePort()
        arguments =
            [
                "--port", "\(self.port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                folder.path, "--enable-debug-command", "yes", "--loglevel", "warning", "--logfile", "server.log",
            ] + options
        try start()
    }

    deinit { kill() }

    /// Its process.
    public var processID: Int32 { process?.processID ?? 0 }

    /// A path in its folder.
    public func path(_ name: String) -> String { folder.path(name) }

    /// Starts it, again after `kill()`, with nothing in it but what a cluster knows of itself.
    public func start() throws {
        guard let program = Self.program("redis-server") else {
            throw StartError(text: "redis-server is not installed; tools/bootstrap installs it")
        }
        process = try ChildProcess(program, arguments)
        // With TLS the plain port may be closed; the other tests connect to it.
        for _ in 0..<2000 {
            if Self.accepts(port) || Self.accepts(tlsPort) { return }
            usleep(10_000)
        }
        throw StartError(text: "redis-server does not answer on port \(port)")
    }

    private var tlsPort: Int {
        guard let place = arguments.firstIndex(of: "--tls-port") else { return 0 }
        return Int(arguments[place + 1]) ?? 0
    }

    /// Sends a signal, such as SIGSTOP.
    public func send(_ signal: Int32) { process?.send(signal) }

    /// Ends it at once.
    public func kill() {
        process?.send(SIGCONT)
        process?.send(SIGKILL)
        _ = process?.wait()
        process = nil
    }

    /// What `redis-cli` answers to a command, without the line end.
    @discardableResult
    public func ask(_ command: String...) throws -> String { try Self.ask(port, command) }

    /// The bytes of a value.
    public func value(of key: String) throws -> [UInt8] { try Self.bytes(port, ["--raw", "get", key]).dropLast() }

    /// What `redis-cli` answers.
    @discardableResult
    public static func ask(_ port: Int, _ command: [String]) throws -> String {
        try String(decoding: bytes(port, command), as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    private static func bytes(_ port: Int, _ command: [String]) throws -> [UInt8] {
        guard let program = program("redis-cli") else { throw StartError(text: "redis-cli is not installed") }
        let ends = ChildProcess.pipe()
        let child = try ChildProcess(program, ["-p", "\(port)"] + command, output: ends.writing)
        close(ends.writing)
        let answer = FileHandle(fileDescriptor: ends.reading, closeOnDealloc: true).readDataToEndOfFile()
        _ = child.wait()
        return Array(answer)
    }

    /// A port that nobody listens on, low enough for a cluster's second one.
    public static func freePort() throws -> Int {
        for _ in 0..<100 {
            // Neither they nor the second ports are among those that the system gives to clients.
            let port = Int.random(in: 12_000..<20_000)
            if !accepts(port), !accepts(port + 10_000) { return port }
        }
        throw StartError(text: "no free port")
    }

    private static func program(_ name: String) -> String? {
        ["/usr/bin/", "/usr/local/bin/"].map { $0 + name }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func accepts(_ port: Int) -> Bool {
        guard port > 0 else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

/// A Redis Cluster on the loopback interface.
public final class RedisCluster: Sendable {
    /// The servers: the primaries first, then a replica of each if there are replicas.
    public let servers: [RedisServer]
    /// Its URL, by its first server.
    public var url: String { "redis+cluster://127.0.0.1:\(servers[0].port)" }

    /// Starts a cluster and waits until it serves.
    ///
    /// - Parameter replicas: of each primary.
    public init(primaries: Int = 3, replicas: Int = 0) throws {
        servers = try (0..<primaries * (1 + replicas)).map { _ in
            try RedisServer([
                "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000",
                "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
            ])
        }
        try RedisServer.ask(
            servers[0].port,
            ["--cluster", "create"] + servers.map { "127.0.0.1:\($0.port)" }
                + ["--cluster-replicas", "\(replicas)", "--cluster-yes"])
        for server in servers {
            for _ in 0..<1000 where !(try server.ask("cluster", "info").contains("cluster_state:ok")) { usleep(10_000) }
        }
    }

    /// The server that owns the slot of a key.
    public func owner(ofSlot slot: Int) throws -> RedisServer? {
        for server in servers {
            let nodes = try server.ask("cluster", "nodes")
            for line in nodes.split(separator: "\n") where line.contains("myself,master") {
                for range in line.split(separator: " ").dropFirst(8) {
                    let ends = range.split(separator: "-").compactMap { Int($0) }
                    if let first = ends.first, let last = ends.last, (first...last).contains(slot) { return server }
                }
            }
        }
        return nil
    }
}
