// The command line of engine-bench.

import Foundation
import KVFormat
import PrefixStore

/// What was asked for; the program ends where it does not understand that.
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
        var words = words.dropFirst()
        while let name = words.popFirst() {
            guard let value = words.popFirst() else { Self.stop("\(name) takes a value") }
            switch name {
            case "--model": model = value
            case "--tokens": tokens = Self.read(name, value) { Int($0) }
            case "--rounds": rounds = Self.read(name, value) { Int($0) }
            case "--threads": threads = Self.read(name, value) { Int($0) }
            case "--kv": kvElement = Self.read(name, value) { word in KVElement.allCases.first { "\($0)" == word } }
            case "--store": store = value
            case "--size": size = Self.read(name, value) { RandomCheckpoint.Size(rawValue: $0) }
            case "--codec": codec = Self.read(name, value) { StoreCodec(rawValue: $0) }
            default: Self.stop("unknown option \(name)")
            }
        }
        if min(tokens, rounds, threads) < 1 { Self.stop("numbers are 1 or more") }
    }

    private static func read<Value>(_ name: String, _ text: String, _ parse: (String) -> Value?) -> Value {
        guard let value = parse(text) else { stop("\(name) does not take \(text)") }
        return value
    }

    /// Ends the program: a figure of something else than was asked for is worth nothing.
    private static func stop(_ reason: String) -> Never {
        FileHandle.standardError.write(Data("engine-bench: \(reason)\n".utf8))
        exit(2)
    }
}
