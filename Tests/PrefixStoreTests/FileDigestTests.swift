// Digests of files, and where they are remembered.

import ColdTier
import Foundation
import KVFormat
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("The digest of a file")
struct FileDigestTests {
    let folder: TemporaryFolder
    let store: Store
    var file: String { folder.path("weights.bin") }
    let contents = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }

    init() throws {
        folder = try TemporaryFolder()
        store = try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero))
    }

    func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(fileURLWithPath: file)) }

    @Test("is the SHA-256 of its contents, with and without a store")
    func contentsDecide() throws {
        try write(contents)
        #expect(try store.digest(ofFile: file) == .sha256(contents))
        #expect(try Store.digest(ofFile: file) == .sha256(contents))
        try write([])
        #expect(try store.digest(ofFile: file) == .sha256([]))
        try write(contents.reversed())
        #expect(try store.digest(ofFile: file) == .sha256(contents.reversed()))
    }

    @Test("of a settled file is remembered in the store's folder, and read there")
    func remembered() throws {
        try write(contents)
        let digests = FileDigests(folder: folder.path("store"), settling: .seconds(-60))
        let memory = folder.path("store/digests")
        _ = try digests.digest(ofFile: file)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: memory)))
        #expect(bytes.count == 80)
        let attributes = try FileManager.default.attributesOfItem(atPath: memory)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        // A digest that is remembered is believed: this one is of no file, under the stamp of this one.
        var forged = Array(bytes[..<40]) + Digest.sha256([1]).bytes
        forged += unsafe Checksum.of(forged.span.bytes, key: .sha256(Array("PFX digest 1".utf8)), part: 0).bytes
        try Data(forged).write(to: URL(fileURLWithPath: memory))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: memory)
        #expect(try store.digest(ofFile: file) == .sha256([1]))
        // What is damaged does not count: the file is read again, and remembered again.
        bytes[40] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: memory))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: memory)
        #expect(try digests.digest(ofFile: file) == .sha256(contents))
        #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: memory))) != bytes)
    }

    @Test("of a file that has just changed is not remembered")
    func young() throws {
        try Data(contents).write(to: URL(fileURLWithPath: file))
        _ = try store.digest(ofFile: file)
        #expect(!FileManager.default.fileExists(atPath: folder.path("store/digests")))
    }

    @Test("is refused for what is no regular file, without waiting for it")
    func refused() throws {
        #expect(throws: StoreError.self) { _ = try store.digest(ofFile: folder.path("nowhere")) }
        #expect(throws: StoreError.self) { _ = try store.digest(ofFile: folder.path("store")) }
        let pipe = folder.path("pipe")
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        #expect(throws: StoreError.self) { _ = try store.digest(ofFile: pipe) }
        try store.close()
        #expect(throws: StoreError.closed) { _ = try store.digest(ofFile: file) }
    }
}

extension UInt64 {
    /// The bytes, the lowest first.
    fileprivate var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (8 * UInt64($0))) } }
}
