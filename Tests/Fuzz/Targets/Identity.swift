// Identities: descriptors of spaces, layouts, wrapped keys, names that people give.

@testable import KVFormat

extension FuzzTarget {
    /// Which reader; then its bytes.
    static let identity = FuzzTarget(
        name: "identity", subject: "descriptors of spaces, layouts, sealing keys, names of prefixes", longest: 8192,
        seeds: { try Identities.seeds() },
        run: { input in
            let choice = input.byte()
            let bytes = input.rest()
            switch choice % 5 {
            case 0: Identities.readDescriptor(bytes, input)
            case 1:
                guard let layout = KVLayout(encodedPlanes: bytes, pageSize: 16) else { return }
                input.require(layout.encodedPlanes == bytes, "a layout is written as it was read")
                Identities.useLayout(layout)
                input.plant(layout.planeCount == 11)
            case 2:
                guard let wrapped = WrappedKey(bytes), let key = Identities.key else { return }
                _ = (wrapped.keyID, key.seal(wrapped, for: Forging.key))
            case 3: _ = (try? SealingKey(text: bytes))?.id
            default:
                let text = String(decoding: bytes, as: UTF8.self)
                _ = try? Limits.check(prefixName: text)
                _ = Digest(hex: text)
                _ = PrefixHash(hex: text)
                _ = ByteCount(parsing: text)
            }
        })
}

/// Identities for seeds, and what is done with those that were read.
enum Identities {
    static let key = try? SealingKey(bytes: (0..<32).map { UInt8($0) })

    static func identity() throws -> ModelIdentity {
        try ModelIdentity(
            weights: .sha256([1]), layout: Records.layouts[0], positions: "rope theta=500000", tokenizer: .sha256([2]),
            engine: "fuzz", engineFormat: 1, salt: try Salt((0..<16).map { UInt8($0) }),
            labels: ["model": "small", "run": "7"])
    }

    static func readDescriptor(_ bytes: [UInt8], _ input: FuzzInput) {
        guard let descriptor = SpaceDescriptor(bytes) else { return }
        for field in SpaceDescriptor.Field.allCases { _ = descriptor.text(field) }
        useLayout(descriptor.layout)
        guard let again = SpaceDescriptor(descriptor.encoded) else {
            return input.require(false, "a descriptor can be read when it was written")
        }
        input.require(again.root == descriptor.root, "a descriptor keeps its root")
        input.require(again.differences(from: descriptor).isEmpty, "a descriptor keeps its fields")
        _ = descriptor.sealed(by: Forging.seal).root
        input.plant(descriptor.labels.count == 3)
    }

    /// The sums over planes that every reader of pages relies on.
    static func useLayout(_ layout: KVLayout) {
        guard !layout.isOfBlocks else { return }
        for tokens in [1, layout.pageSize] { _ = layout.pageBytes(tokens: tokens) }
        for plane in 0..<layout.planeCount { _ = layout.bytesPerToken(beforePlane: plane) }
        _ = layout.summary
    }

    static func seeds() throws -> [[UInt8]] {
        let descriptor = try identity().descriptor
        var seeds = [[0] + descriptor.encoded, [0] + descriptor.sealed(by: Forging.seal).encoded]
        seeds += (Records.layouts + [.blocks(element: .bf16)]).map { [1] + $0.encodedPlanes }
        if let key {
            let wrapped = WrappedKey(.sha256([3]), by: key, for: Forging.key, salt: SealBytes(low: 1, high: 2))
            seeds.append([2] + wrapped.bytes)
        }
        seeds.append([3] + (0..<32))
        seeds.append([3] + Array("0123456789abcdef".utf8) + Array(String(repeating: "7", count: 48).utf8))
        for text in ["prompt", "16MiB", "a\u{301}\u{202E}b", String(repeating: "f", count: 64)] {
            seeds.append([4] + Array(text.utf8))
        }
        return seeds
    }
}
