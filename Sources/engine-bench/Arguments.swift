// The command line of engine-bench.

import KVFormat

/// What was asked for; anything not understood keeps its default.
struct Arguments {
    var model: String?
    var tokens = 1900
    var rounds = 7
    var threads = 2
    var kvElement: KVElement?

    init(_ words: [String]) {
        for (name, value) in zip(words.dropFirst(), words.dropFirst(2)) {
            switch name {
            case "--model": model = value
            case "--tokens": tokens = max(1, Int(value) ?? tokens)
            case "--rounds": rounds = max(1, Int(value) ?? rounds)
            case "--threads": threads = max(1, Int(value) ?? threads)
            case "--kv": kvElement = KVElement.allCases.first { $0.description == value }
            default: break
            }
        }
    }
}
