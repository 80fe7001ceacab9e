// The child process of the tests. Usage:
//   store-worker hammer FOLDER SECONDS SEED QUOTA   match, load, check and insert random prompts; one line at the end
//   store-worker crowd FOLDER SEED                  the same with pages of 128 KiB that it reads too, on a disk that
//                                                   may be full; a line after each flush, and each error
//   store-worker fill FOLDER SEED                   insert and flush prompts for ever; a line after each flush
//   store-worker check FOLDER SEED COUNT            load the first COUNT prompts of `fill`; one line at the end
//   store-worker hold FOLDER                        stand still inside a write transaction until SIGUSR1, then end
//   store-worker hold-table FOLDER TABLE           the same, with LMDB alone
//   store-worker stay FOLDER NUMBER                 look up, write, and stay until SIGUSR1; a line before and after it
//   store-worker again FOLDER HITS HOT              load and insert one prompt where pages are written after HITS hits;
//                                                   a line when it is flushed, and then it stays
//   store-worker expire FOLDER COUNT let the prefix of COUNT tokens from 0 expire at once; one line at the end
//   store-worker fork FOLDER use a store in a forked child; one line at the end
//   store-worker rekey FOLDER OLD NEW               change a store's key there and back for ever; a line after each
//   store-worker trim FOLDER                        evict every page
//   store-worker forget FOLDER                      forget all spaces, one after the other; one line at the end
// With PFX_KEY in the environment, the store is opened with that sealing key.
//   store-worker damaged FOLDER SEED NUMBER   look at, read and write a store that may be damaged; one line at the end
// The other commands are the parts of tools/torture and of tools/remote/test: see Torture.swift and RemoteHost.swift.

import ColdTier
import Foundation
import LMDB
import PrefixStore
import StoreTestKit
import Torture

/// Writes a line at once: a killed worker has said all it had to say.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Whether this process is part of a broken twin.
let lies = ProcessInfo.processInfo.environment["PFX_LIES"] == "1"

func open(_ path: String, quota: ByteCount = .gibibytes(1), hot: ByteCount = .mebibytes(4)) throws -> Store {
    try Store(
        at: path, options: StoreOptions(quota: quota, hotCapacity: hot, sealingKey: SealingKey.environment()))
}

/// Reads and writes as two workers of a batch do. Every page read is compared with what the model generates.
func hammer(_ path: String, seconds: Double, seed: UInt64, quota: ByteCount) throws {
    let store = try open(path, quota: quota, hot: .kibibytes(256))
    let model = try GeneratedModel("hammer")
    let space = try store.space(model.identity)
    var prompts = RandomPrompts(seed: seed)
    // The broken twin of the containers expects another model's bytes.
    let expected = lies ? try GeneratedModel("other") : model
    let end = Date().addingTimeInterval(seconds)
    var rounds = 0
    var wrong = 0
    var slowestMatch = 0.0
    while Date() < end {
        let prompt = prompts.next()
        let start = Date()
        let read = try space.loadGenerated(prompt, by: expected)
        slowestMatch = max(slowestMatch, Date().timeIntervalSince(start))
        wrong += read.wrongBytes
        try space.insertGenerated(prompt, by: model, after: read.loaded.place)
        rounds += 1
    }
    let all = store.statistics
    try store.close()
    say(
        "rounds \(rounds) wrong \(wrong) cold \(all.loadedTokens.cold) hot \(all.loadedTokens.hot) slowest \(Int(slowestMatch * 1000))"
    )
}

func fill(_ path: String, seed: UInt64) throws {
    let store = try open(path)
    let model = try GeneratedModel("fill")
    let space = try store.space(model.identity)
    var prompts = RandomPrompts(seed: seed, documents: 20)
    var count = 0
    while true {
        for _ in 0..<3 { try space.insertGenerated(prompts.next(), by: model) }
        count += 3
        // The broken twin of the kills says so without having flushed.
        if !lies { try store.flush() }
        say("flushed \(count)")
    }
}

func crowd(_ path: String, seed: UInt64) throws {
    var opened: Store?
    while opened == nil {
        do {
            opened = try open(path, quota: DiskRun.quota)
        } catch StoreError.diskFull {
            // There is no room for a new store yet.
            say("full 0")
            usleep(10_000)
        }
    }
    guard let store = opened else { return }
    let model = try DiskRun.model()
    let space = try store.space(model.identity)
    var prompts = DiskRun.prompts(seed: seed)
    var round = 0
    while true {
        round += 1
        let began = DiskRun.now
        do {
            let prompt = prompts.next()
            let read = try space.loadGenerated(prompt, by: model)
            if read.wrongBytes > 0 { say("wrong \(read.wrongBytes)") }
            try space.insertGenerated(prompt, by: model, after: read.loaded.place)
            // The broken twin of the disks says so without having flushed.
            if !lies { try store.flush() }
            say("flushed \(round) \(began)")
        } catch let error as StoreError {
            if case .diskFull = error { say("full \(round)") } else { say("error \(round) \(error)") }
        }
    }
}

