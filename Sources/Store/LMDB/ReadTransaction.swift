// A snapshot for reading.

import CLMDB

/// A snapshot of all tables. It ends with its scope and is only lent to closures, so that no snapshot stays open by
/// mistake: as long as one exists, no process can reuse the pages that were freed since.
///
/// It is not bound to a thread, but only one thread at a time may use it.
@safe
package struct ReadTransaction: ~Copyable, Transaction {
    package let core: TransactionCore

    init(_ core: TransactionCore) { self.core = core }

    deinit { unsafe mdb_txn_abort(core.handle) }
}
