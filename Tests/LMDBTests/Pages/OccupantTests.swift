import Testing
import TestKit

@testable import LMDB

/// Values of two pages of LMDB, under many keys, so that pages of the tree lie between them.
private let small = 6000

@Suite("What lies where a run of free pages is wanted")
struct OccupantTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A file full of small values, of which each third was deleted: as many pages are free, and few are neighbours.
    private func fill() throws -> (Environment, Table) {
        let (environment, table) = try folder.open(mapSize: 64 << 20)
        for start in stride(from: 0, to: 1200, by: 12) {
            try environment.put(table, start..<start + 12, count: small)
        }
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in stride(from: 0, to: 1200, by: 3) {
                _ = try transaction.delete(table, key: unsafe key(number).span.bytes)
            }
        }
        return (environment, table)
    }

    private func occupants(_ environment: Environment, _ table: Table, run: Int) throws -> [Occupant]? {
        try environment.occupants(ofRun: run, within: .max, longest: 16 << 10, of: [table])
    }

    private func stored(
        _ table: Table, _ key: [UInt8], _ transaction: borrowing WriteTransaction
    ) throws(LMDBError) -> [UInt8] {
        guard let found = try unsafe transaction.get(table, key: key.span.bytes) else { return [] }
        return unsafe found.withUnsafeBytes { unsafe Array($0) }
    }

    /// Stores everything in the way again; what becomes free can be used two transactions later.
    private func move(_ occupants: [Occupant], _ environment: Environment, _ table: Table) throws {
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for occupant in occupants {
                switch occupant {
                case .treePage(let table, let key): try transaction.touch(table, key: key)
                case .value(let table, let key):
                    let bytes = try stored(table, key, transaction)
                    try unsafe transaction.put(table, key: key.span.bytes, value: bytes.span.bytes)
                }
            }
        }
        for number in 0..<2 { try environment.put(table, [5000 + number], count: 8) }
    }

    @Test("can be moved, and then a large value fits there: the file does not grow, and every value stays")
    func moved() throws {
        let (environment, table) = try fill()
        let run = 400 << 10
        let first = try #require(try occupants(environment, table, run: run))
        #expect(first.contains { if case .value = $0 { true } else { false } })
        var rounds = 0
        while let left = try occupants(environment, table, run: run), !left.isEmpty, rounds < 4 {
            try move(left, environment, table)
            rounds += 1
        }
        #expect(try occupants(environment, table, run: run) == [])
        let before = try environment.info().lastPage
        try environment.put(table, [9000], count: run - 100)
        #expect(try environment.info().lastPage == before)
        for number in 0..<1200 {
            let found = try environment.get(table, key(number))
            #expect(number % 3 == 0 ? found == nil : found == value(number, count: small))
        }
        #expect(try environment.census().findings.isEmpty)
    }

    @Test("is left alone where it is large, and there is no run longer than the file")
    func none() throws {
        let (environment, table) = try fill()
        #expect(try environment.occupants(ofRun: 400 << 10, within: .max, longest: 4096, of: [table]) == nil)
        #expect(try occupants(environment, table, run: 64 << 20) == nil)
        #expect(try environment.occupants(ofRun: 400 << 10, within: 100 << 10, longest: 16 << 10, of: [table]) == nil)
        // One page is always free: the file has holes.
        #expect(try occupants(environment, table, run: 4096) == [])
    }

    @Test("of a tree is written elsewhere when it is touched, and nothing else changes", arguments: [8, 511])
    func touched(keyBytes: Int) throws {
        let (environment, table) = try folder.open()
        let keys = (0..<300).map { number in
            [UInt8](repeating: 7, count: keyBytes - 2) + [UInt8(number / 256), UInt8(number % 256)]
        }
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for key in keys { try unsafe transaction.put(table, key: key.span.bytes, value: key.span.bytes) }
        }
        func leaf(of key: [UInt8]) throws -> UInt64 {
            try environment.read { (transaction) throws(LMDBError) in
                let tree = try transaction.core.snapshot.tree(table)
                return unsafe try key.span.bytes.withUnsafeBytes { (bytes) throws(LMDBError) in
                    unsafe try transaction.core.pages.descend(from: tree.root, tree.order, to: .key(bytes)).leaf.number
                }
            }
        }
        let before = try leaf(of: keys[150])
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.touch(table, key: keys[150])
        }
        #expect(try leaf(of: keys[150]) != before)
        #expect(try environment.count(table) == keys.count)
        for key in keys { #expect(try environment.get(table, key) == key) }
        #expect(try environment.census().findings.isEmpty)
    }
}
