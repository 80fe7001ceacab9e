// A page in RAM, as the loader and the spill writer take it.

internal import HotTier
internal import Records
internal import Threads

extension HotContent {
    /// The same for the loader and the spill writer.
    func page(_ hash: PrefixHash, tokens: Int, _ layout: KVLayout, _ seal: SpaceSeal?) -> PageContent {
        switch self {
        case .staged(let source, let owner): .raw(source, owner: owner)
        case .record(let held): Self.record(held, hash, tokens, layout, seal).map { .record($0) } ?? .none
        case .none: .none
        }
    }

    /// A record, checked as one from disk is before it is decoded.
    private static func record(
        _ held: HeldRecord, _ hash: PrefixHash, _ tokens: Int, _ layout: KVLayout, _ seal: SpaceSeal?
    ) -> RecordBytes? {
        // Whoever asks holds the lease or the pin that keeps the bytes in place.
        unsafe try? RecordBytes(borrowing: held.bytes, key: hash, layout: layout, tokens: tokens, seal: seal)
    }
}

/// A page of the hot tier on its way to its record, and to the disk.
final class HotPage: HeldPage {
    private let pin: SpillPin
    private let name: PageName
    /// Called when there was no room for the record.
    private let onRefused: @Sendable () -> Void

    init(_ pin: SpillPin, _ name: PageName, onRefused: @escaping @Sendable () -> Void) {
        self.pin = pin
        self.name = name
        self.onRefused = onRefused
    }

    var content: PageContent { pin.content.page(name.hash, tokens: name.tokens.count, pin.layout, name.seal) }

    func keep(_ record: RecordBytes) -> Bool {
        if pin.keep(record.bytes, now: SystemClock.wallMilliseconds()) { return true }
        onRefused()
        return false
    }
}

/// A record in memory that stays as it is, for as long as the spill queue needs it.
final class QueuedRecord: HeldPage {
    private let record: RecordBytes
    init(_ record: RecordBytes) { self.record = record.kept }
    var content: PageContent { .record(record) }
    func keep(_ record: RecordBytes) -> Bool { true }
}
