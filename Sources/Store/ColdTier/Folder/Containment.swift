// A store that cannot be opened, or that ends the processes that open it, is moved aside, and a new one is begun.
//
// Nothing that is damaged is mended: a cache can compute its pages again. The one exception is a meta page, because the
// other one holds a whole commit.

internal import Glibc
internal import KVFormat
internal import LMDB
internal import Threads

/// The opening of a store by an engine.
struct Containment {
    /// The first part of the names of folders that hold damaged stores.
    static let asidePrefix = "aside-"
    /// The file that an engine leaves when it has met damage in the trees.
    static let damagedFile = "damaged"
    /// What `damagedFile` is called once all trees were found to be sound.
    static let doubtedFile = "damaged-once"
    /// Damaged stores that are kept.
    private static let kept = 2

    let folder: StoreFolder
    /// Nil in a folder that was not a store of this format before.
    let mark: OpeningMark?

    private var path: String { folder.path }

    /// Opens the store as `folder.prepare()` does. When that fails for damage, or the store is known for it, moves the
    /// store aside and makes a new one.
    ///
    /// - Throws: as `prepare()`; `.damaged` while other processes have the damaged store open.
    func prepare() throws(StoreError) -> (found: StoreFolder.Found, notice: SetAsideNotice?) {
        guard folder.options.opening == .createIfMissing else { return (try folder.prepare(), nil) }
        guard let mark else { return try prepareUnlisted() }
        try mendMetaPage(mark)
        if let reason = knownDamage(mark) {
            // Others that have it open may still read it.
            guard mark.isAlone(in: path) else { return (try folder.prepare(), nil) }
            if mark.deaths <= OpeningMark.deadly, let found = soundAfterAll() { return (found, nil) }
            return try begin(insteadOf: reason)
        }
        do throws(StoreError) {
            return (try folder.prepare(), nil)
        } catch {
            // Without a data file there is nothing to set aside.
            guard let reason = error.unusable, unsafe access(path + "/" + StoreFolder.dataFile, F_OK) == 0 else {
                throw error
            }
            guard mark.isAlone(in: path) else {
                throw .damaged(path: path, "\(reason), while other processes have it open")
            }
            return try begin(insteadOf: reason)
        }
    }

    /// As `prepare()`, in a folder without a list of openers, such as a copy of `data.mdb` alone. It may be another
    /// program's: only a data file that holds a space of ours is set aside.
    private func prepareUnlisted() throws(StoreError) -> (found: StoreFolder.Found, notice: SetAsideNotice?) {
        do throws(StoreError) {
            return (try folder.prepare(), nil)
        } catch {
            guard error.unusable != nil, DataFile.contains(SpaceDescriptor.magic, in: path) == true,
                Opener.makeList(in: path), let mark = OpeningMark(folder: path)
            else { throw error }
            return try withExtendedLifetime(mark) { () throws(StoreError) in
                try Containment(folder: folder, mark: mark).prepare()
            }
        }
    }

    /// What earlier processes have left word of.
    private func knownDamage(_ mark: OpeningMark) -> String? {
        if mark.deaths >= OpeningMark.deadly { return "\(mark.deaths) processes in a row ended while they opened it" }
        return unsafe access(path + "/" + Self.damagedFile, F_OK) == 0 ? "its trees are damaged" : nil
    }

    /// The store, when a look at every page of its trees finds no damage. What a writer met was none then, such as
    /// pages that were used again because somebody had taken the lock file away; and somebody has killed the processes
    /// that died. Nil when a writer has met damage a second time.
    ///
    /// The file is read first: a disk that cannot read it gives an error there, and would end the process in the map.
    private func soundAfterAll() -> StoreFolder.Found? {
        guard DataFile.isReadable(in: path), let found = try? folder.prepare() else { return nil }
        if let census = try? found.environment.census(), census.findings.isEmpty, forgiveDamage() { return found }
        found.environment.close()
        return nil
    }

    /// Takes back what a writer has left word of; false when that was done before.
    private func forgiveDamage() -> Bool {
        let (word, before) = (path + "/" + Self.damagedFile, path + "/" + Self.doubtedFile)
        guard unsafe access(word, F_OK) == 0 else { return true }
        return unsafe access(before, F_OK) != 0 && rename(word, before) == 0
    }

    /// Writes a damaged meta page again from the other one.
    private func mendMetaPage(_ mark: OpeningMark) throws(StoreError) {
        do throws(LMDBError) {
            guard case .half = try DataFile.look(in: path), mark.isAlone(in: path) else { return }
            try DataFile.mend(in: path)
        } catch  where error.isDamage {
            // Nothing to mend it from: the store is set aside when it is opened.
            return
        } catch {
            throw StoreError(error, path: path, options: folder.options)
        }
    }

    private func begin(insteadOf reason: String) throws(StoreError) -> (
        found: StoreFolder.Found, notice: SetAsideNotice?
    ) {
        let aside = Self.asidePrefix + "\(SystemClock.wallMilliseconds())"
        guard unsafe mkdir(path + "/" + aside, 0o700) == 0 else { throw .system(call: "mkdir", errno: errno) }
        unsafe unlink(path + "/" + Self.doubtedFile)
        for file in [StoreFolder.dataFile, StoreFolder.lockFile, Self.damagedFile] {
            guard unsafe rename(path + "/" + file, path + "/" + aside + "/" + file) != 0, errno != ENOENT else {
                continue
            }
            throw .system(call: "rename", errno: errno)
        }
        let found = try folder.prepare()
        discardOldest(within: found.quota ?? folder.newQuota)
        return (found, SetAsideNotice(folder: path + "/" + aside, reason: reason))
    }

    /// Removes all damaged stores of a folder: they hold copies of keys and pages that are to be gone.
    static func discardAll(of folder: StoreFolder) {
        for name in (try? folder.names()) ?? [] where name.hasPrefix(asidePrefix) {
            unsafe unlink(folder.path + "/" + name + "/" + damagedFile)
            StoreFolder.discard(folder.path + "/" + name)
        }
    }

    /// Removes all damaged stores but the newest, and those that are together larger than the quota.
    private func discardOldest(within quota: ByteCount) {
        let names = ((try? folder.names()) ?? []).filter { $0.hasPrefix(Self.asidePrefix) }.sorted()
        var bytes: UInt64 = 0
        for (index, name) in names.reversed().enumerated() {
            var status = stat()
            let size = unsafe stat(path + "/" + name + "/" + StoreFolder.dataFile, &status) == 0 ? status.st_blocks : 0
            bytes += UInt64(size) * 512
            guard index >= Self.kept || bytes > quota.value else { continue }
            unsafe unlink(path + "/" + name + "/" + Self.damagedFile)
            StoreFolder.discard(path + "/" + name)
        }
    }
}

extension StoreError {
    /// Why a store of this format cannot be opened, when the reason is its own damage.
    fileprivate var unusable: String? {
        switch self {
        case .damaged(_, let what): what
        // The list of openers says that a store was here.
        case .notAStore: "its format or its tables are missing"
        default: nil
        }
    }
}

extension ColdTier {
    /// Leaves word that an engine has met damage in the trees: the next engine that opens the store alone
    /// moves it aside. Until then it can be read, and writing what touches the damage fails. A tool leaves no word,
    /// because looking changes nothing.
    func noteDamagedTrees() {
        guard options.opening == .createIfMissing else { return }
        let file = StandardDescriptors.taken {
            unsafe Glibc.open(path + "/" + Containment.damagedFile, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        if file >= 0 { Glibc.close(file) }
    }
}
