// The parts of `tools/torture`. Each prints what came out, and one line of JSON with its figures at the end:
//   store-worker powercut SEED COUNT SECONDS [broken]   images of stores after power cuts
//   store-worker kills SEED COUNT SECONDS [broken]      processes that are killed
//   store-worker faults SEED PART SECONDS [broken]      every call of the system fails; one of PART of them
//   store-worker histories SEED COUNT SECONDS [broken]  COUNT seconds of processes whose notes are checked
//   store-worker history FOLDER SECONDS SEED INDEX FILE one of those processes
//   store-worker damage SEED COUNT [SECONDS]            stores with a damaged page
//   store-worker disks SEED COUNT SECONDS [broken]      file systems that are full; COUNT kills on each. Start it
//                                                       in a mount namespace of its own
//   store-worker containers SEED COUNT SECONDS [broken] COUNT seconds of four containers over one store
// SECONDS is when to end at the latest. `broken` runs the broken twin, which must be found out: then the status is 1.

import Foundation
import StoreTestKit
import TestKit
import Torture

/// What a part of the torture came to.
struct Outcome {
    var isGood: Bool
    var text: String
    /// What goes into the ledger.
    var figures: [String: Int]
}

/// Runs a part; nil when the arguments name none.
func torture(_ arguments: [String]) throws -> Int32? {
    guard let part = arguments.first else { return nil }
    if part == "history", arguments.count == 6 {
        var history = History(seed: UInt64(arguments[3]) ?? 0, process: Int(arguments[4]) ?? 0, remembers: lies)
        try history.run(arguments[1], seconds: Double(arguments[2]) ?? 1).write(to: URL(fileURLWithPath: arguments[5]))
        return 0
    }
    guard arguments.count >= 3, let seed = UInt64(arguments[1]), let count = Int(arguments[2]) else { return nil }
    let isBroken = arguments.last == "broken"
    let end = arguments.count > 3 ? Double(arguments[3]).map { Date().addingTimeInterval($0) } : nil
    guard let outcome = try run(part, seed, count, end ?? .distantFuture, isBroken) else { return nil }
    say(outcome.text)
    let figures = try JSONSerialization.data(withJSONObject: outcome.figures, options: .sortedKeys)
    say("figures " + String(decoding: figures, as: UTF8.self))
    return outcome.isGood ? 0 : 1
}

private func run(_ part: String, _ seed: UInt64, _ count: Int, _ end: Date, _ isBroken: Bool) throws -> Outcome? {
    let worker = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    switch part {
    case "powercut":
        let tally = try PowerCutRun(seed: seed, honoursSync: !isBroken).run(count: count, until: end)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "images": tally.images, "flushed_tokens": tally.flushed, "lost": tally.lost, "wrong": tally.wrongBytes,
                "unusable": tally.unusable.count,
            ])
    case "kills":
        let tally = try KillRun(seed: seed, worker: worker, lies: isBroken).run(count: count, until: end)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "kills": tally.count, "flushed_tokens": tally.flushed, "lost": tally.lost, "wrong": tally.wrongBytes,
                "unusable": tally.unusable.count,
            ])
    case "faults":
        let tally = try FaultRun(seed: seed, lies: isBroken).run(part: max(1, count), until: end)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "workloads": tally.workloads, "failed_calls": tally.failures, "lost": tally.lost,
                "wrong": tally.wrongBytes, "broken": tally.broken.count,
            ])
    case "histories":
        let tally = try HistoryRun(seed: seed, worker: worker, keepsRemoved: isBroken).run(seconds: Double(count))
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "events": tally.events.values.reduce(0, +), "wrong": tally.wrong, "stale": tally.stale,
                "missing": tally.missing, "broken": tally.broken.count, "seconds": count,
            ])
    case "damage":
        let tally = try DamageRun(seed: seed, worker: worker, dies: isBroken).run(count: count, until: end)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "stores": tally.stores, "flips": tally.flips, "processes": tally.processes, "wrong": tally.wrongBytes,
                "ended": tally.ended.count, "unusable": tally.unusable.count, "late": tally.late.count,
                "lost_to_damage": tally.lost,
            ])
    case "disks":
        let tally = try DiskRun(seed: seed, worker: worker, lies: isBroken).run(count: count, until: end)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "file_systems": tally.kinds.count, "kills": tally.kills, "full": tally.full, "flushes": tally.flushes,
                "lost": tally.lost, "wrong": tally.wrongBytes, "broken": tally.broken.count,
            ])
    case "containers":
        let folder = try TemporaryFolder()
        let tally = try ContainerRun(worker: worker, lies: isBroken)
            .run(folder.path("store"), seconds: count, seed: seed)
        return Outcome(
            isGood: tally.isGood, text: tally.text,
            figures: [
                "rounds": tally.rounds, "wrong": tally.wrongBytes, "errors": tally.faults.count, "seconds": count,
            ])
    default: return nil
    }
}