func check(_ path: String, seed: UInt64, count: Int) throws {
    let store = try open(path)
    let model = try GeneratedModel("fill")
    let space = try store.space(model.identity)
    var prompts = RandomPrompts(seed: seed, documents: 20)
    var lost = 0
    var wrong = 0
    for _ in 0..<count {
        let prompt = prompts.next()
        let read = try space.loadGenerated(prompt, by: model)
        wrong += read.wrongBytes
        lost += prompt.count - read.loaded.tokens
    }
    try store.close()
    say("lost \(lost) wrong \(wrong)")
}

/// Uses a store in a forked child: every call must be refused at once, and the parent must go on.
func forkAndUse(_ path: String) throws {
    let store = try open(path)
    let model = try GeneratedModel("fork")
    let space = try store.space(model.identity)
    let tokens = (0..<40).map { TokenID($0) }
    try space.insertGenerated(tokens, by: model)
    let child = fork()
    if child == 0 {
        let calls: [() throws -> Void] = [
            { _ = try space.match(tokens).tokenCount }, { try space.insertGenerated(tokens, by: model) },
            { try store.flush() }, { try store.close() },
        ]
        let refused = calls.filter { call in
            do { try call() } catch { return (error as? StoreError) == .forked }
            return false
        }
        _exit(Int32(calls.count - refused.count))
    }
    var status: Int32 = -1
    unsafe waitpid(child, &status, 0)
    try store.flush()
    let read = try space.loadGenerated(tokens, by: model)
    try store.close()
    say("child \(status) loaded \(read.loaded.tokens) wrong \(read.wrongBytes)")
}

/// Stands still until SIGUSR1 comes. Not stopped by SIGSTOP: the system lets stopped processes go on when the last
/// process that could do so has ended.
func standStill() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGUSR1)
    say("holding")
    var number: Int32 = 0
    unsafe sigwait(&signals, &number)
}

/// Blocks SIGUSR1 in all threads that come, so that `standStill` can wait for it.
func expectSignal() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGUSR1)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
}

/// Stands still inside a write transaction, as under a debugger or in a container that is paused.
func hold(_ path: String) throws {
    expectSignal()
    let tier = try ColdTier(existing: path)
    try tier.writing { (_, _) throws(LMDBError) in standStill() }
    tier.close()
}

/// As `hold`, in a folder of LMDB that is no store. The transaction stores one key.
func hold(table name: String, in path: String) throws(LMDBError) {
    expectSignal()
    let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 16 << 20))
    let table = try environment.openTables([name])[0]
    try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
        let key: [UInt8] = [0]
        try transaction.put(table, key: unsafe key.span.bytes, value: unsafe key.span.bytes)
        standStill()
    }
    environment.close()
}

/// Looks up a prompt, writes one of its own and one that all write, says what came of it, and stays until SIGUSR1.
func stay(_ path: String, number: UInt64) throws {
    expectSignal()
    let store = try open(path, hot: .zero)
    let model = try GeneratedModel("fill")
    let space = try store.space(model.identity)
    var prompts = RandomPrompts(seed: 1, documents: 20)
    let shared = prompts.next()
    let read = try space.loadGenerated(shared, by: model)
    try space.insertGenerated(shared + [TokenID(5000 + number)], by: model)
    try store.flush()
    say("loaded \(read.loaded.tokens) of \(shared.count) wrong \(read.wrongBytes)")
    standStill()
    let again = try space.loadGenerated(shared, by: model)
    try store.close()
    say("loaded \(again.loaded.tokens) of \(shared.count) wrong \(again.wrongBytes)")
}

/// One run of a program that always has the same prompt.
func again(_ path: String, hits: Int, hot: ByteCount) throws {
    let store = try Store(
        at: path, options: StoreOptions(quota: .mebibytes(64), hotCapacity: hot, writePolicy: .afterHits(hits)))
    let model = try GeneratedModel("again")
    let space = try store.space(model.identity)
    let prompt = (0..<100).map { TokenID($0) }
    let read = try space.loadGenerated(prompt, by: model)
    try space.insertGenerated(prompt, by: model, after: read.loaded.place)
    try store.flush()
    say("found \(read.loaded.tokens)")
    pause()
}

/// Lets a prefix expire that another process may have in RAM.
func expire(_ path: String, count: Int) throws {
    let store = try open(path)
    try store.space(GeneratedModel().identity).expire((0..<count).map { TokenID($0) }, at: Timestamp(milliseconds: 1))
    try store.close()
    say("expired")
}

/// Gives the store one key and then the other, again and again.
func rekey(_ path: String, _ old: String, _ new: String) throws {
    var keys = try [old, new].map { try SealingKey(text: Array($0.utf8)) }
    while true {
        let inspector = try StoreInspector(at: path, sealingKey: keys[0])
        let spaces = try inspector.rekey(to: keys[1])
        inspector.close()
        say("spaces \(spaces)")
        keys.swapAt(0, 1)
    }
}

