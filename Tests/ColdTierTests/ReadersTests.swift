// Readers and the writer's lock.

import KVFormat
import LMDB
import Testing
import TestKit
import Threads

@testable import ColdTier

@Suite("Readers")
struct ReadersTests {
    /// Opens when it is told to.
    final class Door: Sendable {
        private enum State { case closed, entered, open }

        private let state = Guarded(State.closed)

        /// Says that the writer holds its lock, and waits until the door is opened.
        func enter() {
            move(to: .entered)
            state.wait(until: { $0 == .open })
        }

        func waitForEntry() { state.wait(until: { $0 != .closed }) }

        func open() { move(to: .open) }

        private func move(to new: State) {
            state.withLock { $0 = new }
            state.broadcast()
        }
    }

    @Test(
        "match, load and count uses while a writer holds LMDB's lock, and never wait for it",
        .timeLimit(.minutes(10)))
    func neverWait() throws {
        let folder = try TemporaryFolder()
        let model = try Model()
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(tokens(40)))
        let door = Door()
        let writer = try Thread {
            try? tier.writing { (_, _) throws(LMDBError) in door.enter() }
        }
        door.waitForEntry()
        // If any of this waited for the writer it would wait for ever: the door opens afterwards.
        #expect(try model.load(tokens(40), from: tier) == 40)
        #expect(try tier.contains(model.path(tokens(40))[0]))
        tier.touch(model.path(tokens(40)), now: 1)
        door.open()
        writer.join()
        try tier.flushTouches()
        tier.close()
    }
}
