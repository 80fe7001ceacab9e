// A host of tools/remote/test: one folder, and a remote that is disturbed meanwhile.
//   store-worker remote-fill FOLDER URL COUNT             store prompts and wait until the remote has them
//   store-worker remote-look FOLDER URL COUNT SECONDS     look up and load them; a line every 100 ms, then figures
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

/// Microseconds for which this thread was ready to run and the system had no core for it.
private func waitedForCore() -> Int {
    let text = (try? String(contentsOfFile: "/proc/thread-self/schedstat", encoding: .utf8)) ?? ""
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) / 1000 : 0
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
    var generator = SystemRandomNumberGenerator()
    var figures = ["lookups": 0, "loads": 0, "wrong": 0, "errors": 0, "late": 0, "longest_us": 0]
    let began = SystemClock.monotonicNanoseconds()
    var bucket = (number: 0, lookups: 0, hits: 0)
    while true {
        let now = SystemClock.monotonicNanoseconds()
        let elapsed = Double(now - began) / 1e9
        if Int(elapsed * 10) > bucket.number {
            say("at \(bucket.number) lookups \(bucket.lookups) hits \(bucket.hits)")
            bucket = (Int(elapsed * 10), 0, 0)
        }
        if elapsed > seconds { break }
        do {
            let isLoad = figures["lookups", default: 0] % 10 == 9
            let number = Int.random(in: 0..<count / 2, using: &generator) + (isLoad ? count / 2 : 0)
            let waited = waitedForCore()
            let start = SystemClock.monotonicNanoseconds()
            let found = try space.match(prompt(number)).tokenCount
            let whole = Int(SystemClock.monotonicNanoseconds() - start) / 1000
            // A busy machine lets any thread wait; that says nothing about the look-up.
            let taken = whole - (waitedForCore() - waited)
            figures["longest_with_waits_us"] = max(figures["longest_with_waits_us", default: 0], whole)
            figures["lookups", default: 0] += 1
            figures["longest_us"] = max(figures["longest_us", default: 0], taken)
            if taken > 30_000 { figures["late", default: 0] += 1 }
            bucket.lookups += 1
            if found == 48 { bucket.hits += 1 }
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
    figures["fetched"] = Int(store.statistics.remote?.fetchedPages ?? 0)
    figures["damaged"] = Int(store.statistics.remote?.damagedPages ?? 0)
    try store.close()
    let line = try JSONSerialization.data(withJSONObject: figures, options: .sortedKeys)
    say("figures " + String(decoding: line, as: UTF8.self))
}