/// Evicts all that is not pinned.
func trim(_ path: String) throws {
    let inspector = try StoreInspector(at: path)
    defer { inspector.close() }
    _ = try inspector.trim(to: .zero)
}

/// Forgets every space.
func forget(_ path: String) throws {
    let inspector = try StoreInspector(at: path)
    var pages = 0
    say("begins")
    for space in try inspector.spaces() { pages += try inspector.forget(space: space.root) }
    inspector.close()
    say("forgot \(pages)")
}

/// Opens the store that `fill` began, looks up and loads, and says how many microseconds the slowest call of each kind
/// took. For tools/standstill.
func measure(_ path: String) throws {
    var slowest: [String: Duration] = [:]
    func timed<R: ~Copyable>(_ name: String, _ body: () throws -> R) rethrows -> R {
        let start = ContinuousClock.now
        defer { slowest[name] = max(slowest[name] ?? .zero, ContinuousClock.now - start) }
        return try body()
    }
    let model = try GeneratedModel("fill")
    for _ in 0..<5 {
        let store = try timed("open") { try open(path, hot: .zero) }
        let space = try timed("space") { try store.space(model.identity) }
        var prompts = RandomPrompts(seed: 1, documents: 20)
        for _ in 0..<20 {
            let prompt = prompts.next()
            _ = try timed("look-up") { try space.match(prompt).tokenCount }
            _ = try timed("look-up and load") { try space.loadGenerated(prompt, by: model) }
            _ = try timed("look-up within 20 ms") { try space.match(prompt, within: .milliseconds(20)).tokenCount }
            _ = try timed("load within 20 ms") { try space.loadGenerated(prompt, by: model, within: .milliseconds(20)) }
            try space.insertGenerated(prompt + [1], by: model)
        }
        _ = try timed("flush within 20 ms") { try store.flush(within: .milliseconds(20)) }
        _ = try timed("close within 20 ms") { try store.close(within: .milliseconds(20)) }
    }
    for (name, time) in slowest.sorted(by: { $0.key < $1.key }) { say("\(time / .microseconds(1)) \(name)") }
}

let arguments = CommandLine.arguments
do {
    switch arguments.dropFirst().first {
    case "hammer" where arguments.count == 6:
        try hammer(
            arguments[2], seconds: Double(arguments[3]) ?? 1, seed: UInt64(arguments[4]) ?? 0,
            quota: ByteCount(parsing: arguments[5]) ?? .gibibytes(1))
    case "trim" where arguments.count == 3: try trim(arguments[2])
    case "crowd" where arguments.count == 4: try crowd(arguments[2], seed: UInt64(arguments[3]) ?? 0)
    case "stay" where arguments.count == 4: try stay(arguments[2], number: UInt64(arguments[3]) ?? 0)
    case "fill" where arguments.count == 4:
        try fill(arguments[2], seed: UInt64(arguments[3]) ?? 0)
    case "check" where arguments.count == 5:
        try check(arguments[2], seed: UInt64(arguments[3]) ?? 0, count: Int(arguments[4]) ?? 0)
    case "hold" where arguments.count == 3:
        try hold(arguments[2])
    case "hold-table" where arguments.count == 4:
        try hold(table: arguments[3], in: arguments[2])
    case "again" where arguments.count == 5:
        try again(
            arguments[2], hits: Int(arguments[3]) ?? 1, hot: ByteCount(parsing: arguments[4]) ?? .mebibytes(4))
    case "expire" where arguments.count == 4:
        try expire(arguments[2], count: Int(arguments[3]) ?? 0)
    case "measure" where arguments.count == 3:
        try measure(arguments[2])
    case "rekey" where arguments.count == 5:
        try rekey(arguments[2], arguments[3], arguments[4])
    case "remote-fill" where arguments.count == 5:
        try remoteFill(arguments[2], arguments[3], count: Int(arguments[4]) ?? 0)
    case "remote-look" where arguments.count == 6:
        try remoteLook(
            arguments[2], arguments[3], count: Int(arguments[4]) ?? 0, seconds: Double(arguments[5]) ?? 0)
    case "remote-put" where arguments.count == 6:
        try remotePut(
            arguments[2], arguments[3], count: Int(arguments[4]) ?? 0, seconds: Double(arguments[5]) ?? 0)
    case "remote-descriptors" where arguments.count == 4:
        try remoteDescriptors(arguments[2], arguments[3])
    case "forget" where arguments.count == 3:
        try forget(arguments[2])
    case "fork" where arguments.count == 3:
        try forkAndUse(arguments[2])
    case "damaged" where arguments.count == 5:
        say(try DamagedStore(arguments[2], seed: UInt64(arguments[3]) ?? 0).use(UInt64(arguments[4]) ?? 0).line)
    default:
        if let status = try torture(Array(arguments.dropFirst())) { exit(status) }
        say("usage: see the top of main.swift")
        exit(64)
    }
} catch {
    say("error \(error)")
    exit(1)
}
