// What libFuzzer calls. `tools/fuzz` builds and starts it.
//
// Variables: PFX_FUZZ_TARGET is the target's name. PFX_FUZZ_SEEDS is a folder: the target's seeds are written into it
// and the process ends. PFX_FUZZ_BROKEN=1 runs the broken twin. PFX_FUZZ_LIST=1 lists the targets.

import Glibc

/// The chosen target, and whether its broken twin runs.
private let chosen: (target: FuzzTarget, isBroken: Bool) = {
    guard let target = FuzzTarget.all.first(where: { $0.name == variable("PFX_FUZZ_TARGET") }) else {
        complain("PFX_FUZZ_TARGET is none of: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
        exit(2)
    }
    return (target, variable("PFX_FUZZ_BROKEN") == "1")
}()

/// Says a line on standard error.
func complain(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
}

private func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

/// Called once, before the first input.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<Int32>?, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
    if variable("PFX_FUZZ_LIST") != nil {
        for target in FuzzTarget.all { print("\(target.name)\t\(target.longest)\t\(target.subject)") }
        exit(0)
    }
    if let folder = variable("PFX_FUZZ_SEEDS") { exit(writeSeeds(to: folder) ? 0 : 1) }
    return 0
}

/// Called with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func runOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // A copy of exactly this size, so that the sanitizer sees what is read behind its end.
    let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    var input = FuzzInput(bytes, isBroken: chosen.isBroken)
    chosen.target.run(&input)
    return 0
}

private func writeSeeds(to folder: String) -> Bool {
    do {
        for (index, seed) in try chosen.target.seeds().enumerated() {
            precondition(seed.count <= chosen.target.longest, "seed \(index) is longer than inputs may be")
            try Scratch.write(seed, to: "\(folder)/seed-\(index)")
        }
        return true
    } catch {
        complain("the seeds of \(chosen.target.name): \(error)")
        return false
    }
}
