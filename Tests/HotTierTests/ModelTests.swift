// The tier against a model: a dictionary from token ids to pages, and the eviction policy as a search over all of them.

import Glibc
import KVFormat
import Testing
import TestKit
import Threads

@testable import HotTier

/// One page of the model, under the token ids of its whole prefix.
private struct ModelPage {
    var use: PageUse
    var isStored: Bool
    var isSuperseded = false
    var pins = 0

    var time: Int64 { use.last + (isStored ? 0 : EvictionOrder.unstoredCredit) }
}

/// What the tier should hold: one space, `capacity` pages.
private struct Model {
    let capacity: Int
    let pageSize: Int
    var pages: [[TokenID]: ModelPage] = [:]

    func parent(_ path: [TokenID]) -> [TokenID] { Array(path.prefix((path.count - 1) / pageSize * pageSize)) }

    func successors(of path: [TokenID]) -> [[TokenID]] {
        pages.keys.filter { $0.count > path.count && parent($0) == path }
    }

    func longestCommonRun(_ tokens: [TokenID]) -> Int {
        pages.keys.map { path in
            let common = zip(path, tokens).prefix { $0 == $1 }.count
            return common > parent(path).count ? common : 0
        }.max() ?? 0
    }

    /// Whether a request for `tokens` that ends in the page at `path` goes another way than those before.
    func branches(_ tokens: [TokenID], at path: [TokenID]) -> Bool {
        let common = zip(path, tokens).prefix { $0 == $1 }.count
        return common < tokens.count && (common < path.count || !successors(of: path).isEmpty)
    }

    mutating func touch(_ path: [TokenID], now: Int64, branches: Bool) {
        guard var page = pages[path] else { return }
        page.use.keep(at: now)
        if branches { page.use.branch(1) }
        pages[path] = page
    }

    mutating func unpin(_ path: [TokenID]) {
        guard var page = pages[path] else { return }
        page.pins -= 1
        pages[path] = page.isSuperseded && page.pins == 0 ? nil : page
    }

    /// Evicts one page; false when nothing can go. Of each class the oldest is weighed by what the tier has learned.
    mutating func evict(sparing parent: [TokenID], now: Int64, _ history: UseHistory) -> Bool {
        let leaves = pages.filter { $0.value.pins == 0 && $0.key != parent && successors(of: $0.key).isEmpty }
        let oldest = Dictionary(grouping: leaves) { $0.value.use.useClass }.sorted { $0.key < $1.key }
            .compactMap { $0.value.min { $0.value.time < $1.value.time } }
        func worth(_ page: ModelPage) -> Double {
            history.worth(ofClass: page.use.useClass, age: max(0, now - page.time))
        }
        guard let victim = oldest.min(by: { worth($0.value) < worth($1.value) }) else { return false }
        pages[victim.key] = nil
        return true
    }

    mutating func insert(
        _ path: [TokenID], now: Int64, isStored: Bool, _ history: UseHistory
    ) -> InsertOutcome {
        let parent = parent(path)
        guard parent.isEmpty || pages[parent] != nil else { return .orphan }
        if successors(of: parent).contains(where: { $0.starts(with: path) }) {
            if isStored { pages[path]?.isStored = true }
            return .alreadyThere
        }
        while pages.count >= capacity { guard evict(sparing: parent, now: now, history) else { return .noRoom } }
        pages[path] = ModelPage(use: PageUse(last: now), isStored: isStored)
        // The longest tail that the new page covers; shorter ones were superseded by that one already.
        let covered = successors(of: parent).filter { $0 != path && path.starts(with: $0) }
        if let tail = covered.max(by: { $0.count < $1.count }) {
            if pages[tail]?.pins == 0 { pages[tail] = nil } else { pages[tail]?.isSuperseded = true }
        }
        return .inserted
    }
}

/// One run of random operations on the tier and the model.
private struct Run {
    let fixture: Fixture
    var model: Model
    var random: SplitMix64
    var now: Int64 = 1_700_000_000_000
    var leases: [(lease: Lease, path: [TokenID])] = []
    var pins: [(pin: SpillPin, path: [TokenID])] = []

    init(seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        let capacity = Int.random(in: 1...24, using: &random)
        fixture = try Fixture(pages: capacity)
        model = Model(capacity: capacity, pageSize: fixture.layout.pageSize)
    }

    /// A few ids and short sequences, so that prefixes are shared, tails meet longer pages and the tier is always full.
    private mutating func sequence() -> [TokenID] {
        let count = Int.random(in: 1...18, using: &random)
        return (0..<count).map { _ in Int.random(in: 0..<8, using: &random) == 0 ? 1 : 0 }
    }

    private func path(of hash: PrefixHash) -> [TokenID]? {
        model.pages.keys.first { fixture.hashes($0).last == hash }
    }

