// Model identities: what must be equal to share pages.

import KVFormat
import TestKit
import Testing

@Suite("A model identity")
struct IdentityTests {
    static func identity() throws -> ModelIdentity {
        try ModelIdentity(
            weights: .sha256(Array("weights".utf8)),
            layout: KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16),
            positions: "rope theta=10000", tokenizer: .sha256(Array("tokenizer".utf8)), engine: "test", engineFormat: 1)
    }

    @Test("has the space root that its canonical encoding hashes to")
    func golden() throws {
        var identity = try Self.identity()
        #expect(identity.spaceRoot.description == "08c4ded64731cea87468e3dfcf8aeebc5e3a4231f3b41d2ae7d1beec4e9b75ba")
        identity.salt = try Salt(Array("0123456789abcdef".utf8))
        #expect(identity.spaceRoot.description == "d166bb2ce4e99f7f2bf8f521e1863c5daa78e267b7928d52310edff7d9c4795a")
    }

    static let changes: [(SpaceDescriptor.Field, @Sendable (inout ModelIdentity) throws -> Void)] = [
        (.weights, { $0.weights = .sha256([1]) }),
        (.layout, { $0.layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .fp16) }),
        (
            .pageSize,
            { $0.layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: 32) }
        ),
        (.positions, { $0.positions = "rope theta=500000" }),
        (.tokenizer, { $0.tokenizer = .sha256([2]) }),
        (.engine, { $0.engine = "another" }),
        (.engineFormat, { $0.engineFormat = 2 }),
        (.shard, { $0.shard = Shard(tensorRank: 1, tensorSize: 2, pipelineRank: 0, pipelineSize: 1) }),
        (.adapter, { $0.adapter = .sha256([3]) }),
        (.salt, { $0.salt = try Salt([UInt8](repeating: 7, count: 16)) }),
    ]

    @Test("names another space when any field differs, and says which", arguments: changes.indices)
    func everyFieldCounts(index: Int) throws {
        let (field, change) = Self.changes[index]
        let base = try Self.identity()
        var other = base
        try change(&other)
        #expect(other.spaceRoot != base.spaceRoot)
        #expect(other.descriptor.differences(from: base.descriptor) == [field])
        #expect(other.descriptor.text(field) != base.descriptor.text(field))
    }

    @Test("does not change with its labels")
    func labels() throws {
        let base = try Self.identity()
        var named = base
        named.labels = ["model": "Llama"]
        #expect(named.spaceRoot == base.spaceRoot)
        #expect(named.descriptor.differences(from: base.descriptor).isEmpty)
        #expect(named.descriptor.labels["model"] == "Llama")
    }

    @Test("refuses texts, labels and salts outside the limits")
    func limits() throws {
        let base = try Self.identity()
        func make(positions: String = "", labels: [String: String] = [:]) throws -> ModelIdentity {
            try ModelIdentity(
                weights: base.weights, layout: base.layout, positions: positions, tokenizer: base.tokenizer,
                engine: "e",
                engineFormat: 1, labels: labels)
        }
        let long = String(repeating: "x", count: Limits.identityText + 1)
        #expect(throws: StoreError.self) { try make(positions: long) }
        #expect(throws: StoreError.self) { try make(labels: ["a": long]) }
        #expect(throws: StoreError.self) {
            try make(labels: Dictionary(uniqueKeysWithValues: (0...Limits.labels).map { ("\($0)", "") }))
        }
        #expect(throws: StoreError.self) { try Salt([1, 2, 3]) }
    }
}

@Suite("A space descriptor")
struct SpaceDescriptorTests {
    @Test("is read back from its stored bytes", arguments: [false, true])
    func roundTrips(salted: Bool) throws {
        var identity = try IdentityTests.identity()
        identity.labels = ["model": "a", "note": "b"]
        if salted { identity.salt = try Salt([UInt8](repeating: 9, count: 20)) }
        let descriptor = identity.descriptor
        let read = SpaceDescriptor(descriptor.encoded)
        #expect(read == descriptor)
        #expect(read?.root == identity.spaceRoot)
        #expect(read?.text(.salt) == (salted ? descriptor.text(.salt) : "none"))
    }

    @Test("keeps an opaque layout")
    func opaque() throws {
        var identity = try IdentityTests.identity()
        identity.layout = try KVLayout.opaque(bytesPerPage: 4096, pageSize: 16)
        #expect(SpaceDescriptor(identity.descriptor.encoded)?.layout == identity.layout)
    }

