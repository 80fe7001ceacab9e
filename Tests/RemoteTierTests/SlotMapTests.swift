// Slots of keys, and the answer to CLUSTER SLOTS.

import Testing

@testable import RemoteTier

@Suite struct SlotMapTests {
    /// The examples of the cluster's specification, and what redis-cli answers to CLUSTER KEYSLOT.
    @Test func `keys have the slots that servers give them`() {
        #expect(SlotMap.slot(of: Array("123456789".utf8)) == 0x31C3)
        #expect(SlotMap.slot(of: Array("foo".utf8)) == 12182)
        #expect(SlotMap.slot(of: Array("a{foo}b".utf8)) == 12182)
        #expect(SlotMap.slot(of: Array("{}foo".utf8)) == SlotMap.slot(of: Array("{}foo".utf8)))
        #expect(SlotMap.slot(of: Array("{}foo".utf8)) != 12182)
    }
}
