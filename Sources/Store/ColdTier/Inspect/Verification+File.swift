// The file below the tables: LMDB's trees, and its list of free pages.

internal import KVFormat
internal import LMDB

extension Verification {
    /// Looks at every page of the file: whether its header is right, whether a tree leads to it, and whether it has one
    /// owner. A page that is both in use and on the free list is overwritten by a later writer.
    mutating func checkFile() throws(LMDBError) {
        do throws(LMDBError) {
            let census = try tier.environment.census()
            for finding in census.findings {
                let kind: VerifyFinding.Kind = finding.isFreeList ? .damagedFreeList : .damagedTree
                report.add(VerifyFinding(kind, nil, finding.sentence))
            }
        } catch {
            guard error.isDamage else { throw error }
            report.add(VerifyFinding(.damagedTree, nil, "LMDB's list of tables cannot be read."))
        }
    }
}