    @Test("keeps every plane of a layout, and the element of blocks")
    func planes() throws {
        var identity = try IdentityTests.identity()
        let planes = (0..<40).flatMap { layer in
            [
                KVPlane(layer: layer, rowBytes: 2048, element: .fp16, window: layer % 6 == 5 ? 0 : 1024),
                KVPlane(layer: layer, rowBytes: 1088, element: .q8x0),
            ]
        }
        for layout in [try KVLayout(planes: planes, pageSize: 32), .blocks(element: .q8x0)] {
            identity.layout = layout
            #expect(SpaceDescriptor(identity.descriptor.encoded)?.layout == layout)
        }
    }

    @Test("keeps any layout of up to 4,096 planes")
    func randomLayouts() throws {
        var random = SplitMix64(seed: TestSeed.fresh("layouts of many planes"))
        for count in [1, 2, 3, 17, 64, 300, 4096] {
            var layer = 0
            let planes = (0..<count).map { index -> KVPlane in
                if index > 0, layer < 1023, Bool.random(using: &random) { layer += 1 }
                let element = KVElement.allCases[Int.random(in: 0..<KVElement.allCases.count, using: &random)]
                let rows = Int.random(in: 1...3, using: &random) * element.groupBytes
                return KVPlane(layer: layer, rowBytes: rows, element: element, window: index % 3)
            }
            var identity = try IdentityTests.identity()
            identity.layout = try KVLayout(planes: planes, pageSize: 7)
            #expect(SpaceDescriptor(identity.descriptor.encoded)?.layout == identity.layout, "\(planes)")
        }
    }

    /// Places in the descriptor: its layout field begins behind the magic and the digest of the weights.
    private static let field = 8 + 5 + 32

    /// The descriptor of two equal layers with one plane each, its layout field replaced by these integers.
    private static func descriptor(layout integers: [UInt32]) throws -> SpaceDescriptor? {
        var identity = try IdentityTests.identity()
        let planes = (0..<2).map { KVPlane(layer: $0, rowBytes: 64, element: .bf16) }
        identity.layout = try KVLayout(planes: planes, pageSize: 16)
        var bytes = identity.descriptor.encoded
        func little(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        bytes.replaceSubrange(
            field + 1..<field + 5 + 24, with: little(UInt32(4 * integers.count)) + integers.flatMap(little))
        return SpaceDescriptor(bytes)
    }

    @Test("is read when its layout is in canonical form")
    func canonical() throws {
        #expect(try Self.descriptor(layout: [1, 2, 1, 64, 0, 1])?.layout.planeCount == 2)
        #expect(try Self.descriptor(layout: [2, 1, 1, 64, 0, 1, 1, 1, 64, 0, 2])?.layout.planeCount == 2)
    }

    @Test(
        "is refused when runs of layers could be one, are empty, or say what no layout has",
        arguments: [
            [2, 1, 1, 64, 0, 1, 1, 1, 64, 0, 1], [1, 0, 1, 64, 0, 1], [1, 2, 0], [1, 2, 1, 64, 0, 99],
            [1, 2, 1, 64, 0, 0x101], [1, 2, 1, 63, 0, 1], [1, 2, 1, 0, 0, 1], [1, 2, 1, 64, 0, 1, 7],
            [2, 2, 1, 64, 0, 1], [0xFFFF_FFFF, 2, 1, 64, 0, 1], [1, 0xFFFF_FFFF, 1, 64, 0, 1],
            [1, 1, 0xFFFF_FFFF, 64, 0, 1], [1, 2, 1, 64, 0xFFFF_FFFF, 1], [], [0], [0, 99], [0, 1],
        ] as [[UInt32]])
    func notCanonical(integers: [UInt32]) throws {
        #expect(try Self.descriptor(layout: integers) == nil)
    }

    @Test("is refused when cut anywhere or changed in its structure")
    func refusesDamage() throws {
        let bytes = try IdentityTests.identity().descriptor.encoded
        for length in 0..<bytes.count { #expect(SpaceDescriptor(Array(bytes[..<length])) == nil, "cut at \(length)") }
        for index in 0..<13 {
            var wrong = bytes
            wrong[index] ^= 0x40
            #expect(SpaceDescriptor(wrong) == nil, "byte \(index)")
        }
        #expect(SpaceDescriptor(bytes + [5]) == nil)
    }
}
