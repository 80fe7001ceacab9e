// A host of tools/remote/test: one folder, and a remote that is disturbed meanwhile.
//   store-worker remote-fill FOLDER URL COUNT             store prompts and wait until the remote has them
//   store-worker remote-look FOLDER URL COUNT SECONDS     look up and load them; a line every 100 ms, then figures
//   store-worker remote-put FOLDER URL COUNT SECONDS      store other prompts; a line every 100 ms, then figures
// The last two end earlier when there is a file FOLDER.end.
// A look-up is late beyond 30 ms, without the time by which the machine itself was late in the same moments: Witness.
//   store-worker remote-descriptors FOLDER URL            use a remote in a process without standard descriptors
// The broken twins: PFX_LIES=wrong compares with the bytes of another model, PFX_LIES=late waits longer than it says.

import Foundation
import PrefixStore
import StoreTestKit
import Threads

/// How long a look-up may wait for the remote.
private let lookupTime = Duration.milliseconds(20)

private func options(_ url: String, _ time: Duration, _ puts: RemotePuts) -> StoreOptions {
    StoreOptions(
        quota: .gibibytes(1), hotCapacity: .zero, promotes: false,
        remote: RemoteOptions(url: url, puts: puts, lookupTime: time))
}

private func prompt(_ number: Int) -> [TokenID] { (0..<48).map { TokenID($0 + number * 64) } }

/// Stores prompts, and waits until the remote has all of them.
func remoteFill(_ folder: String, _ url: String, count: Int) throws {
    let store = try Store(at: folder, options: options(url, lookupTime, .all))
    let model = try GeneratedModel("remote host")
    let space = try store.space(model.identity)
    for number in 0..<count { try space.insertGenerated(prompt(number), by: model) }
    try store.flush()
    let isThere = try store.flushRemote(within: .seconds(120))
    say("there \(isThere) put \(store.statistics.remote?.putPages ?? 0)")
    try store.close()
}

/// Looks up the first half of the prompts, which never come to this host's disk, and loads one of the others for every
/// ten of those.
func remoteLook(_ folder: String, _ url: String, count: Int, seconds: Double) throws {
    let lies = ProcessInfo.processInfo.environment["PFX_LIES"]
    let time = lies == "late" ? .milliseconds(200) : lookupTime
    let store = try Store(at: folder, options: options(url, time, .none))
    let model = try GeneratedModel("remote host")
    let space = try store.space(model.identity)
    let other = lies == "wrong" ? try GeneratedModel("another") : model
    let witness = try Witness()
    var generator = SystemRandomNumberGenerator()
    var figures = ["lookups": 0, "loads": 0, "wrong": 0, "errors": 0, "late": 0, "excused": 0]
    var longest = (whole: UInt64(0), own: UInt64(0))
    var bucket = (lookups: 0, hits: 0, faults: 0)
    try everyTenth(of: seconds, unless: folder + ".end") { now in
        say("at \(now) lookups \(bucket.lookups) hits \(bucket.hits) faults \(bucket.faults)")
        bucket = (0, 0, 0)
    } body: {
        do {
            let isLoad = figures["lookups", default: 0] % 10 == 9
            let number = Int.random(in: 0..<count / 2, using: &generator) + (isLoad ? count / 2 : 0)
            let start = SystemClock.monotonicNanoseconds()
            let found = try space.match(prompt(number)).tokenCount
            let end = SystemClock.monotonicNanoseconds()
            let own = end - start - min(end - start, witness.lateness(from: start, to: end))
            longest = (max(longest.whole, end - start), max(longest.own, own))
            figures["lookups", default: 0] += 1
            if own > 30_000_000 { figures["late", default: 0] += 1 }
            if end - start > 30_000_000, own <= 30_000_000 { figures["excused", default: 0] += 1 }
            bucket.lookups += 1
            if found == 48 { bucket.hits += 1 } else { bucket.faults += store.statistics.remote?.faults.count ?? 0 }
            if isLoad {
                let read = try space.loadGenerated(prompt(number), by: other)
                figures["loads", default: 0] += read.loaded.tokens > 0 ? 1 : 0
                figures["wrong", default: 0] += read.wrongBytes
            }
        } catch {
            figures["errors", default: 0] += 1
            say("error \(error)")
        }
        usleep(2000)
    }
    figures["longest_us"] = Int(longest.own / 1000)
    figures["longest_with_waits_us"] = Int(longest.whole / 1000)
    figures["fetched"] = Int(store.statistics.remote?.fetchedPages ?? 0)
    figures["damaged"] = Int(store.statistics.remote?.damagedPages ?? 0)
    witness.close()
    try store.close()
    try say(figures: figures)
}

/// Stores prompts that nobody has stored, for the remote to take.
func remotePut(_ folder: String, _ url: String, count: Int, seconds: Double) throws {
    let store = try Store(at: folder, options: options(url, lookupTime, .all))
    let model = try GeneratedModel("remote host")
    let space = try store.space(model.identity)
    var figures = ["inserted": 0, "errors": 0]
    try everyTenth(of: seconds, unless: folder + ".end") { now in
        let remote = store.statistics.remote
        say("put \(now) put \(remote?.putPages ?? 0) refused \(remote?.refusedPages ?? 0)")
    } body: {
        do {
            try space.insertGenerated(prompt(count + figures["inserted", default: 0]), by: model)
            try store.flush()
            figures["inserted", default: 0] += 1
        } catch {
            figures["errors", default: 0] += 1
            say("error \(error)")
        }
        usleep(20_000)
    }
    let isThere = try store.flushRemote(within: .seconds(20))
    figures["there"] = isThere ? 1 : 0
    figures["put"] = Int(store.statistics.remote?.putPages ?? 0)
    figures["refused"] = Int(store.statistics.remote?.refusedPages ?? 0)
    figures["dropped"] = Int(store.statistics.remote?.droppedPages ?? 0)
    try store.close()
    try say(figures: figures)
}

/// Runs `body` again and again for so many seconds, or until there is a file, and `line` every 100 ms, with the
/// monotonic clock.
private func everyTenth(
    of seconds: Double, unless end: String, line: (UInt64) -> Void, body: () throws -> Void
) throws {
    let began = SystemClock.monotonicNanoseconds()
    var next = began + 100_000_000
    while true {
        let now = SystemClock.monotonicNanoseconds()
        if now >= next {
            line(now)
            next = now + 100_000_000
            if FileManager.default.fileExists(atPath: end) { return }
        }
        if Double(now - began) / 1e9 > seconds { return }
        try body()
    }
}

private func say(figures: [String: Int]) throws {
    let line = try JSONSerialization.data(withJSONObject: figures, options: .sortedKeys)
    say("figures " + String(decoding: line, as: UTF8.self))
}

/// Uses a remote while nothing is open as 0, 1 or 2, and says whether one of them has become a connection.
func remoteDescriptors(_ folder: String, _ url: String) throws {
    let output = dup(STDOUT_FILENO)
    for descriptor in STDIN_FILENO...STDERR_FILENO { close(descriptor) }
    let store = try Store(at: folder, options: options(url, .seconds(2), .all))
    let model = try GeneratedModel("remote host")
    let space = try store.space(model.identity)
    try space.insertGenerated(prompt(0), by: model)
    try store.flush()
    let isThere = try store.flushRemote(within: .seconds(60))
    let open = (STDIN_FILENO...STDERR_FILENO).filter { fcntl($0, F_GETFD) >= 0 }
    try store.close()
    dup2(output, STDOUT_FILENO)
    say(isThere ? "open \(open)" : "the remote was not reached")
}
