// The circuit breaker, by a clock that the test moves.

import KVFormat
import Testing

@testable import RemoteTier

@Suite("A circuit breaker")
struct BreakerTests {
    /// The moments at which it would admit somebody: the length of its pause, found by asking.
    private func pause(_ breaker: CircuitBreaker, since now: UInt64) -> UInt64 {
        var (low, high) = (UInt64(0), UInt64(1) << 40)
        while low < high {
            let middle = (low + high) / 2
            if breaker.isOver(at: now + middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    @Test("pauses for twice as long after each failure, up to its limit, with jitter")
    func pauses() {
        var breaker = CircuitBreaker()
        var now: UInt64 = 1_000_000
        for failures in 0..<20 {
            let isNew = breaker.fail(.question, .late, at: now)
            #expect(isNew)
            let whole = min(CircuitBreaker.pauses.lowerBound << UInt64(failures), CircuitBreaker.pauses.upperBound)
            let pause = pause(breaker, since: now)
            #expect((whole - whole / 4...whole).contains(pause))
            now += pause
        }
        let lengths = (0..<50).map { _ in
            var fresh = CircuitBreaker()
            _ = fresh.fail(.question, .late, at: 0)
            return self.pause(fresh, since: 0)
        }
        #expect(Set(lengths).count > 10)
    }

    @Test("counts failures that happen side by side once")
    func sideBySide() {
        var breaker = CircuitBreaker()
        let first = breaker.fail(.question, .late, at: 0)
        let pause = pause(breaker, since: 0)
        let others = [breaker.fail(.question, .late, at: 1), breaker.fail(.page, .late, at: pause - 1)]
        #expect(first && others == [false, false])
        #expect(self.pause(breaker, since: 0) == pause)
    }

    @Test("lets one caller try after a pause, and everybody when that one had an answer")
    func trial() {
        var breaker = CircuitBreaker()
        func admits(_ moment: UInt64) -> CircuitBreaker.Admission { breaker.admit(at: moment) }
        #expect(admits(0) == .free && breaker.fault == nil)
        _ = breaker.fail(.question, .late, at: 0)
        let end = pause(breaker, since: 0)
        #expect(admits(end - 1) == .refused && breaker.fault == .late)
        #expect(admits(end) == .trial)
        #expect(admits(end) == .refused)
        // It found nothing out: somebody else may.
        breaker.endTrial()
        #expect(admits(end) == .trial)
        breaker.endTrial()
        breaker.succeed(.question)
        #expect(!breaker.isOpen && breaker.fault == nil)
        #expect(admits(end) == .free)
        _ = breaker.fail(.question, .late, at: end)
        #expect(pause(breaker, since: end) <= CircuitBreaker.pauses.lowerBound)
    }

    @Test("does not take answers to questions for a proof that pages come")
    func kinds() {
        var breaker = CircuitBreaker()
        var now: UInt64 = 0
        for _ in 0..<4 {
            _ = breaker.fail(.page, .late, at: now)
            now += CircuitBreaker.pauses.upperBound
            breaker.succeed(.question)
            #expect(!breaker.isOpen)
        }
        _ = breaker.fail(.page, .late, at: now)
        #expect(pause(breaker, since: now) > 4 * CircuitBreaker.pauses.lowerBound)
        breaker.succeed(.page)
        _ = breaker.fail(.page, .late, at: now)
        #expect(pause(breaker, since: now) <= CircuitBreaker.pauses.lowerBound)
    }
}

@Suite("The memory of misses")
struct MissMemoryTests {
    private let hashes = (0..<100_000).map { PrefixHash.sha256(Array("miss \($0)".utf8)) }

    @Test("knows the first page of a chain that was not there, until it is put")
    func chains() {
        let memory = MissMemory(.seconds(3600))
        #expect(memory.leadingUnknown(Array(hashes[..<10])) == 10)
        memory.note(hashes[7])
        memory.note(hashes[4])
        #expect(memory.leadingUnknown(Array(hashes[..<10])) == 4)
        memory.forget([hashes[4]])
        #expect(memory.leadingUnknown(Array(hashes[..<10])) == 7)
    }

    @Test("forgets after its time")
    func time() {
        let memory = MissMemory(.milliseconds(1))
        memory.note(hashes[0])
        #expect(eventually { memory.leadingUnknown([hashes[0]]) == 1 })
    }

    @Test("is bounded")
    func bound() {
        let memory = MissMemory(.seconds(3600))
        for hash in hashes { memory.note(hash) }
        let known = hashes.count { memory.leadingUnknown([$0]) == 0 }
        #expect(known > 0 && known <= 65_536)
        #expect(memory.leadingUnknown([hashes[99_999]]) == 0)
    }
}
