// Old copies of wrapped keys in the data file. LMDB writes changed pages elsewhere, and leaves the old ones as they
// were until it needs their room.

internal import KVFormat
internal import LMDB

extension ColdTier {
    /// Overwrites every wrapped key in the data file that no space has any more: in freed pages, and in the unused
    /// parts of others. Whoever has an old sealing key could else open what such a copy seals.
    ///
    /// Damaged stores that were set aside go altogether, because they hold such copies too.
    ///
    /// Other writers wait meanwhile, so no page is on its way. A reader of an old snapshot may meet the zeros: they are
    /// no wrapped key, and it opens no space by them. What is stored stays as it is, also a name or a page that happens
    /// to look like a wrapped key.
    ///
    /// - Returns: how many copies were overwritten.
    /// - Throws: `.damaged` when the trees do not say for certain which pages are in use.
    /// - Complexity: reads the whole data file.
    @discardableResult
    func overwriteOldKeys() throws(StoreError) -> Int {
        Containment.discardAll(of: StoreFolder(path: path, options: options))
        do throws(LMDBError) {
            try environment.forgetWrittenPages()
            return try environment.write { (transaction) throws(LMDBError) in
                try transaction.overwriteUnused(beginningWith: WrappedKey.magic, byteCount: WrappedKey.byteCount)
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }
}
