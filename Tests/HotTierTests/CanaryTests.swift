// The checks, checked: each breaks the tier on purpose and must see it.

import KVFormat
import Testing
import Threads

@testable import HotTier

@Suite("The invariant check")
struct CanaryTests {
    /// A tier with five pages in two branches, sound.
    private func sound() throws -> Fixture {
        let fixture = try Fixture(pages: 8)
        fixture.insert(Array(1...12))
        fixture.insert(Array(1...4) + Array(50...57))
        #expect(fixture.tier.checkInvariants() == [])
        return fixture
    }

    @Test("sees each kind of damage to a node", arguments: 0..<9)
    func damagedNode(kind: Int) throws {
        let fixture = try sound()
        let hash = fixture.hashes(Array(1...12))[kind == 2 || kind == 6 ? 0 : 2]
        fixture.tier.state.withLock { state in
            let node = Int(state.tree.page(hash))
            switch kind {
            case 0: state.tree.nodes[node].depth += 1
            case 1: state.tree.nodes[node].pins += 1
            case 2: state.tree.nodes[node].childCount += 1
            case 3: state.tree.nodes[node].use = PageUse(last: 77)
            case 4: state.tree.nodes[node].row = 0
            case 5: state.tree.nodes[node].hash = .sha256([1])
            case 6: state.tree.nodes[node].children = RadixNode.none
            case 7: state.tree.nodes[node].tokenCount = 3
            default: state.tree.nodes[node].pins = -1
            }
        }
        #expect(fixture.tier.checkInvariants() != [])
    }

    @Test("sees a seat that two pages have, and staged bytes of a page that has none")
    func sharedSeat() throws {
        let fixture = try sound()
        let hashes = fixture.hashes(Array(1...12))
        fixture.tier.state.withLock { state in
            state.tree.nodes[Int(state.tree.page(hashes[1]))].body =
                state.tree.nodes[Int(state.tree.page(hashes[2]))].body
        }
        #expect(fixture.tier.checkInvariants() != [])
        let other = try sound()
        other.tier.state.withLock { state in
            state.tree.nodes[Int(state.tree.page(other.hashes([1, 2, 3, 4])[0]))].body = .staged
        }
        #expect(other.tier.checkInvariants() != [])
    }

    @Test("sees a lost seat")
    func lostSeat() throws {
        let fixture = try sound()
        _ = fixture.tier.state.withLock { try? $0.arena.take(1) }
        #expect(fixture.tier.checkInvariants() != [])
    }

    @Test("sees a page that was forgotten in the eviction order")
    func forgottenLeaf() throws {
        let fixture = try sound()
        try fixture.tier.state.withLock { state in
            state.order.remove(try #require(state.order.first(at: 0, UseHistory(capacity: 1))))
        }
        #expect(fixture.tier.checkInvariants() != [])
    }

    @Test("sees token ids that changed behind the tree's back")
    func changedTokens() throws {
        let fixture = try sound()
        fixture.space.record.runs.remove(3)
        #expect(fixture.space.record.runs.add([9, 9]) == 3)
        #expect(fixture.tier.checkInvariants() != [])
    }

    @Test("is not the only one: a flipped byte in a page is seen by the byte check")
    func flippedByte() throws {
        let fixture = try sound()
        let tokens: [TokenID] = Array(1...12)
        let hash = fixture.hashes(tokens)[1]
        fixture.tier.state.withLock { state in
            guard case .record(let seat) = state.tree.nodes[Int(state.tree.page(hash))].body else { return }
            unsafe state.arena.address(seat).storeBytes(of: 0xA5A5_5A5A, as: UInt32.self)
        }
        #expect(fixture.look(at: fixture.space.match(tokens, now: 0), tokens).wrongPages == [1])
    }
}
