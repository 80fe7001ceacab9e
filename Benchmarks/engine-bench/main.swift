// engine-bench: how fast the engine computes a prompt, beside the same matrix products done as plain sgemm calls; or
// with a store, beside itself without one: what spilling costs a prefill, and how long the first token takes from RAM
// and after a restart. Prints one JSON object; `engine-bench --help` lists the options.

import ArgumentParser
import Foundation
import LlamaEngine

let arguments = Arguments.parseOrExit()
if arguments.store == nil { OpenBLAS.reopenWithKernelsForThisCPU() }
let folder = try arguments.model ?? RandomCheckpoint.write(arguments.size)
defer { if arguments.model == nil { try? FileManager.default.removeItem(atPath: folder) } }

let checkpoint = try Checkpoint(folder: folder)
let report: [String: Any]
if let store = arguments.store {
    report = try StoreBench(checkpoint, arguments, parent: store).run()
} else {
    report = try prefillReport(checkpoint, arguments)
}
let json = try JSONSerialization.data(withJSONObject: report, options: [.prettyPrinted, .sortedKeys])
print(String(decoding: json, as: UTF8.self))
