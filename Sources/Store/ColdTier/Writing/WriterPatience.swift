// How long this process waits for the writers of others.

internal import Synchronization

/// Once a writer of another process has not finished in time, the next calls wait for it only a little: an engine would
/// stand still most of the time otherwise. Thread-safe.
final class WriterPatience: Sendable {
    private let wasBusy = Atomic(false)
    private static let short = Duration.seconds(1)

    /// How long the next call waits when `patience` is the usual time.
    func current(_ patience: Duration) -> Duration {
        wasBusy.load(ordering: .relaxed) ? min(Self.short, patience) : patience
    }

    /// Notes how the last call ended.
    func note(isBusy: Bool) { wasBusy.store(isBusy, ordering: .relaxed) }
}
