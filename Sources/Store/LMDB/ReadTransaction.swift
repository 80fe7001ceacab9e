// A snapshot for reading.

import CLMDB

/// A snapshot of all tables. It ends with its scope, and is only lent to closures, so that none lingers: as long as one
/// lives, no process can reuse the pages that were freed since.
///
/// It belongs to no thread, but is used by one at a time.
@safe
package struct ReadTransaction: ~Copyable, Transaction {
    package let core: TransactionCore

    init(_ core: TransactionCore) { self.core = core }

    deinit { unsafe mdb_txn_abort(core.handle) }
}
