// A folder with sealed spaces, and a look at every byte of its files.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit

/// A store's folder for tests of sealing.
struct SealedFolder {
    let folder: TemporaryFolder
    var path: String { folder.path("store") }

    init() throws { folder = try TemporaryFolder() }

    /// A key that follows from a number; never use such keys outside of tests.
    static func key(_ number: UInt8) throws -> SealingKey { try SealingKey(bytes: keyBytes(number)) }

    static func keyBytes(_ number: UInt8) -> [UInt8] { (0..<32).map { $0 &* 7 ^ number } }

    /// As the environment has it.
    static func keyText(_ number: UInt8) throws -> String {
        keyBytes(number).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    func open(_ key: SealingKey?, hot: ByteCount = .zero) throws -> Store {
        try Store(
            at: path, options: StoreOptions(quota: .mebibytes(64), hotCapacity: hot, codec: .raw, sealingKey: key))
    }

    /// Opens the store, lends it, and closes it.
    @discardableResult
    func with<R>(_ key: SealingKey?, _ body: (Store) throws -> R) throws -> R {
        let store = try open(key)
        let result = try body(store)
        try store.close()
        return result
    }

    /// How many files of the folder contain `bytes`.
    func files(with bytes: [UInt8]) throws -> [String] {
        try TemporaryFolder.names(path).filter { name in
            try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)).range(of: Data(bytes)) != nil
        }
    }

    /// The wrapped keys that the data file has anywhere: in live pages, freed ones, and between entries.
    func wrappedKeys() throws -> Set<[UInt8]> {
        let data = try Data(contentsOf: URL(fileURLWithPath: path + "/data.mdb"))
        var found: Set<[UInt8]> = []
        var from = data.startIndex
        while let place = data.range(of: Data("PFXwrap1".utf8), in: from..<data.endIndex) {
            found.insert(Array(data[place.lowerBound..<min(place.lowerBound + 88, data.endIndex)]))
            from = place.upperBound
        }
        return found
    }
}

extension [TokenID] {
    /// The token ids as memory has them.
    var littleEndianBytes: [UInt8] {
        flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * UInt32($0))) } }
    }
}
