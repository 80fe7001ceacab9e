// tools/bench/eviction: what the store's eviction policy saves, beside others and beside what could be saved.

internal import Foundation

private let usage = """
    usage: tools/bench/eviction [options]

      --seeds N        seeds per kind of trace (default 5); figures are medians
      --seed N         the first of them (default 101: 1 to 5 were looked at when the policy was chosen)
      --kinds A,B      of chat, agent, batch, few-shot (default all)
      --quotas A,B     percent of the footprint (default 1,5,20,50)
      --trace FILE     a recorded trace in Mooncake's form, instead of the generated ones
      --sharegpt FILE  ShareGPT's conversations, instead of the generated traces; see Traces/ShareGPTTrace.swift
      --prefill RATE   tokens per second at the start of a prompt, for recorded traces (default 5000)
      --store FOLDER   also runs the traces through a real store below this folder, such as /dev/shm: "the store itself"
      --amounts        also prints tokens, seconds and bytes, of the first seed
      --json           for programs
      --plot FILE      also draws an SVG

    Deterministic: the same options give the same figures on every machine.
    """

private struct Options {
    var seeds = 5
    var firstSeed: UInt64 = 101
    var kinds = ["chat", "agent", "batch", "few-shot"]
    var quotas = [1.0, 5, 20, 50]
    var recorded: String?
    var shareGPT: String?
    var prefill = 5000.0
    var folder: String?
    var hasAmounts = false
    var isJSON = false
    var plotFile: String?

    init?(_ arguments: [String]) {
        var rest = arguments[...]
        while let option = rest.popFirst() {
            if option == "--json" {
                isJSON = true
                continue
            }
            if option == "--amounts" {
                hasAmounts = true
                continue
            }
            guard let value = rest.popFirst() else { return nil }
            let parts = value.split(separator: ",").map(String.init)
            switch option {
            case "--seeds":
                guard let count = Int(value), count > 0 else { return nil }
                seeds = count
            case "--seed":
                guard let first = UInt64(value), first < 1 << 32 else { return nil }
                firstSeed = first
            case "--kinds":
                guard !parts.isEmpty, parts.allSatisfy({ generator($0) != nil }) else { return nil }
                kinds = parts
            case "--quotas":
                quotas = parts.compactMap(Double.init)
                guard !quotas.isEmpty, quotas.count == parts.count, quotas.allSatisfy({ $0 > 0 && $0 <= 100 }) else {
                    return nil
                }
            case "--trace": recorded = value
            case "--sharegpt": shareGPT = value
            case "--store": folder = value
            case "--prefill":
                guard let rate = Double(value), rate > 0 else { return nil }
                prefill = rate
            case "--plot": plotFile = value
            default: return nil
            }
        }
    }
}

private func generator(_ kind: String) -> ((UInt64) -> Trace)? {
    switch kind {
    case "chat": ChatTrace.make
    case "agent": AgentTrace.make
    case "batch": BatchTrace.make
    case "few-shot": FewShotTrace.make
    default: nil
    }
}

private func studies(_ options: Options) throws -> [Study] {
    let cost = ModelCost.large(tokensPerSecond: options.prefill)
    let seeds = options.firstSeed..<options.firstSeed + UInt64(options.seeds)
    func study(_ name: String, _ traces: [() throws -> Trace]) throws -> Study {
        try Study(of: name, quotas: options.quotas, folder: options.folder, traces: traces)
    }
    if let file = options.recorded { return [try study("recorded", [{ try RecordedTrace.read(file, cost: cost) }])] }
    if let file = options.shareGPT {
        return [try study("ShareGPT", seeds.map { seed in { try ShareGPTTrace.read(file, seed: seed, cost: cost) } })]
    }
    return try options.kinds.map { kind in
        let make = generator(kind) ?? ChatTrace.make
        return try study(kind, seeds.map { seed in { make(seed) } })
    }
}

@main
enum EvictionBench {
    static func main() throws {
        guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
            FileHandle.standardError.write(Data((usage + "\n").utf8))
            exit(2)
        }
        let studies = try studies(options)
        if let file = options.plotFile {
            try Data(plot(studies, quotas: options.quotas).utf8).write(to: URL(fileURLWithPath: file))
        }
        if options.isJSON {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(studies), as: UTF8.self))
        } else {
            print("Share of all prefill seconds that was saved; in brackets over LRU's and over the optimum's.\n")
            for study in studies {
                print(study.table(quotas: options.quotas))
                if options.hasAmounts { print(study.amounts(quotas: options.quotas)) }
            }
            print(verdict(studies, quotas: options.quotas))
        }
    }
}
