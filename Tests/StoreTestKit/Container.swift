// Processes in containers: each with a user, PID and mount namespace of its own.

import Foundation

/// A container, made by `unshare`.
public enum Container {
    /// The program that makes one.
    public static let unshare = "/usr/bin/unshare"

    /// What `unshare` needs to run a program as process 1 of a PID namespace, as a user that is this one outside.
    public static func arguments(user: Int, _ program: [String]) -> [String] {
        [
            "--user", "--map-user=\(user)", "--map-group=\(user)", "--pid", "--fork", "--kill-child", "--mount",
            "--mount-proc",
        ] + program
    }

    /// Whether the kernel lets this user make containers; says why not.
    public static let isAllowed: Bool = {
        let status = try? ChildProcess(unshare, arguments(user: 1000, ["/bin/true"])).wait()
        if status != 0 { print("no container tests: this kernel or user may not make user, PID and mount namespaces") }
        return status == 0
    }()
}

/// Four containers that make, fill and read one store at once. Each is process 1 of its own, and has its own user.
public struct ContainerRun: Sendable {
    /// What came out.
    public struct Tally: Sendable {
        /// Prompts that were matched, loaded, compared and stored.
        public var rounds = 0
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// What containers said that ended in another way than they should.
        public var faults: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool { rounds > 0 && wrongBytes == 0 && faults.isEmpty }
        /// The figures, one line each.
        public var text: String {
            (["rounds of 4 containers \(rounds)", "wrong bytes \(wrongBytes)", "errors \(faults.count)"] + faults)
                .joined(separator: "\n")
        }
    }

    private let worker: String
    private let lies: Bool

    /// A run with the path of `store-worker`. Processes that expect the bytes of another model are the broken twin.
    public init(worker: String, lies: Bool = false) {
        self.worker = worker
        self.lies = lies
    }

    /// Shares the store at `path`.
    public func run(_ path: String, seconds: Int, seed: UInt64) throws -> Tally {
        var tally = Tally()
        let containers = try (0..<4).map { number in
            let program = [worker, "hammer", path, "\(seconds)", "\(seed + UInt64(number))", "64MiB"]
            let user = [0, 1000, 1001, 65534][number]
            return try Worker(
                executable: Container.unshare, Container.arguments(user: user, program),
                environment: lies ? ["PFX_LIES": "1"] : [:])
        }
        for container in containers {
            let (lines, status) = container.finish()
            let words = lines.last?.split(separator: " ") ?? []
            guard status == 0, words.count == 10, words[0] == "rounds", let rounds = Int(words[1]),
                let wrong = Int(words[3])
            else {
                tally.faults.append("status \(status): \(lines.suffix(2))")
                continue
            }
            tally.rounds += rounds
            tally.wrongBytes += wrong
        }
        return tally
    }
}
