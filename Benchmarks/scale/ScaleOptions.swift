// What the command line says.

internal import Foundation
internal import PrefixStore

/// How large the store is, and how long the run.
struct ScaleOptions {
    static let usage = """
        usage: tools/bench/scale [--folder DIR] [--quota SIZE] [--churn N] [--hot SIZE] [--processes N] [--reads N]

          --folder DIR     where to make the store; it is removed at the end (default: the working folder)
          --quota SIZE     quota of the store (default 50GB); the disk needs a tenth more
          --churn N        how often the whole quota is written again after it was reached (default 3)
          --hot SIZE       capacity of the hot tier of each process (default 512MiB)
          --processes N    processes that put and read at once (default 1)
          --reads N        look-ups and loads in each portion of the churn, and half as many while pages are put
                           (default 400)

        Prints a table as docs/performance.md has it.
        """

    /// The store's folder.
    var path = ""
    var quota = ByteCount(50_000_000_000)
    var hotCapacity = ByteCount.mebibytes(512)
    var churn = 3
    var processes = 1
    var reads = 400
    /// The number of this process, when it is one that the first process has started.
    var worker: Int?

    /// Nil for arguments that make no sense.
    init?(_ arguments: [String]) {
        var folder = FileManager.default.currentDirectoryPath
        var rest = arguments[...]
        while let option = rest.popFirst() {
            guard let value = rest.popFirst() else { return nil }
            switch option {
            case "--folder": folder = value
            case "--path": path = value
            case "--quota": guard let size = ByteCount(parsing: value) else { return nil }; quota = size
            case "--hot": guard let size = ByteCount(parsing: value) else { return nil }; hotCapacity = size
            case "--churn": guard let number = Int(value), number >= 0 else { return nil }; churn = number
            case "--processes": guard let number = Int(value), number > 0 else { return nil }; processes = number
            case "--reads": guard let number = Int(value), number > 0 else { return nil }; reads = number
            case "--worker": worker = Int(value)
            default: return nil
            }
        }
        if path.isEmpty { path = "\(folder)/scale-\(getpid())" }
    }

    /// The arguments of a process that the first one starts.
    func arguments(ofWorker number: Int) -> [String] {
        [
            "--path", path, "--quota", "\(quota.value)B", "--hot", "\(hotCapacity.value)B", "--churn", "\(churn)",
            "--processes", "\(processes)", "--reads", "\(reads)", "--worker", "\(number)",
        ]
    }

    /// Encoded bytes that each process writes in all, and in each portion but the first: that has 1 GiB at most.
    var bytesPerWorker: Int { Int(quota.value) * (1 + churn) / processes }
    var portionBytes: Int { Int(quota.value) / 4 / processes }

    /// Sequences that a process reads: those that are half of its part of the quota.
    var recentSequences: Int { Int(quota.value) / 2 / processes * 7 / 5 / Traffic.sequenceBytes }
}
