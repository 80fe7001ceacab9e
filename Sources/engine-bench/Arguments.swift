// The command line of engine-bench.

import KVFormat
import PrefixStore

/// What was asked for; anything not understood keeps its default.
struct Arguments {
    var model: String?
    var tokens = 1900
    var rounds = 7
    var threads = 2
    var kvElement: KVElement?
    /// A folder for stores: what the store costs and gains is measured, not the engine alone.
    var store: String?
    var size = RandomCheckpoint.Size.small
    var codec = StoreCodec.auto

    init(_ words: [String]) {
        for (name, value) in zip(words.dropFirst(), words.dropFirst(2)) {
            switch name {
            case "--model": model = value
            case "--tokens": tokens = max(1, Int(value) ?? tokens)
            case "--rounds": rounds = max(1, Int(value) ?? rounds)
            case "--threads": threads = max(1, Int(value) ?? threads)
            case "--kv": kvElement = KVElement.allCases.first { $0.description == value }
            case "--store": store = value
            case "--size": size = RandomCheckpoint.Size(rawValue: value) ?? size
            case "--codec": codec = StoreCodec(rawValue: value) ?? codec
            default: break
            }
        }
    }
}
