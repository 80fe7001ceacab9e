// Every call of the system on a store's files fails, once and from then on, and the process goes on.

import CFaults
public import Foundation
import PrefixStore
import StoreTestKit
import TestKit

/// A run through all calls that a mixed workload makes on a store's files.
public struct FaultRun: Sendable {
    /// What came out.
    public struct Tally: Sendable, Equatable {
        /// Calls of one workload, by file.
        public var calls: [String: Int] = [:]
        /// Workloads that ran, each with another call that failed.
        public var workloads = 0
        /// Calls that failed in them.
        public var failures = 0
        /// Errors that the workloads got, all of them of the store's type.
        public var errors = 0
        /// Tokens that had been flushed before and were not there afterwards.
        public var lost = 0
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// What else was wrong: another type of error, a store that could not be used in this process afterwards.
        public var broken: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool { lost == 0 && wrongBytes == 0 && broken.isEmpty && failures > 0 && errors > 0 }
    }

    /// How a call fails.
    private struct Fault {
        let call: String
        let file: String
        let number: Int32
        let isForGood: Bool
        let error: Int32

        var name: String { "\(call) \(number) of \(file) \(isForGood ? "from then on" : "once") with \(error)" }
    }

    private static let files = ["data.mdb", "lock.mdb", "openers", "opening"]
    private let seed: UInt64
    private let lies: Bool
    private let model: GeneratedModel

    /// A run from a seed. Where writes are dropped and reported as done, pages are lost: the broken twin.
    public init(seed: UInt64, lies: Bool = false) throws {
        self.seed = seed
        self.lies = lies
        model = try GeneratedModel("faults")
    }

    /// Runs the workload once per call and fault. A `part` of 1 takes all of them, one of 3 every third.
    public func run(part: Int = 1, until end: Date = .distantFuture) throws -> Tally {
        var tally = Tally()
        let folder = try TemporaryFolder()
        try fill(folder.path("whole"))
        var faults: [Fault] = []
        for file in Self.files {
            let none = Fault(call: "any", file: file, number: .max, isForGood: false, error: EIO)
            try work(folder, none, &tally)
            let count = cfaults_seen()
            tally.calls[file] = Int(count)
            guard count > 0 else { continue }
            let errors: [(String, Int32)] =
                lies
                ? [("pwrite", -1), ("writev", -1)] : [("any", EIO), ("any", ENOSPC), ("pwrite", 0), ("writev", 0)]
            for number in 1...count {
                for (call, error) in errors {
                    for isForGood in [false, true] {
                        faults.append(
                            Fault(call: call, file: file, number: number, isForGood: isForGood, error: error))
                    }
                }
            }
        }
        var random = SplitMix64(seed: seed)
        faults.shuffle(using: &random)
        for fault in faults.prefix(max(1, faults.count / part)) where Date() < end { try work(folder, fault, &tally) }
        return tally
    }

    private func open(_ path: String) throws -> Store {
        try Store(at: path, options: StoreOptions(quota: .mebibytes(16), hotCapacity: .kibibytes(64)))
    }

    private var prompts: [[TokenID]] {
        var prompts = RandomPrompts(seed: seed, documents: 4)
        return (0..<6).map { _ in prompts.next() }
    }

    private func fill(_ path: String) throws {
        let store = try open(path)
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.close()
    }

    /// Runs the workload on a copy of the store while a call fails, and uses the store when no call fails any more.
    private func work(_ folder: TemporaryFolder, _ fault: Fault, _ tally: inout Tally) throws {
        let path = folder.path("store")
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: folder.path("whole"), toPath: path)
        tally.workloads += 1
        unsafe cfaults_fail(
            fault.call, "store/" + fault.file, fault.number, fault.isForGood ? 0 : 1, fault.error)
        let store = attempt(fault, &tally) { try open(path) }
        if let store { disturbed(store, path, fault, &tally) }
        cfaults_stop()
        tally.failures += Int(cfaults_failed())
        do {
            try undisturbed(store ?? open(path), path, fault, &tally)
        } catch {
            tally.broken.append("\(fault.name): afterwards \(error)")
        }
    }

    /// Whatever an engine does.
    private func disturbed(_ store: Store, _ path: String, _ fault: Fault, _ tally: inout Tally) {
        guard let space = attempt(fault, &tally, { try store.space(model.identity) }) else { return }
        for (number, prompt) in prompts.enumerated() {
            if let read = attempt(fault, &tally, { try space.loadGenerated(prompt, by: model) }) {
                tally.wrongBytes += read.wrongBytes
            }
            let more = prompt + [TokenID(5000 + number), 1, 2, 3]
            attempt(fault, &tally) { try space.insertGenerated(more, by: model) }
            switch number % 5 {
            case 0: attempt(fault, &tally) { try store.flush() }
            case 1:
                attempt(fault, &tally) {
                    try space.putSideState("state", unsafe [UInt8](repeating: 7, count: 500).span.bytes, after: prompt)
                }
            case 2:
                attempt(fault, &tally) { try space.pin(prompt) }
                attempt(fault, &tally) { try space.unpin(prompt) }
            case 3: attempt(fault, &tally) { try space.expire(more, at: Timestamp(milliseconds: 1)) }
            default: attempt(fault, &tally) { try store.flush() }
            }
        }
        attempt(fault, &tally) { try store.flush() }
    }

    /// The same store without a fault: everything works, and nothing that was flushed is gone.
    private func undisturbed(_ store: Store, _ path: String, _ fault: Fault, _ tally: inout Tally) throws {
        let space = try store.space(model.identity)
        for prompt in prompts {
            let read = try space.loadGenerated(prompt, by: model)
            tally.wrongBytes += read.wrongBytes
            // A full disk may cost pages that were stored; a disk that fails may not.
            if fault.error != ENOSPC { tally.lost += prompt.count - read.loaded.tokens }
        }
        let fresh: [TokenID] = [9000, 9001, 9002, 9003]
        try space.insertGenerated(fresh, by: model)
        try store.flush()
        try store.close()
        let again = try open(path)
        let read = try again.space(model.identity).loadGenerated(fresh, by: model)
        tally.wrongBytes += read.wrongBytes
        if read.loaded.tokens != fresh.count {
            tally.broken.append("\(fault.name): what was flushed afterwards is gone")
        }
        try again.close()
        let inspector = try StoreInspector(at: path)
        defer { inspector.close() }
        let report = try inspector.verify()
        if !report.isSound { tally.broken.append("\(fault.name): \(report.findings.prefix(2))") }
    }

    @discardableResult
    private func attempt<R>(_ fault: Fault, _ tally: inout Tally, _ body: () throws -> R) -> R? {
        do {
            return try body()
        } catch is StoreError {
            tally.errors += 1
        } catch {
            tally.broken.append("\(fault.name): \(error)")
        }
        return nil
    }
}

extension FaultRun.Tally {
    /// The figures, one line each.
    public var text: String {
        let files = calls.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return
            ([
                "workloads \(workloads), calls of one: \(files)", "failed calls \(failures), errors \(errors)",
                "flushed tokens lost \(lost)", "wrong bytes \(wrongBytes)", "broken \(broken.count)",
            ] + broken.prefix(20)).joined(separator: "\n")
    }
}
