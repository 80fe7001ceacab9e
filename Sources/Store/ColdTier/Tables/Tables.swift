// The tables of an open store.

package import LMDB

/// Handles of all tables, valid as long as their environment is open.
package struct Tables: Sendable {
    /// See `TableName`.
    package let meta, spaces, nodes, edges, pages, recency, queue, sides, quarantine, names: Table

    /// All of them.
    var all: [Table] { [meta, spaces, nodes, edges, pages, recency, queue, sides, quarantine, names] }

    /// Opens all tables; creates those that are missing when the environment may write.
    package init(_ environment: Environment) throws(LMDBError) {
        let wanted = TableName.allCases.map(\.rawValue)
        let tables: [Table]
        do throws(LMDBError) {
            // In a read transaction, so that a damaged store can be looked at.
            tables = try environment.openExistingTables(wanted)
        } catch .tableMissing(let name) {
            // Tables are made all at once, before the record of the format: one that a store has lost would be empty.
            guard try !Self.hasFormat(environment) else { throw .damaged("the table \(name) is lost") }
            tables = try environment.openTables(wanted)
        }
        var opened = tables.makeIterator()
        func next(_ name: TableName) throws(LMDBError) -> Table {
            guard let table = opened.next(), table.name == name.rawValue else {
                throw .tableMissing(name: name.rawValue)
            }
            return table
        }
        meta = try next(.meta)
        spaces = try next(.spaces)
        nodes = try next(.nodes)
        edges = try next(.edges)
        pages = try next(.pages)
        recency = try next(.recency)
        queue = try next(.queue)
        sides = try next(.sides)
        quarantine = try next(.quarantine)
        names = try next(.names)
    }

    /// Whether the environment has a store's record of its format.
    private static func hasFormat(_ environment: Environment) throws(LMDBError) -> Bool {
        let meta: Table
        do throws(LMDBError) {
            guard let table = try environment.openExistingTables([TableName.meta.rawValue]).first else { return false }
            meta = table
        } catch .tableMissing {
            return false
        }
        return try environment.read { (transaction) throws(LMDBError) in try transaction.has(meta, MetaKey.format) }
    }
}
