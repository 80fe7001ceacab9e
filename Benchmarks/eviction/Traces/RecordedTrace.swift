// A recorded trace in the form that Mooncake published (and others use since): one JSON object per line, with
// `timestamp` in milliseconds, `input_length`, `output_length` and `hash_ids`, one number per block of 512 tokens
// of the prompt that stands for the block and everything before it. Answers are not in `hash_ids` and so leave no
// pages; the last block, which has another number in each turn of a conversation unless it is full, counts only when it
// is full.

internal import Foundation

enum RecordedTrace {
    /// Tokens that one of the numbers stands for.
    static let blockTokens = 512

    private struct Line: Decodable {
        var timestamp: Double
        var inputLength: Int
        var hashIDs: [Int]

        enum CodingKeys: String, CodingKey {
            case timestamp
            case inputLength = "input_length"
            case hashIDs = "hash_ids"
        }
    }

    static func read(_ path: String, cost: ModelCost) throws -> Trace {
        let text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
        let decoder = JSONDecoder()
        let lines = try text.split(separator: "\n").map { try decoder.decode(Line.self, from: Data($0.utf8)) }
        var trace = Trace(costs: [cost])
        var pages: [[Int32]: Int32] = [:]
        for line in lines {
            var leaf: Int32 = -1
            let blocks = line.hashIDs.prefix(line.inputLength / blockTokens)
            for block in blocks {
                // The same number after another parent would be another page.
                for part in 0..<Int32(blockTokens / pageSize) {
                    let name = [leaf, Int32(truncatingIfNeeded: block), part]
                    let page = pages[name] ?? trace.addPage(after: leaf, model: 0)
                    pages[name] = page
                    leaf = page
                }
            }
            trace.add(
                Request(
                    time: Trace.start + Int64(line.timestamp),
                    promptPages: blocks.count * blockTokens / pageSize, leaf: leaf))
        }
        trace.finish(hours: 24 * 365)
        return trace
    }
}
