// A trace: the pages that requests touch, as a forest, and the requests in the order of time.

/// Tokens of a page, whatever the model.
let pageSize = 64

/// What a page costs, to keep and to make again.
struct ModelCost {
    let name: String
    /// Bytes of keys and values of one token.
    let bytesPerToken: Int
    /// Seconds to prefill a token at the start of a sequence.
    let secondsPerToken: Double
    /// The position at which attention has doubled that.
    let doublingPosition: Double

    var pageBytes: Int { bytesPerToken * pageSize }

    /// Seconds to prefill the page at `index` of a sequence.
    func seconds(ofPage index: Int) -> Double {
        let middle = (Double(index) + 0.5) * Double(pageSize)
        return secondsPerToken * (1 + middle / doublingPosition) * Double(pageSize)
    }
}

extension ModelCost {
    /// A model of 8 billion parameters (32 layers of 4,096, 8 KV heads of 128, 16 bits): 128 KiB and 16 GFLOP per
    /// token, at 5,000 tokens per second; attention does as much at position 30,000.
    static let large = large(tokensPerSecond: 5000)

    /// The same on another machine.
    static func large(tokensPerSecond: Double) -> ModelCost {
        ModelCost(name: "8B", bytesPerToken: 131_072, secondsPerToken: 1 / tokensPerSecond, doublingPosition: 30_000)
    }

    /// A model of 1.2 billion parameters (16 layers of 2,048, 8 KV heads of 64, 16 bits): 32 KiB per token, 25,000
    /// tokens per second on the same machine.
    static let small = ModelCost(
        name: "1B", bytesPerToken: 32_768, secondsPerToken: 1 / 25_000, doublingPosition: 19_000)
}

/// One request: it looks for the pages of its prompt, and leaves the pages of prompt and answer behind.
struct Request {
    /// Milliseconds since the Unix epoch.
    let time: Int64
    /// Pages of the prompt.
    let promptPages: Int
    /// The last page of prompt and answer; -1 when both are shorter than a page.
    let leaf: Int32
}

/// Pages and requests. A page is a number; its parent is the page before it in its sequences, -1 for the first.
struct Trace {
    /// When traces begin.
    static let start: Int64 = 1_790_000_000_000

    private(set) var parents: [Int32] = []
    private(set) var depths: [Int32] = []
    private(set) var models: [UInt8] = []
    let costs: [ModelCost]
    private(set) var requests: [Request] = []

    init(costs: [ModelCost]) { self.costs = costs }

    var pageCount: Int { parents.count }

    func bytes(of page: Int32) -> Int { costs[Int(models[Int(page)])].pageBytes }

    func seconds(of page: Int32) -> Double { costs[Int(models[Int(page)])].seconds(ofPage: Int(depths[Int(page)])) }

    /// Bytes of all pages that are ever touched.
    var footprint: Int { models.reduce(0) { $0 + costs[Int($1)].pageBytes } }

    /// The pages from the first to `leaf`.
    func path(to leaf: Int32) -> [Int32] {
        var path: [Int32] = []
        var page = leaf
        while page >= 0 {
            path.append(page)
            page = parents[Int(page)]
        }
        path.reverse()
        return path
    }

    mutating func addPage(after parent: Int32, model: Int) -> Int32 {
        parents.append(parent)
        depths.append(parent < 0 ? 0 : depths[Int(parent)] + 1)
        models.append(UInt8(model))
        return Int32(parents.count - 1)
    }

    mutating func add(_ request: Request) { requests.append(request) }

    /// Brings the requests into the order of time, those after `hours` cut off, and forgets the pages that no one
    /// touches.
    mutating func finish(hours: Double) {
        let end = Self.start + Int64(hours * 3_600_000)
        let kept = requests.enumerated().filter { $0.element.time < end && $0.element.leaf >= 0 }
            .sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
        var isTouched = [Bool](repeating: false, count: pageCount)
        for request in kept {
            var page = request.element.leaf
            while page >= 0, !isTouched[Int(page)] {
                isTouched[Int(page)] = true
                page = parents[Int(page)]
            }
        }
        let old = self
        self = Trace(costs: old.costs)
        var names = [Int32](repeating: -1, count: old.pageCount)
        for page in 0..<old.pageCount where isTouched[page] {
            let parent = old.parents[page]
            names[page] = addPage(after: parent < 0 ? -1 : names[Int(parent)], model: Int(old.models[page]))
        }
        requests = kept.map {
            Request(
                time: $0.element.time, promptPages: $0.element.promptPages, leaf: names[Int($0.element.leaf)])
        }
    }
}

/// The end of a sequence that grows: its last whole page and the tokens after it. Copies are branches.
struct Sequence {
    let model: Int
    private(set) var leaf: Int32 = -1
    private(set) var tokens = 0

    init(model: Int) { self.model = model }

    var wholePages: Int { tokens / pageSize }

    /// Adds tokens that no other sequence has at this place.
    mutating func append(_ count: Int, to trace: inout Trace) {
        let pages = (tokens + count) / pageSize - wholePages
        for _ in 0..<pages { leaf = trace.addPage(after: leaf, model: model) }
        tokens += count
    }

    /// A request at `time` (seconds from the start) whose prompt is this sequence, answered with `answer` tokens; the
    /// sequence goes on with the answer.
    mutating func ask(at time: Double, answer: Int, in trace: inout Trace) {
        let prompt = wholePages
        append(answer, to: &trace)
        trace.add(Request(time: Trace.start + Int64(time * 1000), promptPages: prompt, leaf: leaf))
    }
}
