// The command line of engine-bench.

public import ArgumentParser
public import KVFormat
import PrefixStore

/// What was asked for.
struct Arguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine-bench",
        abstract: "Measure how fast the engine computes a prompt, or what a store costs and gains it.")

    @Option(help: "A checkpoint's folder; without one it is made with random weights.") var model: String?
    @Option(help: "Of the model with random weights: small (hidden 256, 6 layers) or large (hidden 512, 8 layers).")
    var size = RandomCheckpoint.Size.small
    @Option(help: "Tokens of the prompt.") var tokens = 1900
    @Option(help: "Figures are medians of so many rounds.") var rounds = 7
    @Option var threads = 2
    @Option(help: "The element type of the KV.") var kv: KVElement?
    @Option(help: "A folder for stores: measures what a store costs and gains, not the engine alone.") var store:
        String?
    @Option(help: "A remote, such as redis://127.0.0.1:6379: measures what it costs beside a store without one.")
    var remote: String?
    @Option(help: "The store's codec.") var codec = StoreCodec.auto

    func validate() throws {
        if min(tokens, rounds, threads) < 1 { throw ValidationError("Numbers are 1 or more.") }
        if remote != nil, store == nil { throw ValidationError("--remote needs --store.") }
    }
}

extension StoreCodec: ExpressibleByArgument {}

extension RandomCheckpoint.Size: ExpressibleByArgument {}

// By name: the numbers are the format's.
extension KVElement: ExpressibleByArgument {
    /// The names, for the help.
    public static var allValueStrings: [String] { allCases.map(\.description) }

    /// Reads `bf16`.
    public init?(argument: String) { self.init(argument) }
}
