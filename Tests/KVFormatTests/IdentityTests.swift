// Model identities: what must be equal to share pages.

import KVFormat
import Testing

@Suite("A model identity")
struct IdentityTests {
    static func identity(
        positions: String = "rope theta=10000", engine: String = "test", labels: [String: String] = [:]
    ) throws -> ModelIdentity {
        try ModelIdentity(
            weights: .sha256(Array("weights".utf8)),
            layout: KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16),
            positions: positions, tokenizer: .sha256(Array("tokenizer".utf8)), engine: engine, engineFormat: 1,
            labels: labels)
    }

    @Test("has the space root that its canonical encoding hashes to")
    func golden() throws {
        var identity = try Self.identity()
        #expect(identity.spaceRoot.description == "98f92e5f2075a595b2b8592d8f0778c6a8e23eb6d36d8699b08bb10c72fe51b7")
        identity.salt = try Salt(Array("0123456789abcdef".utf8))
        #expect(identity.spaceRoot.description == "736366a948d1576aed2361fe590b337d75d5a25feee315e03563aae2229db15e")
    }

    static let changes: [(SpaceDescriptor.Field, @Sendable (inout ModelIdentity) throws -> Void)] = [
        (.weights, { $0.weights = .sha256([1]) }),
        (.layout, { $0.layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .fp16) }),
        (
            .pageSize,
            { $0.layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: 32) }
        ),
        (.positions, { $0 = try identity(positions: "rope theta=500000") }),
        (.tokenizer, { $0.tokenizer = .sha256([2]) }),
        (.engine, { $0 = try identity(engine: "another") }),
        (.engineFormat, { $0.engineFormat = 2 }),
        (.shard, { $0.shard = Shard(tensorRank: 1, tensorSize: 2, pipelineRank: 0, pipelineSize: 1) }),
        (.adapter, { $0.adapter = .sha256([3]) }),
        (.salt, { $0.salt = try Salt([UInt8](repeating: 7, count: 16)) }),
    ]

    @Test("that is valid cannot become invalid: what has bounds cannot be changed")
    func staysValid() throws {
        let bounded: [AnyKeyPath] = [
            \ModelIdentity.positions, \ModelIdentity.engine, \ModelIdentity.labels,
        ]
        for field in bounded { #expect(!(field is any WritableField), "\(field)") }
        let free: AnyKeyPath = \ModelIdentity.salt
        #expect(free is any WritableField)
        // The longest texts that are taken can be read back.
        let text = String(repeating: "x", count: Limits.identityText)
        let labels = (0..<Limits.labels).map { ("\(100 + $0)", String(text.dropLast(3))) }
        let identity = try Self.identity(
            positions: text, engine: text, labels: Dictionary(uniqueKeysWithValues: labels))
        #expect(SpaceDescriptor(identity.descriptor.encoded) == identity.descriptor)
    }

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
        let named = try Self.identity(labels: ["model": "Llama"])
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

/// A key path that can be written through, whatever its types.
private protocol WritableField {}
extension WritableKeyPath: WritableField {}

@Suite("A space descriptor")
struct SpaceDescriptorTests {
    @Test("is read back from its stored bytes", arguments: [false, true])
    func roundTrips(salted: Bool) throws {
        var identity = try IdentityTests.identity(labels: ["model": "a", "note": "b"])
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
