// Threads that match, insert, evict, spill and remove at once. Thread Sanitizer runs these.

import KVFormat
import Synchronization
import Testing
import TestKit
import Threads

@testable import HotTier

/// A spill thread's queue.
private final class Queue: Sendable {
    private struct State {
        var pins: [SpillPin] = []
        var isClosed = false
    }

    private let state = Guarded(State())

    /// Takes a pin over unless the queue is full.
    func offer(_ pin: SpillPin) -> Bool {
        let isTaken = state.withLock { state in
            guard state.pins.count < 8 else { return false }
            state.pins.append(pin)
            return true
        }
        if isTaken { state.signal() }
        return isTaken
    }

    func close() {
        state.withLock { $0.isClosed = true }
        state.broadcast()
    }

    /// The next pin; nil when the queue is closed and empty.
    func next() -> SpillPin? {
        state.withLock(when: { !$0.pins.isEmpty || $0.isClosed }) { $0.pins.popLast() }
    }
}

@Suite("Threads", .serialized)
struct ThreadTests {
    /// Sequences that share prefixes: 4 beginnings, each with some continuations of different lengths.
    private func sequence(_ random: inout SplitMix64) -> [TokenID] {
        let count = Int.random(in: 1...30, using: &random)
        let (start, turn) = (TokenID.random(in: 0..<4, using: &random), TokenID.random(in: 0..<3, using: &random))
        return (0..<count).map { $0 < 10 ? start : turn + TokenID($0) }
    }

    @Test("that use one tier never see wrong bytes, a passed budget or a pin left behind", arguments: [3, 12, 40])
    func hammer(pages: Int) throws {
        let queue = Queue()
        let fixture = try Fixture(pages: pages) { queue.offer($0) }
        let counters = Counters()
        let spiller = try Thread {
            while let pin = queue.next() {
                let isRight = pin.name.isSound && pin.name.hash == pin.hash
                if !isRight || fixture.bytes(of: pin).isEmpty { counters.addWrong() }
                pin.markStored()
                counters.addSpilled()
            }
        }
        let workers = try (0..<4).map { worker in
            try Thread { work(fixture, SplitMix64(seed: UInt64(worker)), counters) }
        }
        for worker in workers { worker.join() }
        queue.close()
        spiller.join()
        #expect(counters.wrong == 0)
        #expect(counters.overBudget == 0)
        #expect(counters.spilled == fixture.tier.statistics.handedOver)
        #expect(fixture.tier.statistics.pinnedPages == 0)
        #expect(fixture.tier.checkInvariants() == [])
        fixture.tier.removeAll()
        #expect(fixture.tier.statistics.pages == 0)
        #expect(fixture.tier.statistics.usedBytes == .zero)
        #expect(fixture.tier.checkInvariants() == [])
    }

    private func work(_ fixture: Fixture, _ seeded: SplitMix64, _ counters: Counters) {
        var random = seeded
        for now in 0..<400 {
            let tokens = sequence(&random)
            let match = fixture.space.match(tokens, now: Int64(now) * 1_000)
            let first = match.tokenCount / 4
            fixture.insert(tokens, from: first, now: Int64(now) * 1_000, isStored: now % 2 == 0)
            if !fixture.wrongPages(in: match, tokens).isEmpty { counters.addWrong() }
            let numbers = fixture.tier.statistics
            if numbers.residentBytes > numbers.capacity { counters.addOverBudget() }
            if now % 37 == 0, let hash = fixture.hashes(tokens).first { fixture.tier.remove(hash) }
            if now % 41 == 0 {
                for pin in fixture.tier.dirtyPages(limit: 3) { pin.markStored() }
            }
        }
    }
}

/// Counters that several threads add to.
private final class Counters: Sendable {
    private let wrongCount = Atomic(0)
    private let overBudgetCount = Atomic(0)
    private let spilledCount = Atomic(0)

    func addWrong() { wrongCount.add(1, ordering: .relaxed) }
    func addOverBudget() { overBudgetCount.add(1, ordering: .relaxed) }
    func addSpilled() { spilledCount.add(1, ordering: .relaxed) }

    var wrong: Int { wrongCount.load(ordering: .relaxed) }
    var overBudget: Int { overBudgetCount.load(ordering: .relaxed) }
    var spilled: Int { spilledCount.load(ordering: .relaxed) }
}
