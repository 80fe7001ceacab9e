// From the first digits of a hash to the hash, as people type it.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// How many hashes an ambiguous answer lists.
    private static let examples = 8

    /// The page whose prefix hash begins with `digits`, hexadecimal, of either case.
    package func resolve(_ digits: String) throws(StoreError) -> HashResolution { try resolve(digits, tables.nodes) }

    /// The space whose root begins with `digits`.
    package func resolveSpace(_ digits: String) throws(StoreError) -> HashResolution {
        try resolve(digits, tables.spaces)
    }

    private func resolve(_ digits: String, _ table: Table) throws(StoreError) -> HashResolution {
        let wanted = digits.lowercased()
        let missing = 2 * PrefixHash.byteCount - wanted.utf8.count
        guard !wanted.isEmpty, missing >= 0,
            let start = PrefixHash(hex: wanted + String(repeating: "0", count: missing))
        else { return .none }
        var found: [PrefixHash] = []
        try inspecting { () throws(LMDBError) in
            try walk(table, from: start.bytes) { (_, key, _) throws(LMDBError) in
                guard let hash = PrefixHash(key: key), hash.description.hasPrefix(wanted) else { return .stop }
                found.append(hash)
                return found.count < Self.examples ? .next : .stop
            }
        }
        switch found.count {
        case 0: return .none
        case 1: return .unique(found[0])
        default: return .ambiguous(found)
        }
    }
}