    mutating func step() -> [String] {
        now += Int64.random(in: 1...3_600_000, using: &random)
        var faults: [String] = []
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<7: faults += match(keeping: false)
        case 7..<8: faults += match(keeping: true)
        case 8..<15: faults += insert()
        case 15: if !leases.isEmpty { endLease() }
        case 16: retain()
        case 17: if !pins.isEmpty { endPin() }
        case 18: markStored()
        default: faults += remove()
        }
        faults += fixture.tier.checkInvariants()
        faults += compare()
        return faults
    }

    private mutating func match(keeping: Bool) -> [String] {
        var faults: [String] = []
        let tokens = sequence()
        let match = fixture.space.match(tokens, now: now)
        let sight = fixture.look(at: match, tokens)
        let expected = model.longestCommonRun(tokens)
        if sight.tokenCount != expected { faults.append("matched \(sight.tokenCount) tokens of \(expected)") }
        if !sight.wrongPages.isEmpty { faults.append("wrong bytes in pages \(sight.wrongPages)") }
        let branches = sight.hashes.last.flatMap { path(of: $0) }.map { model.branches(tokens, at: $0) } ?? false
        for (hash, isOnDisk) in zip(sight.hashes, sight.isOnDisk) {
            guard let path = path(of: hash) else { return faults + ["matched a page that should not be there"] }
            model.touch(path, now: now, branches: branches)
            if model.pages[path]?.isStored != isOnDisk { faults.append("a page is on disk: \(isOnDisk)") }
        }
        if keeping, let last = sight.hashes.last, let path = path(of: last) {
            model.pages[path]?.pins += 1
            leases.append((Lease(match), path))
        }
        return faults
    }

    private mutating func insert() -> [String] {
        let tokens = sequence()
        let isStored = Bool.random(using: &random)
        var faults: [String] = []
        for page in 0..<(tokens.count + 3) / 4 {
            now += 1000
            let path = Array(tokens.prefix(4 * (page + 1)))
            var history = fixture.tier.state.withLock { $0.history }
            history.learn()
            let expected = model.insert(path, now: now, isStored: isStored, history)
            let outcome = fixture.insert(tokens, page: page, now: now, isStored: isStored)
            if outcome != expected { faults.append("insert: \(outcome), not \(expected)") }
            if outcome == .alreadyThere { learnUses() }
        }
        return faults
    }

    /// Which of several longer pages counts as used when a tail is there already is the tier's choice; the model
    /// follows.
    private mutating func learnUses() {
        for path in model.pages.keys {
            guard let hash = fixture.hashes(path).last else { continue }
            fixture.tier.state.withLock { state in
                let node = state.tree.page(hash)
                if node != RadixNode.none { model.pages[path]?.use = state.tree.nodes[Int(node)].use }
            }
        }
    }

    private mutating func endLease() {
        let ended = leases.remove(at: Int.random(in: 0..<leases.count, using: &random))
        model.unpin(ended.path)
    }

    private mutating func retain() {
        guard let path = anyPath(), let hash = fixture.hashes(path).last else { return }
        guard let pin = fixture.tier.retain(hash) else { return }
        model.pages[path]?.pins += 1
        pins.append((pin, path))
    }

    private mutating func endPin() {
        let ended = pins.remove(at: Int.random(in: 0..<pins.count, using: &random))
        model.unpin(ended.path)
    }

    private mutating func markStored() {
        guard let path = anyPath(), let hash = fixture.hashes(path).last else { return }
        fixture.markStored(hash)
        model.pages[path]?.isStored = true
    }

    private mutating func remove() -> [String] {
        guard let path = anyPath(), let hash = fixture.hashes(path).last else { return [] }
        let pinned = model.pages.filter { $0.value.pins > 0 }.map(\.key)
        let isWhole = path.count % model.pageSize == 0
        let gone = model.pages.keys.filter { page in
            let isBehind = page == path || (isWhole && page.starts(with: path))
            let isKept = pinned.contains { pinned in
                pinned == page || (page.count % model.pageSize == 0 && pinned.starts(with: page))
            }
            return isBehind && !isKept
        }
        for page in gone { model.pages[page] = nil }
        let removed = fixture.tier.remove(hash)
        return removed == gone.count ? [] : ["removed \(removed) pages, not \(gone.count)"]
    }

    private mutating func anyPath() -> [TokenID]? {
        let paths = model.pages.keys.sorted { $0.lexicographicallyPrecedes($1) }
        return paths.randomElement(using: &random)
    }

    private func compare() -> [String] {
        let numbers = fixture.tier.statistics
        var faults: [String] = []
        if numbers.pages != model.pages.count { faults.append("\(numbers.pages) pages, not \(model.pages.count)") }
        for path in model.pages.keys {
            guard let hash = fixture.hashes(path).last, fixture.tier.holds(hash) else {
                faults.append("a page of \(path.count) tokens is missing")
                continue
            }
        }
        if numbers.dirtyPages != model.pages.values.count(where: { !$0.isStored }) {
            faults.append("\(numbers.dirtyPages) dirty pages")
        }
        if numbers.pinnedPages != model.pages.values.count(where: { $0.pins > 0 }) {
            faults.append("\(numbers.pinnedPages) pinned pages")
        }
        return faults
    }
}

@Suite("The tier and its model")
struct ModelTests {
    static let seeds = TestSeed.each(40, "hot tier")

    @Test("agree after every operation", arguments: seeds)
    func agree(seed: UInt64) throws {
        var run = try Run(seed: seed)
        for step in 0..<250 {
            let faults = run.step()
            guard faults.isEmpty else {
                Issue.record("seed \(seed), step \(step): \(faults.joined(separator: "; "))")
                return
            }
        }
        run.leases = []
        run.pins = []
        #expect(run.fixture.tier.statistics.pinnedPages == 0, "seed \(seed)")
        #expect(run.fixture.tier.checkInvariants() == [], "seed \(seed)")
    }
}
